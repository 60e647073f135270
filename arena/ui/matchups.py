"""Who beats whom, as the Analytics page shows it: a heatmap, the same as a list of pairs, verdicts in words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil

from arena.comparisons import Comparison
from arena.pair_verdicts import Comparisons

MOST_MODELS = 20
"""So many of the best models the heatmap holds: more cells would be read by nobody."""

FITTING_MODELS = 8
"""So many fit beside one another on a desk; a larger heatmap scrolls in a region of its own."""

MOST_VERDICTS = 5
"""Verdicts in words of each kind."""

_SHADES = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """What the votes say about a row's model against a column's."""

    first: str
    second: str
    address: str
    """Where the operator reads the battles behind it."""
    expected: str
    """Win rate of the first in its next battles against the second, ties half."""
    observed: str
    """Its win rate so far; empty where the two have not met."""
    votes: int
    settled: bool
    shade: str
    """How far from even the expectation lies: `even`, or `for-1` to `for-5` and `against-1` to `against-5`."""
    count_shade: int
    """How many votes, beside the most in the heatmap: 0 for none to 5."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Row beats column; best first."""

    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    """A name and its cells, `None` against itself."""
    pairs: Sequence[Cell]
    """Of the best `FITTING_MODELS`, each pair once, the better first: for narrow pages."""
    left_out: int
    """Rated models that are not in it."""

    @property
    def wide(self) -> bool:
        """Whether it scrolls by itself."""
        return len(self.names) > FITTING_MODELS


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What can be quoted about pairs of models."""

    settled: Sequence[str]
    unsettled: Sequence[str]
    more: str
    """How many pairs are not told in words; empty where all are."""


def draw_heatmap(comparisons: Comparisons, best_first: Sequence[int]) -> Heatmap | None:
    """Draw the matrix of the best models, given by their revisions' ids; `None` where fewer than two have votes."""
    shown = best_first[:MOST_MODELS]
    if len(shown) < 2:
        return None
    met = [comparisons.between(*pair).votes for pair in combinations(shown, 2)]
    cells = {
        pair: _cell(comparisons, *pair, max(met))
        for first, second in combinations(shown, 2)
        for pair in _both(first, second)
    }
    names = dict(zip(comparisons.table.revisions, comparisons.names, strict=True))
    return Heatmap(
        names=[names[revision] for revision in shown],
        rows=[(names[row], [cells.get((row, column)) for column in shown]) for row in shown],
        pairs=[cells[pair] for pair in combinations(shown[:FITTING_MODELS], 2)],
        left_out=len(best_first) - len(shown),
    )


def tell_verdicts(comparisons: Comparisons, best_first: Sequence[int]) -> Verdicts:
    """The surest verdicts, and the open questions that the fewest further votes would answer."""
    shown = best_first[:MOST_MODELS]
    known = [comparisons.between(first, second) for first, second in combinations(shown, 2)]
    settled = sorted((pair for pair in known if pair.settled), key=_certainty, reverse=True)
    unsettled = sorted((pair for pair in known if not pair.settled), key=_distance)
    untold = max(len(settled) - MOST_VERDICTS, 0) + max(len(unsettled) - MOST_VERDICTS, 0)
    pairs = "pair is" if untold == 1 else "pairs are"
    return Verdicts(
        settled=[pair.sentence for pair in settled[:MOST_VERDICTS]],
        unsettled=[pair.sentence for pair in unsettled[:MOST_VERDICTS]],
        more=f"{untold:,} more {pairs} in the table only." if untold else "",
    )


def shade(win_rate: float) -> str:
    """The colour of a cell, by name."""
    step = min(int(abs(win_rate - 0.5) * 20 + 0.5), _SHADES)
    if not step:
        return "even"
    return f"for-{step}" if win_rate > 0.5 else f"against-{step}"


def _both(first: int, second: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (first, second), (second, first)


def _cell(comparisons: Comparisons, first: int, second: int, most: int) -> Cell:
    verdict = comparisons.between(first, second)
    counts, revisions = comparisons.counts, list(comparisons.table.revisions)
    row, column = revisions.index(first), revisions.index(second)
    won = counts.wins[row, column] + (counts.ties[row, column] + counts.both_bad[row, column]) / 2
    return Cell(
        first=verdict.first,
        second=verdict.second,
        address=f"/matchup?first={first}&second={second}",
        expected=f"{verdict.win_rate:.0%}",
        observed=f"{float(won) / verdict.votes:.0%}" if verdict.votes else "",
        votes=verdict.votes,
        settled=verdict.settled,
        shade=shade(verdict.win_rate),
        count_shade=min(ceil(_SHADES * verdict.votes / most), _SHADES) if verdict.votes else 0,
    )


def _certainty(pair: Comparison) -> float:
    return abs(pair.probability - 0.5)


def _distance(pair: Comparison) -> tuple[bool, int]:
    return pair.further_votes is None, pair.further_votes or 0
