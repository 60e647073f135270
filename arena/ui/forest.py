"""A forest plot: each model's rating as a point on its interval, all on one scale: where things stand."""

from collections.abc import Sequence
from dataclasses import dataclass

_MEAN = 1000.0
_STEPS = (10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10000)
_LEAST_WIDTH = 80.0
"""Elo points: a narrower scale would make chance look like a difference."""
_PADDING = 0.05
_MOST_TICKS, _FEW_TICKS = 5, 3
_TICK_MARGIN = 4.0
_LABEL_CHARACTERS = 42
MOST_DRAWN = 40
"""So many of the best stand in the picture for narrow pages; the table below it has them all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A rating and its 95% interval, in Elo points."""

    label: str
    rating: float
    low: float
    high: float
    tentative: bool
    """Too wide to be read as a result; drawn hollow, and does not stretch the scale for the others."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on the scale."""

    value: int
    position: float
    """Per cent of the scale's width, as all positions here."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One interval as drawn."""

    label: str
    short_label: str
    """Cut to what fits a phone's width."""
    point: float
    start: float
    end: float
    beyond_start: bool
    """The interval goes on beyond the scale's end."""
    beyond_end: bool
    tentative: bool


@dataclass(frozen=True, slots=True)
class Forest:
    """The whole plot: marks in the order given, ticks in ascending order."""

    marks: Sequence[Mark]
    ticks: Sequence[Tick]
    title: str
    description: str
    """What the plot shows, in words."""
    drawn: int
    """How many of the marks, from the first on, stand in the picture for narrow pages."""
    mean: float | None
    """Where the mean rating stands, if it is on the scale."""

    @property
    def few_ticks(self) -> Sequence[Tick]:
        """As many as a narrow column has room for, the mean among them."""
        if len(self.ticks) <= _FEW_TICKS:
            return self.ticks
        values = [tick.value for tick in self.ticks]
        first = values.index(int(_MEAN)) % 2 if _MEAN in values else 0
        return self.ticks[first::2]


def draw_forest(intervals: Sequence[Interval]) -> Forest | None:
    """Lay out `intervals` on one scale; `None` when there are none, because an empty axis says nothing."""
    if not intervals:
        return None
    start, end = _scale(intervals)
    marks = tuple(_mark(interval, start, end) for interval in intervals)
    title = f"Ratings of {len(intervals)} models" if len(intervals) > 1 else "Rating of one model"
    if len(intervals) > MOST_DRAWN:
        title = f"Ratings of the best {MOST_DRAWN} of {len(intervals)} models"
    return Forest(
        marks=marks,
        ticks=_ticks(start, end),
        title=f"{title}, with 95% intervals",
        description=_describe(intervals[:MOST_DRAWN]),
        drawn=min(len(marks), MOST_DRAWN),
        mean=round(100 * (_MEAN - start) / (end - start), 2) if start <= _MEAN <= end else None,
    )


def _scale(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Ends of the scale: every rating, and the whole of every interval that is not tentative."""
    decided = [interval for interval in intervals if not interval.tentative] or list(intervals)
    values = [v for interval in decided for v in (interval.low, interval.high)]
    values += [interval.rating for interval in intervals]
    low, high = min(values), max(values)
    missing = max(0.0, _LEAST_WIDTH - (high - low)) / 2
    padding = (high - low + 2 * missing) * _PADDING + missing
    return low - padding, high + padding


def _mark(interval: Interval, start: float, end: float) -> Mark:
    def place(value: float) -> float:
        return round(100 * (min(max(value, start), end) - start) / (end - start), 2)

    label = interval.label
    return Mark(
        label=label,
        short_label=label if len(label) <= _LABEL_CHARACTERS else label[: _LABEL_CHARACTERS - 1].rstrip() + "…",
        point=place(interval.rating),
        start=place(interval.low),
        end=place(interval.high),
        beyond_start=interval.low < start,
        beyond_end=interval.high > end,
        tentative=interval.tentative,
    )


def _ticks(start: float, end: float) -> Sequence[Tick]:
    """Round numbers at even distances, few enough for a phone and clear of the scale's ends."""
    for step in _STEPS:
        first = int(-(-start // step)) * step
        ticks = [Tick(v, round(100 * (v - start) / (end - start), 2)) for v in range(first, int(end) + 1, step)]
        ticks = [tick for tick in ticks if _TICK_MARGIN <= tick.position <= 100 - _TICK_MARGIN]
        if len(ticks) <= _MOST_TICKS:
            return tuple(ticks)
    return ()


def _describe(intervals: Sequence[Interval]) -> str:
    named = (f"{i.label}: {i.rating:.0f}, between {i.low:.0f} and {i.high:.0f}" for i in intervals)
    return "; ".join(named) + "."
