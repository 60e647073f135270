"""How many runs may stream at once: fewer than allowed while those that stream are shown late."""

import logging
from collections.abc import Callable

from arena.battle.line import Line

log = logging.getLogger(__name__)

_LATE_S, _EASED_S = 0.1, 0.05
"""Frames that are so late on average are late; those below the second are in time again."""
_WORST_S = 0.3
"""No frame counts as later than this: one page that stalls is no full processor."""
_LOOK_S = 0.5
_FEWEST = 20
"""With so few runs it is not their number that makes frames late, so nobody is held back."""
_KEPT = 0.95
"""So many of the runs that made frames late may go on; at each look again."""
_MORE = 0.05
"""So many more may begin at each look with frames in time: who waited does not begin all at once."""
_FORGOTTEN_S = 10.0
"""So long after the last late frames nobody is held back any more, once the line is empty."""


class Headroom:
    """Holds new runs in line while the processor cannot keep up, so that whoever streams or votes is still served.

    Without it more visitors than a processor can serve make every frame, every first text and every vote late. How many
    that are differs by machine, by answers, and by what else runs there, so that no setting can tell.
    """

    def __init__(self, line: Line, clock: Callable[[], float]) -> None:
        """`line` keeps its limit until frames are late; `clock` tells seconds."""
        self._line = line
        self._most = line.limit
        self._clock = clock
        self._looked_at: float | None = None
        self._late_at: float | None = None
        self._late_s = 0.0
        self._frames = 0

    def note(self, late_s: float) -> None:
        """A frame was shown so many seconds after it was due."""
        now = self._clock()
        if self._looked_at is None:
            self._looked_at = now
        self._late_s += min(late_s, _WORST_S)
        self._frames += 1
        if now - self._looked_at >= _LOOK_S:
            self._look(now, self._late_s / self._frames)
            self._looked_at, self._late_s, self._frames = now, 0.0, 0

    def _look(self, now: float, late_s: float) -> None:
        if late_s > _LATE_S:
            self._hold_back(now)
        elif late_s < _EASED_S:
            self._let_in(now)

    def _let_in(self, now: float) -> None:
        line = self._line
        if self._late_at is not None and now - self._late_at > _FORGOTTEN_S and not line.waiting:
            log.info("The processor keeps up again: no battle is held back.")
            self._late_at = None
            line.limit = self._most
        else:
            line.limit = min(self._most, line.limit + max(2, int(line.running * _MORE)))

    def _hold_back(self, now: float) -> None:
        running = self._line.running
        if running <= _FEWEST:
            return
        if self._late_at is None:
            log.warning("The processor cannot keep up with %d battles at once: further ones wait in line.", running)
        self._late_at = now
        self._line.limit = max(_FEWEST, int(min(self._line.limit, running) * _KEPT))
