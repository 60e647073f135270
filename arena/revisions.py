"""Model revisions: what a roster id stands for, told apart by what answers."""

import hashlib
import json

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.roster import ModelEntry
from arena.tables import ModelRevision

_RACES = 5


def ensure_revision(session: Session, model: ModelEntry, deployment: str | None) -> ModelRevision:
    """The revision of `model` as it is now, made if it is new; its display name, family and version are kept current.

    What decides: id, platform, API name or resolved deployment, system prompt, sampling defaults.
    """
    fingerprint = fingerprint_of(model, deployment)
    for _ in range(_RACES):
        revision = session.scalar(select(ModelRevision).where(ModelRevision.fingerprint == fingerprint))
        if revision is not None:
            return _kept_current(revision, model)
        try:
            with session.begin_nested():
                revision = _new_revision(session, model, deployment, fingerprint)
                session.add(revision)
        except IntegrityError:
            continue  # another process made it, or another revision of this id, in the same moment
        return revision
    raise RuntimeError(f"The revision of {model.id} could not be stored.")


def foreign_revision(session: Session, model_id: str) -> ModelRevision:
    """The revision of a model that answered elsewhere, made if it is new; a namesake in the roster is another model."""
    fingerprint = hashlib.sha256(f"imported:{model_id}".encode()).hexdigest()
    revision = session.scalar(select(ModelRevision).where(ModelRevision.fingerprint == fingerprint))
    if revision is not None:
        return revision
    namesakes = session.scalar(select(func.max(ModelRevision.number)).where(ModelRevision.model_id == model_id))
    revision = ModelRevision(
        fingerprint=fingerprint,
        model_id=model_id,
        number=(namesakes or 0) + 1,
        platform="imported",
        api_name=model_id,
        sampling={},
        display_name=model_id,
    )
    session.add(revision)
    session.flush()
    return revision


def fingerprint_of(model: ModelEntry, deployment: str | None) -> str:
    """SHA-256 of what decides which model answers."""
    deciding = [
        model.id,
        model.platform,
        deployment or model.model_name,
        model.system_prompt,
        model.recommended_config.model_dump(),
    ]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _new_revision(session: Session, model: ModelEntry, deployment: str | None, fingerprint: str) -> ModelRevision:
    latest = session.scalar(select(func.max(ModelRevision.number)).where(ModelRevision.model_id == model.id))
    return ModelRevision(
        fingerprint=fingerprint,
        model_id=model.id,
        number=(latest or 0) + 1,
        platform=model.platform,
        api_name=model.model_name,
        deployment=deployment,
        system_prompt=model.system_prompt,
        sampling=model.recommended_config.model_dump(),
        display_name=model.display_name or model.id,
        family=model.family,
        version=model.version,
        parent=model.parent,
    )


def _kept_current(revision: ModelRevision, model: ModelEntry) -> ModelRevision:
    """Names and places in a family may be corrected; SQLAlchemy writes only what differs."""
    revision.display_name = model.display_name or model.id
    revision.family = model.family
    revision.version = model.version
    revision.parent = model.parent
    return revision
