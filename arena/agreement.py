"""Do people who judge the same two answers say the same? Krippendorff's alpha and its interval; pure numpy.

**Alpha** = 1 - D_o / D_e (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011): how much judgements of one
unit differ, over how much any two judgements drawn from all units would. 1 is perfect agreement, 0 what chance gives,
below 0 that people oppose each other. A unit judged by m people gives m (m - 1) ordered pairs, each weighing
1 / (m - 1); units with one judgement say nothing. Two judgements c and k differ by

- nominal: 0 where c = k, else 1;
- ordinal: (sum of n_g for g from c to k, less (n_c + n_k) / 2) squared, n_g being how often g was said in all.

**Opposites.** Of two answers it is arbitrary which is called the first. Where two values are opposites in this way,
each counts in D_e as often as both do on average, so that alpha does not depend on what the answers are called.

**Interval**: a percentile bootstrap over units, 2.5% to 97.5%. It speaks of other units judged by people like these.
Units with the same judgements are alike, so one draw is a multinomial over the few kinds of units that there are. For
Krippendorff's example of four observers, ordinal, a worked bootstrap of the units with R's irr and boot (1,000 draws,
percentiles) gives 0.43 to 1.00; a test holds this one against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Metric = Literal["nominal", "ordinal"]

FEWEST_UNITS = 8
"""Units judged by two or more: with fewer, an interval would be a matter of luck."""

_MOST_NAMED = 3
"""In one sentence."""

DRAWS = 2_000
_SEED = 20_111

RELIABLE, TENTATIVE = 0.8, 0.667
"""Krippendorff's own thresholds: to rely on, and for tentative conclusions only."""


@dataclass(frozen=True, slots=True)
class Alpha:
    """How far people agree on what several of them judged."""

    value: float | None
    """`None` where nothing was judged twice, or all judgements are the same, so that chance agrees as well."""
    low: float | None
    """Of the 95% interval; `None` below `FEWEST_UNITS` units."""
    high: float | None
    units: int
    """Judged by two or more."""
    judgements: int
    """Of these units."""
    same: float | None
    """The share of pairs of judgements of one unit that are the same, 0..1."""
    by_chance: float | None
    """What that share would be if judgements had nothing to do with the unit."""

    @property
    def words(self) -> str:
        """Alpha, interval and units; without the interval while units are too few, a dash where nothing is known."""
        if self.value is None:
            return "–" if self.same is None else f"all the same, n {self.units:,}"
        interval = "" if self.low is None or self.high is None else f", {_signed(self.low)} to {_signed(self.high)}"
        return f"α {_signed(self.value)}{interval}, n {self.units:,}"

    @property
    def sentence(self) -> str:
        """Do people agree? In words that can be quoted."""
        if not self.units:
            return "Nothing was judged by two people yet, so nobody knows whether they would agree."
        basis = (
            f"{self.units:,} {'pair' if self.units == 1 else 'pairs'} of answers with {self.judgements:,} judgements"
        )
        if self.value is None or self.same is None or self.by_chance is None:
            return f"All judgements are the same ({basis}): no disagreement, and nothing that chance would not give."
        facts = f"the same in {self.same:.0%}, by chance it would be {self.by_chance:.0%}"
        if self.low is None or self.high is None:
            return f"Too few to tell ({basis}; {facts}): it takes {FEWEST_UNITS} pairs judged by two or more people."
        found = f"α {_signed(self.value)}, {_signed(self.low)} to {_signed(self.high)}; {basis}; {facts}"
        return f"{self._verdict()} ({found})."

    def _verdict(self) -> str:
        low, high = self.low or 0.0, self.high or 0.0
        if low >= RELIABLE:
            return "People agree, reliably"
        if low >= TENTATIVE:
            return "People agree well enough for tentative conclusions"
        if low > 0:
            return "People agree more than by chance" + (", but not reliably" if high < RELIABLE else "")
        if high < 0:
            return "People contradict each other more than by chance"
        return "It is not shown that people agree more than by chance"


def least_and_most(opening: str, found: Sequence[tuple[str, Alpha]]) -> str:
    """On what agreement is least and on what most, and whether that is more than chance; `opening` names who agrees.

    Empty while fewer than two have an interval.
    """
    known = sorted((one for one in found if one[1].low is not None), key=lambda one: one[1].value or 0.0)
    if len(known) < 2:
        return ""
    (least, low), (most, high) = known[0], known[-1]
    clear = (low.high or 0.0) < (high.low or 0.0)
    return f"{opening} least on {least} ({low.words}) and most on {most} ({high.words})" + (
        ", and the difference is more than chance." if clear else "; the difference may be chance."
    )


