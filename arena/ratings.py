"""Bradley-Terry strengths, intervals and ranks from counts of verdicts; pure numpy.

**Model.** P(i beats j) = 1 / (1 + exp(theta_j - theta_i)) (Bradley and Terry, Biometrika 39, 1952). A tie and "both are
bad" are half a win for each side: W = wins + (ties + both bad) / 2, N = W + W transposed.

**Anchor.** Every model also has half a win and half a loss (`ANCHOR_VOTES` in all) against one virtual opponent whose
strength is 0. The estimate then exists for an unbeaten model and for groups that never met.

**Estimate.** The strengths of the highest likelihood; `arena.strengths` finds them.

**Scale.** rating = 1000 + (400 / ln 10) (theta - vote-weighted mean of theta).

**Uncertainty.** Sandwich covariance A^-1 B A^-1 of theta (White, Econometrica 50, 1982). A is the information: the
Laplacian of N p (1 - p), plus the anchor's p (1 - p) on the diagonal. B is the same with the variance of one vote of
the pair, its ties considered, in the place of p (1 - p): a tie varies less than a coin flip, and plain information
gives intervals that are too wide (they hold the truth 98 to 99% of the time where a third of the votes are ties). The
residuals' own squares are not used: for an unbeaten model they are almost nothing, and intervals of 95% then held the
truth in 89% of simulated arenas, against 94 to 98% for these. Votes of one person are not independent: what that adds
is an `Inflation`, worked out apart (see `arena.clustering`) and applied here, so that a vote costs always the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.strengths import ANCHOR_VOTES, Near, anchor_chance, chance_of, fit_strengths, information_of

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Places = NDArray[np.intp]

ELO_PER_LOGIT = 400 / np.log(10)
"""Elo points per unit of log-odds: a gap of 400 points is 10:1 odds."""

ELO_MEAN = 1000.0
"""The vote-weighted mean of the rated models."""

SHRINKAGE_VOTES = 10.0
"""A pair's own vote variance counts N / (N + this); the rest is the variance pooled over all pairs."""

LEAST_VARIANCE = 0.25
"""A vote varies at least this share of a coin flip with the same chance, however many ties there were."""

Z95 = 1.959963984540054
"""The standard normal's 97.5% point."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Strengths in log-odds of those that have votes, and how sure they are."""

    size: int
    """How many there are in all."""
    rated: Places
    """Which of them have votes; the arrays below speak of these, in this order."""
    strengths: Floats
    votes: Floats
    covariance: Floats
    """Of the strengths, as if every vote were another person's; right for differences, which are all that counts."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Models' strengths, and what the votes tell about each pair; what comparisons and clustering start from."""

    estimate: Estimate
    inverse: Floats
    """Inverse information: A^-1 above."""
    vote_variance: Floats
    """Variance of one vote of each pair."""
    games: Floats
    """Votes of each pair."""
    won: Floats
    """Points of the row against the column: wins, and half of the ties and both-bads."""


@dataclass(frozen=True, slots=True)
class Inflation:
    """By how much variances are larger than if each vote were another person's, never below 1; of all, unrated too."""

    single: Floats
    """Of a rating, shape (n,). Holds the ratio of the quantiles of Student's t and the normal too, squared."""
    contrast: Floats
    """Of a difference of two ratings, likewise, shape (n, n)."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of n models in Elo points; NaN for a model without votes."""

    rating: Floats
    low: Floats
    """Lower end of the 95% interval."""
    high: Floats
    rank_low: Counts
    """Best rank that the votes leave open, 1 = best; 0 for a model without votes."""
    rank_high: Counts
    covariance: Floats
    """Of the ratings, in squared Elo points, shape (n, n), without inflation; rows of models without votes are NaN."""


