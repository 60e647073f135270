"""Ratings over time, by version along a family's line, and held against what happened. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from arena.calibration import CalibrationClass
from arena.history import Moment
from arena.standings import Standing
from arena.ui.charts import (
    TONES,
    Chart,
    Line,
    Scale,
    Tick,
    Whisker,
    band_of,
    path_of,
    round_ticks,
    set_apart,
    upright,
)

MOST_FAMILIES = 12
_MOST_POINTS = 150
_LEAST_POINTS = 80.0
"""Elo points that a scale spans at least: a narrower one would make chance look like a change."""

_VERSION_HEIGHT = 170
_MOST_VERSION_LABELS = 7
_RIGHT = 95.0
"""Per cent of the width: numbers stand to the right of it."""


def draw_history(rows: Sequence[Standing], moments: Mapping[int, Sequence[Moment]]) -> Chart | None:
    """The best-rated models' ratings over time with their 95% bands; `None` while there are no two moments."""
    shown = [row for row in rows if len(moments.get(row.revision_id, ())) > 1][:TONES]
    if not shown:
        return None
    told = {row.revision_id: _thinned(moments[row.revision_id]) for row in shown}
    every = [moment for series in told.values() for moment in series]
    first, last = min(m.at for m in every), max(m.at for m in every)
    across = Scale(first.timestamp(), last.timestamp(), 0, _RIGHT)
    # Early moments of few votes have bands that would flatten all that came after.
    settled = [m for series in told.values() for m in series[len(series) // 4 :]]
    ratings = [m.rating for m in every]
    up = upright(
        min(*ratings, *(m.low for m in settled)), max(*ratings, *(m.high for m in settled)), least=_LEAST_POINTS
    )
    ends = set_apart([up.place(told[row.revision_id][-1].rating) for row in shown])
    lines = [
        _history_line(row, number, told[row.revision_id], across, up, end)
        for number, (row, end) in enumerate(zip(shown, ends, strict=True), start=1)
    ]
    names = "; ".join(
        f"{line.name} from {told[row.revision_id][0].rating:.0f} to {line.note}"
        for line, row in zip(lines, shown, strict=True)
    )
    return Chart(
        id="history",
        title=f"Ratings of the best {len(shown)} models from {first:%-d %B %Y} to {last:%-d %B %Y}, with 95% bands",
        description=f"{names}.",
        lines=lines,
        across=_dates(across),
        up=round_ticks(up),
    )


def _history_line(row: Standing, number: int, series: Sequence[Moment], across: Scale, up: Scale, end: float) -> Line:
    x = [across.place(moment.at.timestamp()) for moment in series]
    upper = [(at, up.place(moment.high)) for at, moment in zip(x, series, strict=True)]
    lower = [(at, up.place(moment.low)) for at, moment in zip(x, series, strict=True)]
    path = path_of([(at, up.place(moment.rating)) for at, moment in zip(x, series, strict=True)])
    return Line(
        name=row.display_name,
        number=number,
        path=path,
        band=band_of(upper, lower),
        end=(_RIGHT + 2, end),
        note=f"{series[-1].rating:.0f}",
    )


def _thinned(series: Sequence[Moment]) -> Sequence[Moment]:
    """At most so many moments, evenly taken, the last among them."""
    step = -(-len(series) // _MOST_POINTS)
    return list(reversed(series[::-1][::step]))


def _dates(across: Scale) -> Sequence[Tick]:
    """Four moments, in days, or in hours where all is within two days."""
    hourly = across.high - across.low < 2 * 86_400
    shape = "%-d %b, %H:%M" if hourly else "%-d %b"
    at = [across.low + (across.high - across.low) * share for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    labels = [datetime.fromtimestamp(value, UTC).strftime(shape) for value in at]
    ticks = [Tick(label, across.place(value)) for label, value in zip(labels, at, strict=True)]
    return [tick for place, tick in enumerate(ticks) if tick.label not in labels[:place]]


def draw_families(rows: Sequence[Standing]) -> Sequence[Chart]:
    """For each family with two rated versions or more: rating by version, in the versions' order, on one scale."""
    rated = [row for row in rows if row.family and row.version and row.rating is not None]
    by_family = {
        family: sorted(members, key=lambda row: natural_order(row.version or ""))
        for family, members in groupby(sorted(rated, key=_family), _family)
    }
    lines = {family: members for family, members in by_family.items() if len(members) > 1}
    if not lines:
        return ()
    decided = [row for members in lines.values() for row in members if not row.preliminary] or rated
    up = upright(
        min(row.low or 0.0 for row in decided),
        max(row.high or 0.0 for row in decided),
        least=_LEAST_POINTS,
        height=_VERSION_HEIGHT,
    )
    largest = sorted(lines, key=lambda family: -sum(row.votes for row in lines[family]))[:MOST_FAMILIES]
    return [_family_chart(family, lines[family], up, number) for number, family in enumerate(sorted(largest), start=1)]


def natural_order(version: str) -> list[tuple[int, int, str]]:
    """A key by which version 9 comes before version 10."""
    parts = re.findall(r"\d+|\D+", version)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _family(row: Standing) -> str:
    return row.family or ""


def _family_chart(family: str, members: Sequence[Standing], up: Scale, number: int) -> Chart:
    across = Scale(0, len(members) - 1, 14, 96)
    points = [(across.place(at), row) for at, row in enumerate(members)]
    whiskers = [
        Whisker(x, up.place(row.rating or 0), up.place(row.high or 0), up.place(row.low or 0)) for x, row in points
    ]
    step = -(-len(members) // _MOST_VERSION_LABELS)
    told = "; ".join(
        f"version {row.version}: {row.rating:.0f}, between {row.low:.0f} and {row.high:.0f}" for row in members
    )
    return Chart(
        id=f"family-{number}",
        title=f"{family}: rating by version",
        description=f"{told}.",
        lines=[Line(family, 1, path_of([(whisker.x, whisker.y) for whisker in whiskers]), "", whiskers)],
        across=[Tick(row.version or "", x) for x, row in points[::step]],
        up=round_ticks(up),
        height=_VERSION_HEIGHT,
    )


def draw_calibration(classes: Sequence[CalibrationClass]) -> Chart | None:
    """Observed against predicted win rates of favourites; `None` where no class has votes enough."""
    if not classes:
        return None
    across = Scale(0.5, max(*(found.predicted for found in classes), 0.7) + 0.03, 7, 98)
    low = min(0.5, *(found.low for found in classes))
    up = upright(low, max(across.high, *(found.high for found in classes)), least=0.2)
    whiskers = [
        Whisker(across.place(f.predicted), up.place(f.observed), up.place(f.high), up.place(f.low)) for f in classes
    ]
    told = "; ".join(f"{f.predicted:.0%} predicted, {f.observed:.0%} observed in {f.votes:,} votes" for f in classes)
    ticks = round_ticks(across, 100, "%")
    return Chart(
        id="calibration",
        title="Predicted and observed win rates of the favourites",
        description=f"{told}.",
        lines=[Line("", 1, "", "", whiskers)],
        across=ticks,
        up=round_ticks(up, 100, "%"),
        guide=path_of([(across.place(at), up.place(at)) for at in (across.low, across.high)]),
    )


def tell_calibration(classes: Sequence[CalibrationClass]) -> str:
    """How well the two agree, in a sentence."""
    if not classes:
        return ""
    agreeing = sum(found.low <= found.predicted <= found.high for found in classes)
    votes = sum(found.votes for found in classes)
    gap = sum(found.votes * abs(found.observed - found.predicted) for found in classes) / votes
    return (
        f"On average the favourites won {gap:.1%} more or less often than their ratings said; in {agreeing} of "
        f"{len(classes)} classes the difference is within chance."
    )
