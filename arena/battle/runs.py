"""What streams in this process: each run is started, shown and ended once, whoever ends it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeVar

from arena.battle.headroom import Headroom
from arena.battle.line import Line
from arena.battle.tempo import Tempo, loop_s
from arena.errors import BattleError
from arena.outages import DatabaseUnavailable
from arena.voters import VoterIdentity

View = TypeVar("View")
INTERRUPTED = "the arena was stopped"
"""Why a battle was abandoned that its visitor did not leave."""
NOT_STORED = "This could not be stored just now; the arena keeps trying. Reload the page in a minute to go on."
_FIRST_TRY_AGAIN_S, _LAST_TRY_AGAIN_S = 0.5, 15.0
"""When an outcome that could not be written is tried again; doubled each time."""


class Run(ABC, Generic[View]):
    """One stream of a page, from its first row in the database to its last.

    It is ended by whoever comes first: its own end, Stop, a page that is gone, or the arena's stop. Ending cancels the
    providers' streams at once and writes the outcome exactly once, even if nobody reads the views any more.
    """

    def __init__(self, key: str, voter: VoterIdentity) -> None:
        """`key` is the battle's or conversation's id."""
        self.key = key
        self.voter = voter
        self._loop = asyncio.get_running_loop()
        self._began: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[View | None] | None = None
        self.late: asyncio.Task[None] | None = None
        """Writes the outcome as soon as the database works again, where it did not at the end."""
        self._afterwards: list[Callable[[], None]] = []

    @property
    def begun(self) -> bool:
        """It is no longer in line."""
        return self._began is not None

    @property
    def ending(self) -> bool:
        """It was ended, though its outcome may not be written yet."""
        return self._ended is not None

    @property
    def over(self) -> bool:
        """Its outcome is written."""
        return self._ended is not None and self._ended.done()

    @abstractmethod
    async def start(self) -> None:
        """Write what is to be asked, then ask; a `BattleError` refuses the run and nothing was written."""

    @abstractmethod
    def frames(self) -> AsyncGenerator[View]:
        """What to show while it streams; ends soon after `halt`."""

    @abstractmethod
    def halt(self) -> None:
        """Cancel the streams at once."""

    @abstractmethod
    async def finish(self, reason: str | None) -> View:
        """Write the outcome; `reason` says who ended it early. Returns the last view."""

    @abstractmethod
    def queued(self, place: int) -> View:
        """What to show while it waits in line; place 1 is the next one to be served."""

    @abstractmethod
    def unserved(self) -> View:
        """What to show when it left the line before it was served; nothing of it was written."""

    def afterwards(self, call: Callable[[], None]) -> None:
        """Call this once it is over."""
        self._afterwards.append(call)

    def end(self, reason: str | None = None) -> "asyncio.Task[View | None]":
        """Cancel and write, the first time this is called; the task returns the last view, `None` if it never began."""
        if self._ended is None:
            self.halt()
            self._ended = asyncio.create_task(self._end(reason))
            self._ended.add_done_callback(self._tell)
        return self._ended

    def end_soon(self, reason: str) -> None:
        """Do what `end` does, from any thread."""
        self._loop.call_soon_threadsafe(self.end, reason)

    async def play(self) -> AsyncGenerator[View]:
        """Start, yield every view to the last one, and leave nothing running however this generator ends."""
        try:
            self._began = asyncio.create_task(self.start())
            await asyncio.shield(self._began)  # whoever leaves now must not leave half a battle
            async with aclosing(self.frames()) as frames:
                async for view in frames:
                    yield view
            last = await asyncio.shield(self.end())
            if last is not None:
                yield last
        except Exception:
            self.end("error")
            raise
        finally:
            await asyncio.shield(self.end("left"))

    def _tell(self, ended: "asyncio.Task[View | None]") -> None:
        del ended
        for call in self._afterwards:
            call()

    async def _end(self, reason: str | None) -> View | None:
        if self._began is None:
            return None
        await asyncio.wait({self._began})
        if self._began.exception() is not None:
            return None
        self.halt()  # it may have begun to stream after the first call
        try:
            return await self.finish(reason)
        except DatabaseUnavailable as error:
            self.late = asyncio.create_task(self._finish_late(reason))
            raise BattleError(NOT_STORED) from error

    async def _finish_late(self, reason: str | None) -> None:
        wait_s = _FIRST_TRY_AGAIN_S
        while True:
            await asyncio.sleep(wait_s)
            with suppress(DatabaseUnavailable):
                await self.finish(reason)
                return
            wait_s = min(2 * wait_s, _LAST_TRY_AGAIN_S)


class Runs:
    """The runs of this process: those that stream, and those that wait in line for it."""

    def __init__(self, most: int, most_waiting: int, frames_per_s: float) -> None:
        """`most` may stream at once, and `most_waiting` wait; `frames_per_s` is how often each is shown, uncrowded."""
        self._line = Line(most, most_waiting)
        headroom = Headroom(self._line, loop_s)
        self.tempo = Tempo(frames_per_s, lambda: len(self), late=headroom.note)
        self._runs: set[Run[Any]] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._draining = False

    def __len__(self) -> int:
        """How many have a place."""
        return self._line.running

    def __iter__(self) -> Iterator[Run[Any]]:
        """Those whose outcome is not written; a view that nobody reads any more keeps none of them alive."""
        return iter([run for run in list(self._runs) if not run.over])

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return self._line.waiting

    def admit(self, voter: VoterIdentity) -> None:
        """Refuse a further run with a `BattleError` where it has no place, not even in line."""
        if self._draining:
            raise BattleError("The arena is about to restart. Please come back in a minute.", reason="stopping")
        self._line.check(voter.voter_id)

    async def play(self, run: Run[View]) -> AsyncGenerator[View]:
        """Let an admitted run wait for its place, play it, and keep it in the list until its outcome is written."""
        self.admit(run.voter)
        ticket = self._line.join(run.voter.voter_id)
        run.afterwards(lambda: self._line.leave(ticket))
        self._runs.add(run)
        try:
            async with aclosing(self._line.places(ticket)) as places:
                async for place in places:
                    yield run.queued(place)
            if run.ending or not ticket.served:
                yield run.unserved()
                return
            async with aclosing(run.play()) as views:
                async for view in views:
                    yield view
        finally:
            self._line.leave(ticket)
            self._runs.discard(run)
            if run.late is not None and not run.late.done():
                self._late.add(run.late)
                run.late.add_done_callback(self._late.discard)

    async def drain(self, seconds: float) -> int:
        """Admit nobody, let the runs finish for up to `seconds`, end the rest; returns how many were cut.

        Who waits in line is sent away at once, and not counted: nothing of theirs had begun.
        """
        self._draining = True
        if sent_away := [run.end(INTERRUPTED) for run in self if not run.begun]:
            await asyncio.wait(sent_away)
        deadline = asyncio.get_running_loop().time() + seconds
        while len(self) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        cut = list(self)
        if cut:
            await asyncio.wait({run.end(INTERRUPTED) for run in cut})
        for task in self._late:
            task.cancel()
        return len(cut)
