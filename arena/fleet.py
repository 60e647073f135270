"""Which models can be asked right now: readiness at start, rests after failures, half-open trials."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from arena.config import Settings
from arena.errors import FailureKind
from arena.providers.base import Event, Message, Provider, Sampling
from arena.roster import ModelEntry, Roster


class ModelState(StrEnum):
    """What the operator sees of a model."""

    STARTING = "starting"
    READY = "ready"
    RESTING = "resting"
    NOT_READY = "not_ready"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's availability since the start of this process; never public during battles, but for `state`."""

    model: ModelEntry
    state: ModelState
    reason: str
    """For the operator: why it is not ready and what to do about it; empty when ready."""
    deployment: str | None
    answers: int
    failures: Mapping[FailureKind, int]
    last_failure_at: datetime | None
    resting_until: datetime | None
    median_first_token_ms: float | None


class Fleet:
    """The roster's models with their providers. One per process, used from the event loop only."""

    def __init__(self, roster: Roster, providers: Mapping[str, Provider], settings: Settings) -> None:
        """`providers` maps api_type to its provider."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Make every model's readiness known, all at once; run in the background at start. Safe to call again."""
        raise NotImplementedError

    async def prepare_one(self, model_id: str) -> ModelStatus:
        """Look again at one model (the operator's button, or a changed deployment)."""
        raise NotImplementedError

    def drawable(self) -> Mapping[str, float]:
        """Model id -> weight of the models that may be drawn for a battle now (ready, role battle, weight > 0).

        A rested model whose rest is over is drawable again, by one battle at a time (half-open).
        """
        raise NotImplementedError

    def nameable(self) -> Sequence[ModelEntry]:
        """The models a visitor may choose by name: ready, of any weight, roster order."""
        raise NotImplementedError

    def statuses(self) -> Sequence[ModelStatus]:
        """Every model of the roster, in its order."""
        raise NotImplementedError

    def entry(self, model_id: str) -> ModelEntry:
        """The roster's entry; raises KeyError for a model that is not in it."""
        raise NotImplementedError

    def deployment(self, model_id: str) -> str | None:
        """What the model's name resolved to."""
        raise NotImplementedError

    def stream(self, model_id: str, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[Event]:
        """Ask the model through its provider; see `Provider.stream`."""
        raise NotImplementedError

    def record_success(self, model_id: str, first_token_ms: float) -> None:
        """An answer finished: the model's failures in a row are forgotten."""
        raise NotImplementedError

    def record_failure(self, model_id: str, kind: FailureKind) -> None:
        """An attempt failed: after `rest_after_failures` in a row the model rests; not found retires it at once."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close every provider."""
        raise NotImplementedError
