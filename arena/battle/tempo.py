"""When what streams is read and shown, by how many runs there are and how full the core is."""

import asyncio
import math
import time
from collections.abc import Callable

_BUSY, _FULL = 8.5, 5.0
"""Frames a second, at most: with many runs, and where the processor has no room for more."""
_MANY, _VERY_MANY, _TOO_MANY = 45, 85, 110
"""Above so many runs at once they are many; above so many they may be, or surely are, too many to be shown as often."""
_TOO_FULL, _ROOM_AGAIN = 0.78, 0.58
"""Of one core: above the first frames become fewer, below the second they become more. The same runs take a third
less at the lower rate, so that a change of rate does not lead to the opposite change."""
_LOOK_S = 2.0
_TOGETHER = 20
"""Runs that have one moment in common: a process that is woken for each of them finds the processor's caches cold each
time, which takes longer than the work. Not all of them at once, as whatever else comes then would wait for all."""
_SHOWN_LATER_S = 0.01
"""How long after they are read answers are shown."""


def loop_s() -> float:
    """The time on the running event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


class Tempo:
    """When each run is refreshed; better fewer frames than late ones.

    An interpreter runs on one core, so what it takes of a core tells how much room there is. That decides from 86 to
    110 runs at once, which one processor has room for and another has not. Fewer are shown often on any, more on none.

    All moments are on the event loop's clock. It stands still while the loop goes through what is due, so those who are
    shown together stay together.
    """

    def __init__(
        self,
        frames_per_s: float,
        runs: Callable[[], int],
        clock: Callable[[], float] = loop_s,
        processor_s: Callable[[], float] = time.process_time,
        late: Callable[[float], None] | None = None,
    ) -> None:
        """`frames_per_s` is how often a run is shown where there is room, `runs` how many there are now.

        `late` is told of each frame how many seconds after its time it was shown. The others tell seconds.
        """
        self._most = frames_per_s
        self._runs = runs
        self._clock = clock
        self._processor_s = processor_s
        self._late = late
        self._looked: tuple[float, float] | None = None
        self._full = False

    def frame_s(self) -> float:
        """Seconds between two frames of one run, now."""
        self._look()
        runs = self._runs()
        if runs <= _MANY:
            return 1.0 / self._most
        full = runs > (_VERY_MANY if self._full else _TOO_MANY)
        return 1.0 / min(self._most, _FULL if full else _BUSY)

    def next_frame(self, due: float) -> float:
        """When the next frame of a run is shown whose latest one was due at `due`: together with those of other runs.

        Frames keep their times, whatever showing one took; after a late one the next ones are not hurried.
        """
        frame_s, now = self.frame_s(), self._clock()
        if self._late is not None:
            self._late(now - due)
        at = self._in_common(due + frame_s, frame_s, _SHOWN_LATER_S)
        return at if at >= now + frame_s / 2 else self._in_common(now + frame_s, frame_s, _SHOWN_LATER_S)

    def reading_s(self) -> float:
        """Seconds until an answer that was read just now is read on: shortly before its frame, with those of others."""
        frame_s, now = self.frame_s(), self._clock()
        return self._in_common(now + frame_s, frame_s, 0.0) - now

    def _in_common(self, moment: float, frame_s: float, shift_s: float) -> float:
        """The nearest of the moments that runs have in common, of which each frame has as many as are needed."""
        between_s = frame_s / max(1, math.ceil(self._runs() / _TOGETHER))
        shift_s = min(shift_s, between_s / 2)
        return round((moment - shift_s) / between_s) * between_s + shift_s

    def _look(self) -> None:
        """Now and then, see how full the core is."""
        now = self._clock()
        if self._looked is None:
            self._looked = now, self._processor_s()
        then, spent_then = self._looked
        if now - then < _LOOK_S:
            return
        spent = self._processor_s()
        share = (spent - spent_then) / (now - then)
        self._full = share > (_ROOM_AGAIN if self._full else _TOO_FULL)
        self._looked = now, spent