def list_some(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return "; ".join(names[:_MOST_NAMED]) + more


def tabulate(units: Sequence[int] | Ints, values: Sequence[int] | Ints, categories: int) -> Ints:
    """How often each unit got each value, shape (units, categories); `units` and `values` number them from 0."""
    unit, value = np.asarray(units, np.int64), np.asarray(values, np.int64)
    table = np.zeros((int(unit.max(initial=-1)) + 1, categories), np.int64)
    np.add.at(table, (unit, value), 1)
    return table


def agree(
    table: Ints, metric: Metric = "nominal", opposites: tuple[int, int] | None = None, draws: int = DRAWS
) -> Alpha:
    """Krippendorff's alpha of a table of units by values, with its interval; the same table gives the same interval.

    `opposites` are two values that would change places if the unit were looked at from the other side.
    """
    pairable = table[table.sum(axis=1) >= 2]
    if not len(pairable):
        return Alpha(None, None, None, 0, 0, None, None)
    kinds, often = np.unique(_one_way(pairable, opposites), axis=0, return_counts=True)
    same, chance = _sameness(kinds, often, opposites)
    value = float(_alphas(kinds, often[None, :].astype(np.float64), metric, opposites)[0])
    low = high = None
    if len(pairable) >= FEWEST_UNITS and not np.isnan(value):
        rng = np.random.default_rng(_SEED)
        weights = rng.multinomial(len(pairable), often / often.sum(), size=draws).astype(np.float64)
        low, high = (float(edge) for edge in np.nanpercentile(_alphas(kinds, weights, metric, opposites), [2.5, 97.5]))
    return Alpha(None if np.isnan(value) else value, low, high, len(pairable), int(pairable.sum()), same, chance)


def _one_way(table: Ints, opposites: tuple[int, int] | None) -> Ints:
    """Every unit seen from the side of what was said more often."""
    if opposites is None:
        return table
    one, other = opposites
    turned = table.copy()
    rows = table[:, one] < table[:, other]
    turned[rows, one], turned[rows, other] = table[rows, other], table[rows, one]
    return turned


def _balanced(said: Floats, opposites: tuple[int, int] | None) -> Floats:
    """How often each value was said, in the last axis, with opposites said equally often."""
    if opposites is None:
        return said
    level = said.copy()
    level[..., list(opposites)] = said[..., list(opposites)].mean(axis=-1, keepdims=True)
    return level


def _alphas(kinds: Ints, weights: Floats, metric: Metric, opposites: tuple[int, int] | None) -> Floats:
    """Alpha for each row of `weights`, which says how often each kind of unit is there; nan where all values agree."""
    coincidences = _coincidences(kinds)
    observed = np.tensordot(weights, coincidences, axes=1)
    said = _balanced(weights @ kinds.astype(np.float64), opposites)
    total = said.sum(axis=1)
    difference = _ordinal(said) if metric == "ordinal" else 1.0 - np.eye(kinds.shape[1])[None, :, :]
    expected = said[:, :, None] * said[:, None, :]
    apart_by_chance = (expected * difference).sum(axis=(1, 2))
    apart = (observed * difference).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(apart_by_chance > 0, 1.0 - (total - 1.0) * apart / apart_by_chance, np.nan))


def _coincidences(kinds: Ints) -> Floats:
    """The coincidence matrix that one unit of each kind brings, shape (kinds, values, values)."""
    said = kinds.astype(np.float64)
    pairs = said[:, :, None] * said[:, None, :]
    places = np.arange(kinds.shape[1])
    pairs[:, places, places] -= said
    return np.asarray(pairs / (said.sum(axis=1) - 1.0)[:, None, None])


def _ordinal(said: Floats) -> Floats:
    """Squared differences of ranks between values, shape (rows, values, values)."""
    middle = np.cumsum(said, axis=1) - said / 2
    return np.asarray((middle[:, :, None] - middle[:, None, :]) ** 2)


def _sameness(kinds: Ints, often: Ints, opposites: tuple[int, int] | None) -> tuple[float, float]:
    """The share of equal pairs within units, and between any two judgements."""
    observed = np.tensordot(often.astype(np.float64), _coincidences(kinds), axes=1)
    said = _balanced((often @ kinds).astype(np.float64), opposites)
    total = float(said.sum())
    return float(np.trace(observed) / total), float((said * (said - 1)).sum() / (total * (total - 1)))


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
