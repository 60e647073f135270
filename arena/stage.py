"""Two models asked at once and shown at one pace: attempts, retries, replacements. No database."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from arena.config import Settings
from arena.database import new_id, now
from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.fleet import Fleet
from arena.pacing import CommonPace, LivePace, Pace, Progress
from arena.providers.base import AnswerProgress, Deadlines, Message, Sampling, pump
from arena.providers.factory import deadlines_of
from arena.roster import ModelEntry

log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.2
"""A breath before the same model is asked again."""


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
    ) -> None:
        """`may_restart` tells whether an attempt may still be replaced unseen; `replacement` draws another model."""
        self._fleet = fleet
        self._settings = settings
        self._part = part
        self._may_restart = may_restart
        self._replacement = replacement
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
            self._open(successor)
        self.ended_at = loop.time()

    def _open(self, model_id: str) -> None:
        model = self._fleet.entry(model_id)
        sampling = self._part.sampling or recommended_sampling(model)
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
        self._fleet.record_failure(attempt.model.id, error.kind, error.detail)
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
        if asked == 1 and self._worth_retrying(latest.progress.error):
            return latest.model.id
        return self._replacement() if self._replacement else None

    def _worth_retrying(self, error: ProviderError | None) -> bool:
        """Whether the same model may do better; one that nobody can replace is given the benefit of the doubt."""
        if error is None:
            return False
        if self._replacement is None:
            return isinstance(error, ProviderUnavailable) or error.kind is FailureKind.EMPTY
        return isinstance(error, ProviderUnavailable) and error.kind is not FailureKind.NO_FIRST_TOKEN


def recommended_sampling(model: ModelEntry) -> Sampling:
    """How the roster says this model is to be sampled."""
    recommended = model.recommended_config
    return Sampling(recommended.temperature, recommended.top_p, recommended.max_new_tokens)


@dataclass(frozen=True, slots=True)
class Frame:
    """What both panes show at one moment."""

    texts: tuple[str, str]
    waiting: tuple[bool, bool]
    begun: bool
    """Text was shown."""
    failed: bool
    """A side failed for good: there will be nothing to vote on."""


Replacement = Callable[[str, Collection[str]], str | None]
"""Given the opponent and the models already tried, the model that takes a seat, or `None`."""


class Stage:
    """Two seats, asked at once and shown at one pace."""

    def __init__(
        self, fleet: Fleet, settings: Settings, parts: tuple[Part, Part], replacement: Replacement | None = None
    ) -> None:
        """`replacement` is `None` where nobody may take a seat: named models, and turns after the first."""
        self._frame_s = 1.0 / settings.frames_per_s
        self._pace: Pace = (
            LivePace() if settings.pace == "live" else CommonPace(settings.pace_characters_per_s, self._frame_s)
        )
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._sent_at = 0.0
        self.stopped = False
        self.first_shown_ms: float | None = None

        def seat(index: int) -> Seat:
            draw = (lambda: self._replace(index, replacement)) if replacement else None
            return Seat(fleet, settings, parts[index], may_restart=self._may_restart, replacement=draw)

        self.seats = (seat(0), seat(1))

    @property
    def first_attempts(self) -> tuple[Attempt, Attempt]:
        """What is asked first, for the record that is written before."""
        a, b = self.seats
        return a.attempts[0], b.attempts[0]

    @property
    def complete(self) -> bool:
        """Both answers are there, though perhaps not shown to their ends."""
        return all(seat.complete for seat in self.seats)

    @property
    def failed(self) -> bool:
        """A side failed for good."""
        return any(seat.failed for seat in self.seats)

    @property
    def failures(self) -> str | None:
        """Which sides failed for good and how, for the record."""
        sides = zip("ab", self.seats, strict=True)
        told = [
            f"{side}: {error.kind}" for side, seat in sides if seat.failed and (error := seat.current.progress.error)
        ]
        return ", ".join(told) or None

    @property
    def answered_ms(self) -> float | None:
        """From sending to both answers complete."""
        ends = [seat.ended_at for seat in self.seats if seat.complete and seat.ended_at is not None]
        return (max(ends) - self._sent_at) * 1000 if len(ends) == len(self.seats) else None

    @property
    def texts(self) -> tuple[str, str]:
        """Everything that was received."""
        a, b = self.seats
        return a.current.progress.text, b.current.progress.text

    def start(self, sent_at: float) -> None:
        """Ask both models, unless stopped already; `sent_at` is when the visitor sent, on the event loop's clock."""
        self._sent_at = sent_at
        if self.stopped:
            return
        self._tasks = tuple(asyncio.create_task(seat.run()) for seat in self.seats)

    def stop(self) -> None:
        """Cancel what still streams; `frames` ends at its next frame."""
        self.stopped = True
        for task in self._tasks:
            task.cancel()

    async def stopped_streams(self) -> None:
        """Wait until every connection is closed."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def frames(self) -> AsyncGenerator[Frame]:
        """Yield what to show whenever it changes, at most `frames_per_s` times a second, until all is shown or stopped.

        A bug in a seat surfaces here.
        """
        loop = asyncio.get_running_loop()
        latest: object = None
        while not self.stopped:
            self._raise_bugs()
            a, b = self.seats
            shown = self._pace.step(loop.time(), a.progress, b.progress)
            if self._pace.begun and self.first_shown_ms is None:
                self.first_shown_ms = (loop.time() - self._sent_at) * 1000
            state = (shown, self.failed)
            if state != latest:
                latest = state
                text_a, text_b = self.texts
                texts = text_a[: shown.lengths[0]], text_b[: shown.lengths[1]]
                yield Frame(texts, shown.waiting, self._pace.begun, self.failed)
            if shown.over:
                return
            await asyncio.sleep(self._frame_s)

    def _raise_bugs(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (bug := task.exception()):
                raise bug

    def _may_restart(self) -> bool:
        return not self._pace.begun and not self.failed

    def _replace(self, index: int, replacement: Replacement) -> str | None:
        opponent = self.seats[1 - index].current.model.id
        tried = {attempt.model.id for seat in self.seats for attempt in seat.attempts} - {opponent}
        return replacement(opponent, tried)
