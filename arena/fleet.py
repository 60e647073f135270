"""Which models can be asked now, and how they have been doing: readiness, rests after failures, half-open trials."""

import asyncio
import logging
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast

from arena.config import Settings
from arena.errors import FailureKind
from arena.model_health import NEVER, Health, ModelState, why_missing, why_not_found, why_unauthorised
from arena.providers.base import Event, JsonSchema, Message, Provider, Sampling
from arena.roster import ModelEntry, Roster

__all__ = ["Fleet", "ModelState", "ModelStatus"]

log = logging.getLogger(__name__)

_OUTCOME_S = 1.0
"""How long after its stream a trial's outcome may be recorded before the next trial is allowed."""


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
        self._health = {entry.id: Health(entry) for entry in roster}
        self._entries = tuple(roster)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks: set[asyncio.Task[ModelStatus]] = set()
        self._listeners: list[Callable[[ModelEntry], None]] = []

    def on_ready(self, listener: Callable[[ModelEntry], None]) -> None:
        """From now on tell `listener` of each model that becomes ready, or turns out to have moved, in the event loop.

        What only asking a model finds is not told before the next look at it: it stands in that answer's record.
        """
        self._listeners.append(listener)

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
        self._health = {**self._health, entry.id: Health(entry)}
        self._entries = (*self._entries, entry)
        if self._loop is not None:
            self._start_look(entry.id)
        return True

    async def prepare_one(self, model_id: str) -> ModelStatus:
        """Look again at one model (the operator's button, or a changed deployment); a rest ends in a trial."""
        health = self._health[model_id]
        health.look_again_at = NEVER
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
        health.trial_until = NEVER
        return self._trial(health, events)

    def record_success(self, model_id: str, first_token_ms: float) -> None:
        """An answer finished: the model's failures in a row are forgotten."""
        self._health[model_id].succeed(first_token_ms)

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
                self._close(health, ModelState.RETIRED, why_not_found(health.model))
            case FailureKind.UNAUTHORISED:
                self._close(health, ModelState.NOT_READY, why_unauthorised(health.model))
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

    async def _look(self, health: Health) -> None:
        """Ask the provider whether the model can be asked, and note what it says."""
        model = health.model
        if model.missing_variables:
            health.state = ModelState.NOT_READY
            health.reason = why_missing(model)
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

    def _open(self, health: Health) -> None:
        came, deployment = health.state is not ModelState.READY, self.deployment(health.model.id)
        health.open(self._clock())
        if came:
            log.info("model %s is ready", health.model.id)
        if came or health.deployment != deployment:
            health.deployment = deployment
            for listener in self._listeners:
                listener(health.model)

    def _close(self, health: Health, state: ModelState, reason: str) -> None:
        if (health.state, health.reason) != (state, reason):
            log.warning("model %s is %s: %s", health.model.id, state, reason)
        health.close(state, reason, self._clock())

    def _look_again(self, now: float) -> None:
        """Start a look at each model whose time has come; any thread may get here through a page."""
        if self._loop is None:
            return
        for model_id, health in self._health.items():
            if now >= health.look_again_at:
                health.look_again_at = NEVER
                self._loop.call_soon_threadsafe(self._start_look, model_id)

    def _start_look(self, model_id: str) -> None:
        look = asyncio.ensure_future(self.prepare_one(model_id))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    # ── rests ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_towards_rest(self, health: Health) -> None:
        rest_after, rest_s = self._settings.rest_after_failures, self._settings.rest_s
        if health.fail_in_row(self._clock(), rest_after=rest_after, rest_s=rest_s):
            log.warning("model %s rests for %.0f s", health.model.id, health.rest_s)

    async def _trial(self, health: Health, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        """Pass a trial's events on; whatever becomes of it, its claim ends soon after it."""
        try:
            async with aclosing(cast("AsyncGenerator[Event]", events)):
                async for event in events:
                    yield event
        finally:
            if health.trial_until == NEVER:
                health.trial_until = self._clock() + _OUTCOME_S

    # ── what the operator reads ─────────────────────────────────────────────────────────────────────────────────────

    def _status(self, health: Health) -> ModelStatus:
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
