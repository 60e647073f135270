"""How much of two answers is shown, and when: pure, fed with lengths and the time.

What a visitor sees must not tell which model is the faster one, so the common pace knows one position for both panes.
"""

from typing import NamedTuple, Protocol

STILL_S = 1.0
"""A pane that shows nothing new for this long says that more is to come."""


class Progress(NamedTuple):
    """How far one side is."""

    length: int
    """Characters received."""
    ended: bool
    """Finished, or failed for good: nothing will be added."""
    failed: bool = False
    """Failed for good. What it had received and not shown is never shown."""


class Shown(NamedTuple):
    """How much of each side is on the page."""

    lengths: tuple[int, int]
    waiting: tuple[bool, bool]
    """More is to come, and nothing new was shown for a while; at the common pace of either pane, so both say so."""
    over: bool
    """Everything that will ever be shown is."""


class Pace(Protocol):
    """A rule for showing two answers."""

    @property
    def begun(self) -> bool:
        """Whether any text was shown."""
        ...

    def step(self, now: float, a: Progress, b: Progress) -> Shown:
        """What to show at the moment `now`, in seconds; never less than before."""
        ...


class CommonPace:
    """Both panes advance together, at most `characters_per_s` each.

    While a stream runs, both panes show the same number of characters: what the slower one has. So nothing is shown
    until both have begun, and once one answer is shown to its end the rest of the other is held until its stream has
    ended; both panes wait until then, so that what waits does not tell which one still writes. Then what is left is
    shown at the same pace; time spent waiting is never caught up in a burst. If a side fails for good there is
    nothing left to hide: it stays as it is, and the other is shown as it comes, at the pace.
    """

    def __init__(self, characters_per_s: float, frame_s: float) -> None:
        self._characters_per_s = characters_per_s
        self._frame_s = frame_s
        self._position = 0.0
        self._stepped_at: float | None = None
        self._panes = (_Pane(), _Pane())

    @property
    def begun(self) -> bool:
        """Whether any text was shown."""
        return self._position >= 1

    def step(self, now: float, a: Progress, b: Progress) -> Shown:
        """What to show at the moment `now`, in seconds; never less than before."""
        goal = _goal(a, b)
        if goal > self._position:
            elapsed = self._frame_s if not self.begun or self._stepped_at is None else now - self._stepped_at
            self._position = min(float(goal), self._position + self._characters_per_s * elapsed)
        self._stepped_at = now
        sides = (a, b)
        position = int(self._position)
        for pane, side in zip(self._panes, sides, strict=True):
            if not side.failed:
                pane.show(min(side.length, position), now)
        shown = _shown(self._panes, sides, now)
        return shown if a.failed or b.failed or shown.over else shown._replace(waiting=(any(shown.waiting),) * 2)


class LivePace:
    """Each pane shows its text as it comes, for arenas where speed is part of the judgement."""

    def __init__(self) -> None:
        self._panes = (_Pane(), _Pane())

    @property
    def begun(self) -> bool:
        """Whether any text was shown."""
        return any(pane.length for pane in self._panes)

    def step(self, now: float, a: Progress, b: Progress) -> Shown:
        """What to show at the moment `now`, in seconds; never less than before."""
        sides = (a, b)
        for pane, side in zip(self._panes, sides, strict=True):
            if not side.failed:
                pane.show(side.length, now)
        return _shown(self._panes, sides, now)


class _Pane:
    """What one pane shows, and since when nothing new."""

    def __init__(self) -> None:
        self.length = 0
        self._changed_at: float | None = None

    def show(self, length: int, now: float) -> None:
        if length > self.length:
            self.length = length
            self._changed_at = now

    def still(self, now: float) -> bool:
        """Nothing was shown yet, or nothing new for a while."""
        return self._changed_at is None or now - self._changed_at >= STILL_S


def _goal(a: Progress, b: Progress) -> int:
    """How far the position may go."""
    if a.failed or b.failed:
        return max((side.length for side in (a, b) if not side.failed), default=0)
    if a.ended and b.ended:
        return max(a.length, b.length)
    return min(a.length, b.length)


def _shown(panes: tuple[_Pane, _Pane], sides: tuple[Progress, Progress], now: float) -> Shown:
    first, second = (
        side.failed or (side.ended and pane.length >= side.length) for pane, side in zip(panes, sides, strict=True)
    )
    return Shown(
        lengths=(panes[0].length, panes[1].length),
        waiting=(not first and panes[0].still(now), not second and panes[1].still(now)),
        over=first and second,
    )
