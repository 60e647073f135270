"""Model revisions: what a roster id stands for, told apart by what answers."""

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from arena.database import Database
from arena.roster import ModelEntry, SamplingDefaults
from arena.tables import ModelRevision

log = logging.getLogger(__name__)
_RACES = 5
_REVISIONS: Table = ModelRevision.__table__  # type: ignore[assignment]
_KNOWN = select(
    *(_REVISIONS.c[name] for name in ("fingerprint", "id", "display_name", "family", "version", "parent"))
).where(_REVISIONS.c.fingerprint.in_(bindparam("fingerprints", expanding=True)))


def revision_ids(session: Session, asked: Sequence[tuple[ModelEntry, str | None]]) -> list[int]:
    """The ids of the revisions of models with their deployments, see `ensure_revision`; one statement if none is new.

    New ones are always made in the same order, so that two battles with the same new models never deadlock.
    """
    prints = [fingerprint_of(model, deployment) for model, deployment in asked]
    rows = session.execute(_KNOWN, {"fingerprints": sorted(set(prints))})
    known = {row[0]: (row[1], tuple(row[2:])) for row in rows}
    ids: dict[str, int] = {}
    for fingerprint, (model, deployment) in sorted(zip(prints, asked, strict=True), key=lambda of: of[1][0].id):
        found = known.get(fingerprint)
        if found is not None and found[1] == _names_of(model):
            ids[fingerprint] = found[0]
        elif fingerprint not in ids:
            ids[fingerprint] = ensure_revision(session, model, deployment).id
    return [ids[fingerprint] for fingerprint in prints]


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


def list_revision(database: Database, model: ModelEntry, deployment: str | None) -> None:
    """Store what `model` is before its first battle, if it can be drawn for one. Blocking.

    Were its row made by that battle, whoever watches the public leaderboard would learn who fights in it.
    """
    if model.role != "battle" or not model.weight:
        return
    try:
        with database.write() as session:
            ensure_revision(session, model, deployment)
    except (SQLAlchemyError, RuntimeError):
        log.warning("model %s could not be listed before its first battle", model.id, exc_info=True)


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
    api_name = deployment or model.model_name
    return _fingerprint(model.id, model.platform, api_name, model.system_prompt, model.recommended_config)


@lru_cache(maxsize=1_000)
def _fingerprint(model_id: str, platform: str, api_name: str, prompt: str | None, sampling: SamplingDefaults) -> str:
    deciding = [model_id, platform, api_name, prompt, sampling.model_dump()]
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
    revision.display_name, revision.family, revision.version, revision.parent = _names_of(model)
    return revision


def _names_of(model: ModelEntry) -> tuple[str, str | None, str | None, str | None]:
    """Its display name, family, version and parent."""
    return model.display_name or model.id, model.family, model.version, model.parent
