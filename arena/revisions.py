"""Model revisions: what a roster id stands for, told apart by what answers."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from arena.database import ModelRevision
from arena.roster import ModelEntry


def ensure_revision(session: Session, model: ModelEntry, deployment: str | None) -> ModelRevision:
    """The revision of `model` as it is now, made if it is new; display name, family and version are kept current.

    What decides: id, platform, API name or resolved deployment, system prompt, sampling defaults.
    """
    raise NotImplementedError


def revisions_by_id(session: Session) -> Mapping[int, ModelRevision]:
    """Every revision ever seen."""
    raise NotImplementedError
