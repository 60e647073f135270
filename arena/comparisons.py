"""Verdicts: which of two models is better, how sure, and how many more votes would settle it. Pure.

**Probability.** With d the difference of two strengths and v its variance, P(the first is truly better) = Phi(d /
sqrt(v)): above 0.975 or below 0.025 exactly where the 95% interval leaves 0 out.

**Win rate.** What the model expects of the pair's next battles, ties half: 1 / (1 + exp(-d)), its interval the ends of
d's interval.

**Further votes.** m more votes between the two change A to A + m q c c' and B to B + m w c c' (see `arena.ratings`; c
is the contrast, q = p (1 - p), w the variance of one vote). By Sherman and Morrison's formula the variance of d becomes
exactly (v + m w a^2) / (1 + m q a)^2, a = c' A^-1 c. The answer is the least m at which the present d, were it the
truth, passes the two-sided 95% test with the wanted power: |d| >= (z_95 + z_power) sqrt(variance).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from arena.ratings import ELO_PER_LOGIT, Z95, Fit, Floats, Inflation

SURE = 0.975
"""The probability from which a verdict is settled: the 95% interval of the difference leaves 0 out."""

MOST_VOTES = 10_000_000
"""More further votes than this are as good as never."""

FEWEST_VOTES = 10
"""Against the others, for a model to stand for its platform: with fewer a rating says little (see `equal_shares`)."""

_Z80 = 0.8416212335729143
"""The standard normal's 80% point."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the votes say about two: the first against the second."""

    first: str
    second: str
    points: float
    """How many Elo points the first is ahead; negative where it is behind."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    probability: float
    """That the first is truly better."""
    win_rate: float
    """Expected of the first, ties half."""
    win_rate_low: float
    win_rate_high: float
    votes: int
    """Between the two."""
    further_votes: int | None
    """Until an even chance that the 95% test separates the two; 0 where they are separated; `None` as good as never."""
    further_votes_80: int | None
    """The same with a chance of 80%."""

    @property
    def settled(self) -> bool:
        """Whether the 95% test separates the two."""
        return not 1 - SURE < self.probability < SURE

    @property
    def sentence(self) -> str:
        """The verdict in words that can be quoted."""
        ahead = self if self.points >= 0 else self.reversed()
        lead = f"{ahead.points:.0f} points (95% interval {_signed(ahead.low)} to {_signed(ahead.high)})"
        rate = f"{ahead.win_rate:.0%} of their battles ({ahead.win_rate_low:.0%} to {ahead.win_rate_high:.0%})"
        if self.settled:
            return (
                f"{ahead.first} is better than {ahead.second} ({_percent(ahead.probability)} sure): ahead by {lead}, "
                f"expected to win {rate}, ties counted half."
            )
        return (
            f"Between {ahead.first} and {ahead.second} nothing is settled: {ahead.first} is ahead by {lead}, and "
            f"better with a probability of {_percent(ahead.probability)}. {self._outlook()}"
        )

    def _outlook(self) -> str:
        if self.further_votes is None or self.further_votes_80 is None:
            return "They are so close that no reasonable number of votes would tell them apart."
        return (
            f"If that is the truth, {self.further_votes:,} further votes between them have an even chance to show it, "
            f"{self.further_votes_80:,} a chance of 80%."
        )

    def reversed(self) -> "Comparison":
        """The same, the second against the first."""
        return Comparison(
            first=self.second,
            second=self.first,
            points=-self.points,
            low=-self.high,
            high=-self.low,
            probability=1 - self.probability,
            win_rate=1 - self.win_rate,
            win_rate_low=1 - self.win_rate_high,
            win_rate_high=1 - self.win_rate_low,
            votes=self.votes,
            further_votes=self.further_votes,
            further_votes_80=self.further_votes_80,
        )


@dataclass(frozen=True, slots=True)
class PlatformVerdict:
    """One platform's models against another's.

    **Estimand.** The mean strength of the first platform's models minus that of the second's, each model weighing the
    same (`equal_shares`): what a model drawn from the one would show against a model drawn from the other. Weighing by
    the votes of the battles in which they met would call a platform better because its strong model was drawn against
    the other's weak one more often than the reverse: with 10 such battles for one of the others, two equal platforms
    come out some hundred points apart. Models without battles between the two say nothing about them and are left out.
    How uneven the battles were shows in the two rates.
    """

    comparison: Comparison
    """The platforms by the names people read. `win_rate` is what models of that mean difference expect."""
    expected_rate: float
    """Of the first platform in the battles as they were drawn, by the strengths."""
    observed_rate: float
    """Of the first platform in these battles, ties half."""


def compare(fit: Fit, names: Sequence[str], first: int, second: int, inflation: Inflation | None = None) -> Comparison:
    """Compare two models by their places among all; both must have votes.

    Raises:
        ValueError: one of them has no votes, or they are one and the same.

    """
    places = {int(place): at for at, place in enumerate(fit.estimate.rated)}
    if first not in places or second not in places or first == second:
        raise ValueError("Two different models with votes can be compared.")
    i, j = places[first], places[second]
    contrast = np.zeros(len(fit.estimate.rated))
    contrast[i], contrast[j] = 1.0, -1.0
    wider = 1.0 if inflation is None else float(inflation.contrast[first, second])
    chance = 1 / (1 + np.exp(fit.estimate.strengths[j] - fit.estimate.strengths[i]))
    one_vote = (float(chance * (1 - chance)), float(fit.vote_variance[i, j]))
    return _compared(fit, contrast, (names[first], names[second]), wider, int(fit.games[i, j]), one_vote)


def compare_all(
    fit: Fit, names: Sequence[str], inflation: Inflation | None = None
) -> Sequence[Sequence[Comparison | None]]:
    """The matrix of verdicts, row against column; `None` on the diagonal and where one has no votes."""
    n = fit.estimate.size
    matrix: list[list[Comparison | None]] = [[None] * n for _ in range(n)]
    rated = [int(place) for place in fit.estimate.rated]
    for at, first in enumerate(rated):
        for second in rated[at + 1 :]:
            matrix[first][second] = forward = compare(fit, names, first, second, inflation)
            matrix[second][first] = forward.reversed()
    return matrix


def equal_shares(votes: Floats) -> Floats:
    """The same weight, 1 in all, for each that has at least `FEWEST_VOTES`; for each with any, where none has so many.

    A model new to the arena would otherwise make its whole platform as uncertain as itself.
    """
    counted = votes >= min(FEWEST_VOTES, votes.max(initial=1))
    return np.asarray(counted / max(counted.sum(), 1))


def compare_platforms(
    fit: Fit, platforms: Sequence[str], first: str, second: str, widening: Callable[[Floats], float] = lambda _: 1.0
) -> PlatformVerdict | None:
    """Compare two platforms by the battles between their models; `None` where they have not met.

    Args:
        fit: of n models.
        platforms: each model's platform, as people read it.
        first: one platform.
        second: the other.
        widening: by how much clustering widens the variance of a contrast of the rated models.

    """
    estimate = fit.estimate
    of = np.array([platforms[place] for place in estimate.rated])
    games = fit.games * ((of == first)[:, None] & (of == second)[None, :])
    votes = games.sum()
    if votes == 0:
        return None
    contrast = equal_shares(games.sum(axis=1)) - equal_shares(games.sum(axis=0))
    chance = 1 / (1 + np.exp(estimate.strengths[None, :] - estimate.strengths[:, None]))
    mean = games / votes
    one_vote = (float((mean * chance * (1 - chance)).sum()), float((mean * fit.vote_variance).sum()))
    comparison = _compared(fit, contrast, (first, second), widening(contrast), int(votes), one_vote)
    observed = float((fit.won * (games > 0)).sum() / votes)
    return PlatformVerdict(comparison, float((mean * chance).sum()), observed)


def _compared(
    fit: Fit, contrast: Floats, names: tuple[str, str], wider: float, votes: int, one_vote: tuple[float, float]
) -> Comparison:
    from scipy.special import ndtr  # noqa: PLC0415 - scipy loads when a first rating needs it

    gap = float(contrast @ fit.estimate.strengths)
    plain = float(contrast @ fit.estimate.covariance @ contrast)
    told = float(contrast @ fit.inverse @ contrast)
    noise = sqrt(plain * wider)
    low, high = gap - Z95 * noise, gap + Z95 * noise
    rate = [float(1 / (1 + np.exp(-x))) for x in (gap, low, high)]
    needed = [further_votes(gap / sqrt(wider), plain, told, one_vote, z) for z in (0.0, _Z80)]
    return Comparison(
        first=names[0],
        second=names[1],
        points=gap * ELO_PER_LOGIT,
        low=low * ELO_PER_LOGIT,
        high=high * ELO_PER_LOGIT,
        probability=float(ndtr(gap / noise)),
        win_rate=rate[0],
        win_rate_low=rate[1],
        win_rate_high=rate[2],
        votes=votes,
        further_votes=needed[0],
        further_votes_80=needed[1],
    )


def further_votes(
    gap: float, variance: float, told: float, one_vote: tuple[float, float], z_power: float
) -> int | None:
    """The least number m of further votes of the formula above; `None` where it is more than `MOST_VOTES`.

    Args:
        gap: the difference d.
        variance: v, of the difference now.
        told: a, the contrast in the inverse information.
        one_vote: q and w, what one vote tells and how it varies.
        z_power: the standard normal's point of the wanted power, 0 for an even chance.

    """
    wanted = (gap / (Z95 + z_power)) ** 2
    if variance <= wanted:
        return 0
    q, w = one_vote
    square, linear, constant = wanted * (q * told) ** 2, 2 * wanted * q * told - w * told**2, wanted - variance
    if square == 0:
        return None
    votes = (-linear + sqrt(linear**2 - 4 * square * constant)) / (2 * square)
    return ceil(votes) if votes <= MOST_VOTES else None


def _signed(points: float) -> str:
    return f"{points:+.0f}".replace("-", "−")


def _percent(probability: float) -> str:
    """A probability that never claims certainty."""
    return (
        "more than 99.9%"
        if probability > 0.999
        else f"{probability:.1%}"
        if probability > 0.99
        else f"{probability:.0%}"
    )