def rate(
    wins: Counts, ties: Counts, both_bad: Counts, previous: Fit | None = None, inflation: Inflation | None = None
) -> Ratings:
    """Rate models from counts of verdicts; models without votes are left out and come back as NaN.

    Args:
        wins: `wins[i, j]` is how often i beat j, shape (n, n), diagonal zero.
        ties: how often i and j tied, symmetric, diagonal zero.
        both_bad: how often both were called bad, likewise.
        previous: where to start from, as `fit` takes it.
        inflation: what clustering by voter adds to the intervals.

    """
    return on_scale(fit(wins, ties, both_bad, previous).estimate, inflation)


def fit(wins: Counts, ties: Counts, both_bad: Counts, previous: Fit | None = None) -> Fit:
    """Strengths of the models with votes, from counts as `rate` takes them.

    `previous` is a fit of nearly the same counts of the same models: it makes this one quicker, and changes its result
    by rounding only. One that does not fit the models is ignored.
    """
    halves = (ties + both_bad).astype(np.float64)
    won = wins + halves / 2
    games = won + won.T
    votes = games.sum(axis=1)
    size = len(won)
    rated = np.flatnonzero(votes > 0)
    if len(rated) < size:
        part = np.ix_(rated, rated)
        won, halves, games, votes = won[part], halves[part], games[part], votes[rated]
    near = None
    if previous is not None and np.array_equal(previous.estimate.rated, rated):
        near = Near(previous.estimate.strengths, previous.inverse)
    strengths = fit_strengths(won, games, near)
    chance = chance_of(strengths)
    anchor = anchor_chance(strengths)
    binomial = chance * chance.T
    variance = _vote_variance(binomial, games, halves)
    inverse, covariance = _sandwich(games * binomial, games * variance, ANCHOR_VOTES * anchor * (1 - anchor))
    estimate = Estimate(size, rated, strengths, votes, covariance)
    return Fit(estimate, inverse, variance, games, won)


def combine(estimate: Estimate, weights: Floats, votes: Floats) -> Estimate:
    """Strengths of groups of models: weighted means of their members' strengths.

    Args:
        estimate: of n models.
        weights: shape (groups, n); each row sums to 1, or is 0 for a group without votes.
        votes: of each group.

    """
    rated = np.flatnonzero(votes > 0)
    share = weights[np.ix_(rated, estimate.rated)]
    return Estimate(
        len(votes),
        rated,
        share @ estimate.strengths,
        votes[rated].astype(np.float64),
        share @ estimate.covariance @ share.T,
    )


def on_scale(estimate: Estimate, inflation: Inflation | None = None) -> Ratings:
    """Ratings, intervals and ranks in Elo points."""
    rated, n = estimate.rated, estimate.size
    weights = estimate.votes / max(estimate.votes.sum(), 1)
    rating = ELO_MEAN + ELO_PER_LOGIT * (estimate.strengths - weights @ estimate.strengths)
    covariance = ELO_PER_LOGIT**2 * centred(estimate.covariance, weights)
    variance = np.diag(covariance)
    spread = differences(covariance)
    if inflation is not None:
        variance = variance * inflation.single[rated]
        spread = spread * inflation.contrast[np.ix_(rated, rated)]
    half_width = Z95 * np.sqrt(variance)
    best, worst = rank_intervals(rating, spread)
    return Ratings(
        rating=_placed(rating, rated, n, np.nan),
        low=_placed(rating - half_width, rated, n, np.nan),
        high=_placed(rating + half_width, rated, n, np.nan),
        rank_low=_placed(best, rated, n, 0).astype(np.int64),
        rank_high=_placed(worst, rated, n, 0).astype(np.int64),
        covariance=_placed_square(covariance, rated, n),
    )


def centred(covariance: Floats, weights: Floats) -> Floats:
    """The covariance of values from which their weighted mean has been taken."""
    with_mean = covariance @ weights
    return np.asarray(covariance - with_mean[:, None] - with_mean[None, :] + weights @ with_mean)


def differences(covariance: Floats) -> Floats:
    """The variance of every difference of two values."""
    variance = np.diag(covariance)
    return np.maximum(variance[None, :] + variance[:, None] - 2 * covariance, 0.0)


