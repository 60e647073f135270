"""How often what streams is shown, by how many runs there are and how full the core is."""

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


class Tempo:
    """How often each run is refreshed; better fewer frames than late ones.

    An interpreter runs on one core, so what it takes of a core tells how much room there is. That decides from 86 to
    110 runs at once, which one processor has room for and another has not. Fewer are shown often on any, more on none.
    """

    def __init__(
        self,
        frames_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        processor_s: Callable[[], float] = time.process_time,
    ) -> None:
        """`frames_per_s` is how often a run is shown where there is room; the others tell seconds."""
        self._most = frames_per_s
        self._clock = clock
        self._processor_s = processor_s
        self._looked = clock(), processor_s()
        self._full = False

    def frame_s(self, runs: int) -> float:
        """Seconds between two frames of one run, with so many at once."""
        self._look()
        if runs <= _MANY:
            return 1.0 / self._most
        full = runs > (_VERY_MANY if self._full else _TOO_MANY)
        return 1.0 / min(self._most, _FULL if full else _BUSY)

    def _look(self) -> None:
        """Now and then, see how full the core is."""
        (then, spent_then), now = self._looked, self._clock()
        if now - then < _LOOK_S:
            return
        spent = self._processor_s()
        share = (spent - spent_then) / (now - then)
        self._full = share > (_ROOM_AGAIN if self._full else _TOO_FULL)
        self._looked = now, spent
