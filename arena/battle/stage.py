"""Two models asked at once and shown at one pace. No database."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from arena.battle.pacing import CommonPace, LivePace, Pace
from arena.battle.seats import Afford, Attempt, Part, Seat, free
from arena.battle.tempo import Tempo
from arena.config import Settings
from arena.fleet import Fleet


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
        self,
        fleet: Fleet,
        settings: Settings,
        parts: tuple[Part, Part],
        replacement: Replacement | None = None,
        *,
        tempo: Tempo,
        affords: Afford = free,
    ) -> None:
        """`replacement` is `None` where nobody may take a seat: named models, and turns after the first.

        `tempo` tells when frames are shown; `affords` is asked before each further attempt.
        """
        self._tempo = tempo
        self._pace: Pace = (
            LivePace() if settings.pace == "live" else CommonPace(settings.pace_characters_per_s, tempo.frame_s())
        )
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._sent_at = 0.0
        self.stopped = False
        self.first_shown_ms: float | None = None

        def seat(index: int) -> Seat:
            draw = (lambda: self._replace(index, replacement)) if replacement else None
            may = self._may_restart
            return Seat(fleet, settings, parts[index], may_restart=may, replacement=draw, affords=affords)

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
        """Yield what to show whenever it changes, at most once a frame, until all is shown or stopped.

        The first text is shown as soon as it is there. A bug in a seat surfaces here.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
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
            if not self._pace.begun:
                await self._first_texts()
                due = loop.time()
                continue
            due = self._tempo.next_frame(due)
            await asyncio.sleep(due - loop.time())

    async def _first_texts(self) -> None:
        """Wait until both sides have text, or for a frame: a side may fail, be replaced or be stopped meanwhile."""
        if all(seat.progress.length for seat in self.seats):
            await asyncio.sleep(self._tempo.frame_s())
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._tempo.frame_s()):
                for seat in self.seats:
                    while not seat.progress.length:
                        changed = seat.current.progress.changed
                        changed.clear()
                        await changed.wait()

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
