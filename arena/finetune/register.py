"""A finished job, or one of its checkpoints, becomes a model of the roster: a row, never a line of a file."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from arena.config import Settings, read_environment
from arena.database import Database
from arena.errors import ConfigError, TuningError
from arena.finetune.configuration import TuningConfig
from arena.fleet import Fleet
from arena.providers.factory import build_provider
from arena.roster import ModelEntry, Roster, read_entry
from arena.tables import TunedModel, TuningJob

log = logging.getLogger(__name__)

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
PLACE = "tuned models"
"""How errors name the table."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the model is to be called, and where in its family it stands."""

    model_id: str
    family: str | None = None
    version: str | None = None
    parent: str | None = None
    """The id it is compared with; default: the model that was tuned further, where there is one."""
    display_name: str | None = None
    step: int | None = None
    """A checkpoint's step; `None` is the job's final model."""


def register_model(
    database: Database, config: TuningConfig, roster: Roster, job: TuningJob, wish: Registration
) -> TunedModel:
    """Store the roster entry of a job's result.

    Raises:
        TuningError: the job has no such result, or the id, or the result, is in the roster already.

    """
    if job.outcome != "succeeded":
        raise TuningError(f"Job {job.id} has no model: {job.outcome or job.status or 'it was not sent yet'}.")
    if not _ID.match(wish.model_id):
        raise TuningError(f"{wish.model_id!r}: an id has letters, digits, dots, dashes and underscores, 100 at most.")
    if wish.model_id in roster.models:
        raise TuningError(f"{wish.model_id} stands in the roster file already, which wins: choose another id.")
    parent = wish.parent or job.parent
    if parent is not None and parent not in known_ids(database, roster):
        raise TuningError(f"{parent}: the parent is no model of the roster.")
    entry = _entry(config, job, wish, parent)
    try:
        read_entry(PLACE, wish.model_id, entry, read_environment())
        with database.write() as session:
            taken = session.scalar(select(TunedModel).where(TunedModel.job_id == job.id, _same_step(wish.step)))
            if taken is not None:
                raise TuningError(f"This model is in the roster already, as {taken.id}.")
            row = TunedModel(
                id=wish.model_id, job_id=job.id, step=wish.step, entry=entry, training_sha256=job.training_sha256
            )
            session.add(row)
    except IntegrityError:
        raise TuningError(f"{wish.model_id} is in the roster already: choose another id.") from None
    except ConfigError as error:
        raise TuningError(str(error)) from error
    log.info("model %s of tuning job %s is in the roster", row.id, job.id)
    return row


def known_ids(database: Database, roster: Roster) -> frozenset[str]:
    """Every id of the file and of the table."""
    with database.read() as session:
        return frozenset(roster.models) | frozenset(session.scalars(select(TunedModel.id)))


def tuned_models(database: Database) -> Sequence[TunedModel]:
    """Every registered model, the oldest first."""
    with database.read() as session:
        return session.scalars(select(TunedModel).order_by(TunedModel.created_at, TunedModel.id)).all()


def with_tuned(database: Database, roster: Roster, environment: Mapping[str, str]) -> Roster:
    """The roster file's models and then those of the table that the file does not name."""
    models = dict(roster.models)
    warnings = list(roster.warnings)
    for row in tuned_models(database):
        if row.id in models:
            warnings.append(f"{row.id} stands in the roster file and among the tuned models: the file wins.")
            continue
        try:
            models[row.id] = read_entry(PLACE, row.id, row.entry, environment)
        except ConfigError as error:
            warnings.append(str(error))
    return Roster(models, tuple(warnings))


class Intake:
    """Takes models into the running arena's fleet once they are registered, by this process or by another."""

    def __init__(self, database: Database, fleet: Fleet, settings: Settings) -> None:
        self._database = database
        self._fleet = fleet
        self._settings = settings

    async def take_in(self) -> Sequence[str]:
        """Admit what is new; returns the ids. Within the fleet's event loop."""
        here = {status.model.id for status in self._fleet.statuses()}
        rows = [row for row in await self._database.run(tuned_models, self._database) if row.id not in here]
        environment = read_environment() if rows else {}
        return [row.id for row in rows if self._admitted(row, environment)]

    def _admitted(self, row: TunedModel, environment: Mapping[str, str]) -> bool:
        try:
            entry = read_entry(PLACE, row.id, row.entry, environment)
        except ConfigError as error:
            log.warning("%s", error)
            return False
        return self._fleet.admit(entry, self._maker(entry))

    def _maker(self, entry: ModelEntry) -> Callable[[], Any]:
        return lambda: build_provider(entry.api_type, self._settings)


def _same_step(step: int | None) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    return TunedModel.step.is_(None) if step is None else TunedModel.step == step


def _entry(config: TuningConfig, job: TuningJob, wish: Registration, parent: str | None) -> dict[str, Any]:
    """The entry as it would stand in `models.yaml`: no key, and the address only where it is not the platform's own."""
    platform = config.openai if job.platform == "openai" else config.vertex
    entry: dict[str, Any] = {
        "api_type": job.platform,
        "model_name": _model_name(job, wish.step),
        "display_name": wish.display_name or wish.model_id,
        "family": wish.family,
        "version": wish.version,
        "parent": parent,
    }
    if platform.api_base != read_environment().get("OPENAI_BASE_URL") or job.platform == "vertex":
        entry["api_base"] = platform.api_base
        entry["api_key"] = f"${{{platform.key_variable}}}" if platform.key_variable else None
    if job.platform == "vertex":
        entry |= {"project_id": platform.project_id, "location": platform.location}
    base = platform.models.get(job.base_model)
    if base is not None and base.chat_price is not None:
        entry["price"] = base.chat_price
    return {key: value for key, value in entry.items() if value is not None}


def _model_name(job: TuningJob, step: int | None) -> str:
    if step is None:
        if job.result_model is None:
            raise TuningError(f"Job {job.id} has succeeded, but its platform names no model.")
        return job.result_model
    found = next((one for one in job.checkpoints if one["step"] == step), None)
    if found is None:
        steps = ", ".join(str(one["step"]) for one in job.checkpoints) or "none"
        raise TuningError(f"Job {job.id} has no checkpoint of step {step}; it has {steps}.")
    return str(found["model"])
