"""Which models can be asked now, and how they have been doing: readiness, rests after failures, half-open trials."""

import asyncio
import logging
import statistics
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import cast

from arena.config import Settings
from arena.errors import FailureKind
from arena.providers.base import Event, JsonSchema, Message, Provider, Sampling
from arena.roster import ModelEntry, Roster

log = logging.getLogger(__name__)

_LONGEST_REST_S = 600.0
_FIRST_LOOK_AGAIN_S = 10.0
"""When a model that is not ready is looked at again; doubled each time, up to the longest rest."""
_LOOK_AT_RETIRED_S = 3600.0
_OUTCOME_S = 1.0
"""How long after its stream a trial's outcome may be recorded before the next trial is allowed."""
_NEVER = float("inf")
_NEEDED_SHARE = 0.1
"""The part of a rest that a model has at least, also where without it no battle can be."""


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
    shuts_down_on: date | None
    """When the platform has announced to shut the model down."""


@dataclass(slots=True)
class _Health:
    """How one model is doing; times are on the fleet's clock."""

    model: ModelEntry
    state: ModelState = ModelState.STARTING
    reason: str = ""
    shuts_down_on: date | None = None
    answers: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    failures_in_row: int = 0
    last_failure_at: datetime | None = None
    rested_at: float = 0.0
    """When the latest rest began."""
    rest_s: float = 0.0
    """Length of the latest rest; 0 where the model does not rest."""
    resting_until: float = 0.0
    trial_until: float = 0.0
    """Until then the one battle that may try a rested model is doing so."""
    look_again_s: float = _FIRST_LOOK_AGAIN_S
    look_again_at: float = _NEVER
    first_tokens_ms: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    def may_be_asked(self, now: float) -> bool:
        """Ready, and not resting; or rested, and not being tried by another battle."""
        return self.state is ModelState.READY and (self.rest_s == 0 or self.may_be_tried(now))

    def may_be_tried(self, now: float) -> bool:
        """Its rest is over and no trial is running."""
        return self.rest_s > 0 and now >= max(self.resting_until, self.trial_until)

    def cut_rest_short(self, now: float) -> None:
        """End a rest of which enough is over for a model that is needed; the next failure rests it for longer."""
        if self.rest_s > 0 and now >= self.rested_at + _NEEDED_SHARE * self.rest_s:
            self.resting_until = min(self.resting_until, now)

    def end_rest(self) -> None:
        """Forget the failures in a row."""
        self.failures_in_row = 0
        self.rest_s = self.resting_until = self.trial_until = 0.0