def groups(wins: Counts, ties: Counts, both_bad: Counts) -> Sequence[Places]:
    """The groups of models with votes that never met each other, the largest first; one when all are connected."""
    met = (wins + wins.T + ties + both_bad) > 0
    unseen = met.any(axis=1)
    found = []
    while unseen.any():
        newest = np.zeros(len(met), dtype=bool)
        newest[np.argmax(unseen)] = True
        group = newest
        while newest.any():
            group, unseen = group | newest, unseen & ~newest
            newest = met[newest].any(axis=0) & unseen
        found.append(np.flatnonzero(group))
    return sorted(found, key=len, reverse=True)


def _sandwich(told: Floats, varied: Floats, anchor: Floats) -> tuple[Floats, Floats]:
    """Inverse information A^-1, and the covariance A^-1 B A^-1 up to a shift shared by all, which no difference sees.

    With millions of votes the shift (it hangs from the anchor alone) has a variance millions of times larger than any
    difference, and plain inversion loses half of the digits. So A is inverted with `s` added to every element, R, and
    the rest is put back by Sherman and Morrison's formula: A^-1 = R + k u u', u = R 1. Where u stands on the outer
    side in the covariance its mean, the shift, is left out.
    """
    n = len(anchor)
    if n == 0:
        return told, varied
    information = information_of(told, anchor)
    s = float(np.trace(information)) / n**2
    firm = _inverse(information + s)
    u = firm.sum(axis=1)
    k = s * n / float(anchor @ u)
    lean = k * (u - u.mean())
    # The anchor is no vote: it has the same variance in both parts of the sandwich.
    meat = information_of(varied, anchor)
    # (R + lean u') meat (R + lean u')' by the meat's root: the last product is symmetric, which BLAS does in half.
    root = np.linalg.cholesky(meat)
    half = firm @ root + np.outer(lean, u @ root)
    return firm + k * np.outer(u, u), np.asarray(half @ half.T)


def _inverse(matrix: Floats) -> Floats:
    """The inverse of a positive definite matrix, in a third of a general inversion's time."""
    from scipy.linalg import lapack  # noqa: PLC0415 - see `arena.strengths`

    factor, failed = lapack.dpotrf(matrix, lower=1)
    if failed:
        raise ValueError("These are no counts of verdicts: some are negative, or a model met itself.")
    half = np.tril(lapack.dpotri(factor, lower=1)[0])
    half[np.diag_indices_from(half)] /= 2
    return np.asarray(half + half.T)


def _vote_variance(binomial: Floats, votes: Floats, halves: Floats) -> Floats:
    """Variance of one vote of each pair, what its ties say shrunk to what all pairs together say.

    A score of 1, 1/2 or 0 with mean p that is 1/2 in a share s of the votes has the variance p (1 - p) - s / 4.
    """
    own = np.maximum(votes * binomial - halves / 4, LEAST_VARIANCE * votes * binomial)
    coins = SHRINKAGE_VOTES / 4
    pooled = (own.sum() + coins) / ((votes * binomial).sum() + coins)
    return np.asarray((own + SHRINKAGE_VOTES * pooled * binomial) / (votes + SHRINKAGE_VOTES))


def rank_intervals(rating: Floats, spread: Floats) -> tuple[Counts, Counts]:
    """Best and worst rank of each model: 1 + how many are surely better, n - how many are surely worse.

    "Surely" is the 95% test of the difference of two ratings, which is sharper than asking whether intervals overlap.
    """
    better = rating[None, :] - rating[:, None] > Z95 * np.sqrt(spread)
    np.fill_diagonal(better, False)
    return 1 + better.sum(axis=1), len(rating) - better.sum(axis=0)


def _placed(values: Floats | Counts, places: Places, n: int, missing: float) -> Floats:
    """`values` at their models' places among all n."""
    whole = np.full(n, missing)
    whole[places] = values
    return whole


def _placed_square(values: Floats, places: Places, n: int) -> Floats:
    """A matrix at its models' places among all n."""
    if len(places) == n:
        return values
    whole = np.full((n, n), np.nan)
    whole[np.ix_(places, places)] = values
    return whole
