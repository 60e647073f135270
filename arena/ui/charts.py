"""Charts over two axes: positions on a scale, round ticks, paths. Pure; `chart.html` draws them as inline SVG.

Across, positions are per cent of the width, so that a chart fits any column and its type never shrinks with it; down,
they are pixels of a fixed height.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 240
TONES = 5
"""So many lines can be told apart, by colour and by the number at their end."""

_STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000)
_MOST_TICKS = 6
_LABEL_PX = 17
"""Numbers at the ends of lines stand at least so far apart."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    label: str
    at: float


@dataclass(frozen=True, slots=True)
class Whisker:
    """An interval, upright, around a point."""

    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Line:
    """One series."""

    name: str
    number: int
    """1, 2, …: also its colour."""
    path: str
    band: str
    """The outline of its intervals; empty where whiskers show them."""
    whiskers: Sequence[Whisker] = ()
    end: tuple[float, float] | None = None
    """Where its number stands."""
    note: str = ""
    """Said beside its name."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A whole chart."""

    id: str
    title: str
    description: str
    """What it shows, in words."""
    lines: Sequence[Line]
    across: Sequence[Tick]
    up: Sequence[Tick]
    height: int = HEIGHT
    guide: str = ""
    """The path of a line to compare with."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to places: `low` stands at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value stands; what lies outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / ((self.high - self.low) or 1)
        return round(self.start + share * (self.end - self.start), 2)


def upright(low: float, high: float, *, least: float, height: int = HEIGHT) -> Scale:
    """A scale upwards over at least `least`, with a little air at both ends."""
    missing = max(least - (high - low), 0) / 2
    air = (high - low + 2 * missing) * 0.06
    return Scale(low - missing - air, high + missing + air, height - 2, 2)


def round_ticks(scale: Scale, factor: float = 1.0, unit: str = "") -> Sequence[Tick]:
    """Round numbers at even distances; labels are the values times `factor`."""
    low, high = scale.low * factor, scale.high * factor
    for step in _STEPS:
        first = int(-(-low // step)) * step
        values = range(first, int(high // 1) + 1, step)
        if len(values) <= _MOST_TICKS:
            return [Tick(f"{value}{unit}".replace("-", "−"), scale.place(value / factor)) for value in values]
    return ()


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """A line through points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def band_of(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """The area between two lines."""
    return path_of([*upper, *reversed(lower)]) + "Z" if upper else ""


def set_apart(heights: Sequence[float], height: int = HEIGHT) -> Sequence[float]:
    """Heights for labels near the given ones, in their order, so that none covers another."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = [0.0] * len(heights)
    top = -_LABEL_PX / 2
    for at in order:
        top = max(heights[at], top + _LABEL_PX)
        placed[at] = top
    over = max(top - (height - _LABEL_PX / 2), 0) if heights else 0
    return [round(value - over, 2) for value in placed]