class Fleet:
    """The roster's models with their providers. One per process, used from the event loop only."""

    def __init__(
        self,
        roster: Roster,
        providers: Mapping[str, Provider],
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`providers` maps api_type to its provider; `clock` tells seconds, for rests and further looks."""
        self._providers = dict(providers)
        self._settings = settings
        self._clock = clock
        self.warnings = roster.warnings
        """What was left out of the roster file, one sentence each; for the operator."""
        self._health = {entry.id: _Health(entry) for entry in roster}
        self._entries = tuple(roster)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks: set[asyncio.Task[ModelStatus]] = set()

    async def prepare(self) -> None:
        """Make every model's readiness known, all at once; run in the background at start. Safe to call again.

        From then on a model that is not ready is looked at again from time to time, whenever somebody asks who is.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(self.prepare_one(model_id) for model_id in self._health))

    def admit(self, entry: ModelEntry, provider: Callable[[], Provider]) -> bool:
        """Take a model in while the arena runs; `False` if its id is here already. Within the event loop.

        `provider` makes the provider of its api_type where no other model has brought it. The model is made ready in
        the background, and drawn from then on.
        """
        if entry.id in self._health:
            return False
        if entry.api_type not in self._providers:
            self._providers[entry.api_type] = provider()
        # A new mapping: whoever is reading the old one in another thread must not see it grow.
        self._health = {**self._health, entry.id: _Health(entry)}
        self._entries = (*self._entries, entry)
        if self._loop is not None:
            self._start_look(entry.id)
        return True

    async def prepare_one(self, model_id: str) -> ModelStatus:
        """Look again at one model (the operator's button, or a changed deployment); a rest ends in a trial."""
        health = self._health[model_id]
        health.look_again_at = _NEVER
        await self._look(health)
        return self._status(health)

    def drawable(self) -> Mapping[str, float]:
        """Model id -> weight of the models that may be drawn for a battle now (ready, role battle, weight > 0).

        A rested model whose rest is over is drawable again, by one battle at a time (half-open): the first to call
        `stream` tries it, and until that has an outcome nobody else can draw it. Where fewer than two others are left
        a tenth of the rest is enough, so that a short disturbance of one of two models does not close the arena.
        """
        now = self._clock()
        self._look_again(now)
        fighters = [h for h in self._health.values() if h.model.role == "battle" and h.model.weight > 0]
        if sum(health.may_be_asked(now) for health in fighters) < 2:
            for health in fighters:
                health.cut_rest_short(now)
        return {health.model.id: health.model.weight for health in fighters if health.may_be_asked(now)}

    def nameable(self) -> Sequence[ModelEntry]:
        """The models a visitor may choose by name: ready, of any weight, roster order; judges are not for visitors."""
        now = self._clock()
        self._look_again(now)
        ready = (health.model for health in self._health.values() if health.may_be_asked(now))
        return [model for model in ready if model.role == "battle"]

    def statuses(self) -> Sequence[ModelStatus]:
        """Every model of the roster, in its order."""
        self._look_again(self._clock())
        return [self._status(health) for health in self._health.values()]

    def entries(self) -> Sequence[ModelEntry]:
        """The models, in the roster's order: the very same object until another model is taken in."""
        return self._entries

    def entry(self, model_id: str) -> ModelEntry:
        """The roster's entry; raises KeyError for a model that is not in it."""
        return self._health[model_id].model

    def deployment(self, model_id: str) -> str | None:
        """What the model's name resolved to."""
        model = self._health[model_id].model
        return self._providers[model.api_type].deployment(model)

    def stream(
        self, model_id: str, messages: Sequence[Message], sampling: Sampling, schema: JsonSchema | None = None
    ) -> AsyncIterator[Event]:
        """Ask the model through its provider; see `Provider.stream`. Of a rested model this is its trial."""
        health = self._health[model_id]
        events = self._providers[health.model.api_type].stream(health.model, messages, sampling, schema)
        if not health.may_be_tried(self._clock()):
            return events
        health.trial_until = _NEVER
        return self._trial(health, events)

    def record_success(self, model_id: str, first_token_ms: float) -> None:
        """An answer finished: the model's failures in a row are forgotten."""
        health = self._health[model_id]
        health.answers += 1
        health.first_tokens_ms.append(first_token_ms)
        health.look_again_s = _FIRST_LOOK_AGAIN_S
        health.end_rest()

    def record_failure(self, model_id: str, kind: FailureKind, detail: str = "", *, rests: bool = True) -> None:
        """An attempt failed: after `rest_after_failures` in a row the model rests; not found retires it at once.

        `detail` goes to the log. Without `rests` the failure is counted, but not among those in a row. A refused prompt
        (`BLOCKED`) is counted but says nothing about the model's health.
        """
        health = self._health[model_id]
        health.failures[kind] += 1
        health.last_failure_at = datetime.now(UTC)
        log.warning("model %s: %s: %s", model_id, kind, detail or "no detail")
        match kind:
            case FailureKind.NOT_FOUND:
                self._close(health, ModelState.RETIRED, _not_found(health.model))
            case FailureKind.UNAUTHORISED:
                self._close(health, ModelState.NOT_READY, _unauthorised(health.model))
            case FailureKind.NOT_CONFIGURED:
                self._close(health, ModelState.NOT_READY, detail or "It is not configured.")
            case FailureKind.BLOCKED:
                health.trial_until = 0.0
            case _ if rests:
                self._count_towards_rest(health)
            case _:
                health.trial_until = 0.0

    async def aclose(self) -> None:
        """Close every provider."""
        self._loop = None
        for look in self._looks:
            look.cancel()
        for provider in self._providers.values():
            await provider.aclose()

    # ── readiness ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _look(self, health: _Health) -> None:
        """Ask the provider whether the model can be asked, and note what it says."""
        model = health.model
        if model.missing_variables:
            health.state = ModelState.NOT_READY
            health.reason = _missing(model)
            return
        try:
            readiness = await self._providers[model.api_type].prepare(model)
        except Exception:
            # One model's surprise must not keep the others from starting; the log has the traceback.
            log.exception("model %s: could not be prepared", model.id)
            self._close(health, ModelState.NOT_READY, "Preparing it failed unexpectedly; see the log.")
            return
        health.shuts_down_on = readiness.shuts_down_on
        if readiness.ready:
            self._open(health)
        else:
            self._close(health, ModelState.RETIRED if readiness.retired else ModelState.NOT_READY, readiness.reason)

    def _open(self, health: _Health) -> None:
        """The model can be asked; a resting one may be tried at once."""
        if health.state is not ModelState.READY:
            log.info("model %s is ready", health.model.id)
            health.end_rest()
        health.state, health.reason = ModelState.READY, ""
        health.resting_until = min(health.resting_until, self._clock())

    def _close(self, health: _Health, state: ModelState, reason: str) -> None:
        """The model cannot be asked; when to look again depends on why."""
        if (health.state, health.reason) != (state, reason):
            log.warning("model %s is %s: %s", health.model.id, state, reason)
        health.state, health.reason = state, reason
        health.end_rest()
        if state is ModelState.RETIRED:
            health.look_again_at = self._clock() + _LOOK_AT_RETIRED_S
        else:
            health.look_again_at = self._clock() + health.look_again_s
            health.look_again_s = min(2 * health.look_again_s, _LONGEST_REST_S)

    def _look_again(self, now: float) -> None:
        """Start a look at each model whose time has come; any thread may get here through a page."""
        if self._loop is None:
            return
        for model_id, health in self._health.items():
            if now >= health.look_again_at:
                health.look_again_at = _NEVER
                self._loop.call_soon_threadsafe(self._start_look, model_id)

    def _start_look(self, model_id: str) -> None:
        look = asyncio.ensure_future(self.prepare_one(model_id))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    # ── rests ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_towards_rest(self, health: _Health) -> None:
        """Rest a model that keeps failing, and twice as long when its trial failed too."""
        now = self._clock()
        health.failures_in_row += 1
        if now < health.resting_until:
            return  # a battle that had begun before the rest
        if health.rest_s > 0:
            health.rest_s = min(2 * health.rest_s, _LONGEST_REST_S)
        elif health.failures_in_row >= self._settings.rest_after_failures:
            health.rest_s = self._settings.rest_s
        else:
            return
        health.rested_at = now
        health.resting_until = now + health.rest_s
        health.trial_until = 0.0
        log.warning("model %s rests for %.0f s", health.model.id, health.rest_s)

    async def _trial(self, health: _Health, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        """Pass a trial's events on; whatever becomes of it, its claim ends soon after it."""
        try:
            async with aclosing(cast("AsyncGenerator[Event]", events)):
                async for event in events:
                    yield event
        finally:
            if health.trial_until == _NEVER:
                health.trial_until = self._clock() + _OUTCOME_S

    # ── what the operator reads ─────────────────────────────────────────────────────────────────────────────────────

    def _status(self, health: _Health) -> ModelStatus:
        resting = health.state is ModelState.READY and health.rest_s > 0
        remaining = timedelta(seconds=max(0.0, health.resting_until - self._clock()))
        return ModelStatus(
            model=health.model,
            state=ModelState.RESTING if resting else health.state,
            reason=f"Rests after {health.failures_in_row} failures in a row." if resting else health.reason,
            deployment=self.deployment(health.model.id),
            answers=health.answers,
            failures=dict(health.failures),
            last_failure_at=health.last_failure_at,
            resting_until=datetime.now(UTC) + remaining if resting else None,
            median_first_token_ms=statistics.median(health.first_tokens_ms) if health.first_tokens_ms else None,
            shuts_down_on=health.shuts_down_on,
        )


def _missing(model: ModelEntry) -> str:
    names = " and ".join(model.missing_variables)
    verb = "are" if len(model.missing_variables) > 1 else "is"
    return f"{names} {verb} not set: set it in the environment or in .env, then restart."


def _not_found(model: ModelEntry) -> str:
    return f"{_place(model)} has no model {model.model_name} (any more): correct model_name, or give it weight 0."


def _unauthorised(model: ModelEntry) -> str:
    credential = {
        "openai": "the API key: check OPENAI_API_KEY",
        "compatible": "the API key: check api_key of this entry",
        "vertex": "the credentials: check GOOGLE_APPLICATION_CREDENTIALS and the account's role Vertex AI User",
    }.get(model.platform, "the request")
    return f"{_place(model)} refused {credential}."


def _place(model: ModelEntry) -> str:
    places = {"openai": "OpenAI", "vertex": f"Vertex AI in project {model.project_id}"}
    return places.get(model.platform, f"The server at {model.api_base}")
