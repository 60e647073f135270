"""One side of a battle, or a chat: asks a model, again or another one where that is allowed. No database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from arena.battle.pacing import Progress
from arena.config import Settings
from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.fleet import Fleet
from arena.logs import without_quotations
from arena.providers.base import AnswerProgress, Deadlines, Message, Sampling, pump
from arena.providers.factory import deadlines_of
from arena.roster import ModelEntry
from arena.tables import new_id, now

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.2
"""A breath before the same model is asked again."""
MOST_ALONE = 4
"""How often one model is asked at most, in the seat's time, where no other one is left to take its seat."""

_ATTEMPTS_THAT_TELL = 2

Afford = Callable[[ModelEntry, Sequence[Message], Sampling], Awaitable[bool]]
"""Sets aside what one more request may cost; `False` where there is no money for it."""


async def free(*_: object) -> bool:
    """Afford everything."""
    return True


@dataclass(frozen=True, slots=True)
class Part:
    """What one seat asks for."""

    model_id: str
    messages: Sequence[Message]
    sampling: Sampling | None = None
    """`None`: the model's own recommended one, also that of a replacement."""


@dataclass(slots=True)
class Attempt:
    """One request to one model, and what came of it."""

    model: ModelEntry
    deployment: str | None
    sampling: Sampling
    number: int
    """1, 2, … at its seat."""
    id: str = field(default_factory=new_id)
    started_at: datetime = field(default_factory=now)
    progress: AnswerProgress = field(default_factory=AnswerProgress)


class Seat:
    """One side: asks a model, again or another one where that is allowed, until an answer is complete or none can be.

    All attempts share one deadline for the first text.
    """

    def __init__(
        self,
        fleet: Fleet,
        settings: Settings,
        part: Part,
        *,
        may_restart: Callable[[], bool] = lambda: True,
        replacement: Callable[[], str | None] | None = None,
        affords: Afford = free,
    ) -> None:
        """`may_restart` tells whether an attempt may still be replaced unseen; `replacement` draws another model.

        `affords` is asked before each further attempt: the first one was paid for before.
        """
        self._fleet = fleet
        self._settings = settings
        self._part = part
        self._may_restart = may_restart
        self._replacement = replacement
        self._affords = affords
        self.attempts: list[Attempt] = []
        self.failed = False
        """Failed for good."""
        self.ended_at: float | None = None
        """When the last attempt ended, on the event loop's clock."""
        self._open(part.model_id)

    @property
    def current(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]

    @property
    def messages(self) -> Sequence[Message]:
        """What is asked, of whomever."""
        return self._part.messages

    @property
    def complete(self) -> bool:
        """The seat has an answer that a vote may be given on."""
        return self.current.progress.complete

    @property
    def progress(self) -> Progress:
        """How far the seat is; of a failed attempt that may be replaced there is nothing to show."""
        progress = self.current.progress
        length = 0 if progress.error is not None else len(progress.text)
        return Progress(length, self.failed or self.complete, self.failed)

    async def run(self) -> None:
        """Ask until the seat is complete or has failed for good. Cancelling closes the connection at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.first_text_s
        while not await self._ask(deadline):
            successor = self._successor(loop.time() < deadline)
            if successor is None:
                self.failed = True
                break
            if successor == self.current.model.id:
                await asyncio.sleep(RETRY_PAUSE_S)
            if not await self._pay(successor):
                self.failed = True
                break
            self._open(successor)
        self.ended_at = loop.time()

    async def _pay(self, model_id: str) -> bool:
        model = self._fleet.entry(model_id)
        return await self._affords(model, self.messages, self._sampling(model))

    def _sampling(self, model: ModelEntry) -> Sampling:
        return self._part.sampling or recommended_sampling(model)

    def _open(self, model_id: str) -> None:
        model = self._fleet.entry(model_id)
        sampling = self._sampling(model)
        number = len(self.attempts) + 1
        self.attempts.append(Attempt(model, self._fleet.deployment(model_id), sampling, number))

    async def _ask(self, deadline: float) -> bool:
        """Run the latest attempt to its end; whether the answer is complete."""
        attempt = self.current
        attempt.started_at = now()
        try:
            await self._pump_until(deadline, attempt)
        except TimeoutError:
            attempt.progress.error = ProviderUnavailable(FailureKind.NO_FIRST_TOKEN, "no text within the seat's time")
        except Exception:  # a bug in one provider fails its answer, not the arena
            log.exception("answer %s: the provider of %s is broken", attempt.id, attempt.model.id)
        attempt.deployment = self._fleet.deployment(attempt.model.id)  # asking may have found that the model has moved
        if attempt.progress.complete:
            self._fleet.record_success(attempt.model.id, attempt.progress.first_token_ms or 0.0)
            return True
        error = attempt.progress.error or ProviderError(FailureKind.EMPTY, "no text")
        attempt.progress.error = error
        detail = without_quotations(error.detail, [message.content for message in self._part.messages])
        asked = sum(earlier.model.id == attempt.model.id for earlier in self.attempts)
        # One battle that asks again and again says no more about a model's health than one that asked twice.
        self._fleet.record_failure(attempt.model.id, error.kind, detail, rests=asked <= _ATTEMPTS_THAT_TELL)
        return False

    async def _pump_until(self, deadline: float, attempt: Attempt) -> None:
        """Pump, and raise `TimeoutError` if there is no text at `deadline` (thinking is not text)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:

            def expire() -> None:
                if not attempt.progress.begun:
                    limit.reschedule(loop.time())

            timer = loop.call_at(deadline, expire)
            try:
                events = self._fleet.stream(attempt.model.id, self._part.messages, attempt.sampling)
                await pump(events, self._deadlines(deadline - loop.time()), attempt.progress)
            finally:
                timer.cancel()

    def _deadlines(self, remaining_s: float) -> Deadlines:
        usual = deadlines_of(self._settings)
        return replace(usual, first_token_s=max(0.001, min(usual.first_token_s, remaining_s)))

    def _successor(self, in_time: bool) -> str | None:
        """Which model is asked next, after the latest attempt failed."""
        if not in_time or not self._may_restart():
            return None
        latest = self.current
        asked = sum(attempt.model.id == latest.model.id for attempt in self.attempts)
        error = latest.progress.error
        if asked == 1 and self._worth_retrying(error):
            return latest.model.id
        if self._replacement is None:
            return None
        return self._replacement() or (latest.model.id if asked < MOST_ALONE and _may_pass(error) else None)

    def _worth_retrying(self, error: ProviderError | None) -> bool:
        """Whether the same model may do better; one that nobody can replace is given the benefit of the doubt."""
        if self._replacement is None:
            return _may_pass(error)
        return isinstance(error, ProviderUnavailable) and error.kind is not FailureKind.NO_FIRST_TOKEN


def _may_pass(error: ProviderError | None) -> bool:
    return isinstance(error, ProviderUnavailable) or (error is not None and error.kind is FailureKind.EMPTY)


def recommended_sampling(model: ModelEntry) -> Sampling:
    """How the roster says this model is to be sampled."""
    recommended = model.recommended_config
    return Sampling(recommended.temperature, recommended.top_p, recommended.max_new_tokens)
