"""Ratings with length and formatting held equal; pure numpy and choix.

**Model.** P(A wins) = 1 / (1 + exp(-(theta_a - theta_b + x beta))), x as in `arena.style_votes`; a tie or both bad is
half a win each. As in `arena.ratings` every model has half a win and half a loss against a virtual opponent; likewise
every coefficient has one pseudo vote, half won, at x = 1. Nothing else is shrunk: a penalty that grows with the votes,
as some rating code has, turned a true coefficient of 0.45 into 0.05.

**Estimate.** Newton's method on all votes for theta and beta together: from where they stood before the newest votes,
else first on a sample, which costs little; then on every vote until nothing moves. Votes lie by pair, feature by
feature, so that a step is a few sums and products of long arrays.
The ratings are then choix's, from the *style-adjusted wins*: n p0 + sum (y - p), with p0 the chance if both answers
had looked alike. They are the wins for which the model without style has the same theta.

**Intervals** from the inverse information of theta and beta together, times the dispersion of the residuals: ties make
votes vary less than coins. Votes of one person lean alike, in style too: each variance is the larger of this one and
the voter-clustered one (`arena.style_clustering`), with Student's t of the number of voters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.clustering import FEWEST_VOTERS, LARGEST_INFLATION, student_over_normal
from arena.ratings import (
    ELO_MEAN,
    ELO_PER_LOGIT,
    SHRINKAGE_VOTES,
    Z95,
    Counts,
    differences,
    rank_intervals,
)
from arena.strengths import ANCHOR_VOTES, by_choix
from arena.style_clustering import clustered
from arena.style_votes import FEATURES, StyleVotes

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_TWICE = {
    "characters": "An answer twice as long",
    "headings": "Twice as many headings",
    "lists": "Twice as many list items",
    "bold": "Twice as many bold passages",
}
_SAMPLE = 20_000
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class StyleEffect:
    """What one feature is worth."""

    feature: str
    coefficient: float
    """Log-odds for each standard deviation of difference."""
    low: float
    high: float
    points: float
    """Elo points for having twice as much of it as the opponent."""
    points_low: float
    points_high: float
    seen: bool
    """Whether any two answers ever differed in it."""

    @property
    def sentence(self) -> str:
        """The effect in words."""
        what = _TWICE[self.feature]
        if not self.seen:
            return f"{what}: no votes on answers that differ in this yet."
        verb = "are" if self.feature != "characters" else "is"
        found = f"{what} {verb} worth {self.points:+.0f} points ({self.points_low:+.0f} to {self.points_high:+.0f})"
        return f"{found}, which may be nothing." if self.points_low <= 0 <= self.points_high else f"{found}."


@dataclass(frozen=True, slots=True, eq=False)
class StyleRatings:
    """Ratings in Elo points as they would be if all answers looked alike; NaN for a model without votes."""

    rating: Floats
    low: Floats
    high: Floats
    rank_low: Counts
    """Best rank that the votes leave open, by the test of the difference as in `arena.ratings`; 0 without votes."""
    rank_high: Counts
    effects: Sequence[StyleEffect]
    votes: int
    parameters: Floats
    """Strengths and coefficients, as Newton's method left them."""


def rate_by_style(votes: StyleVotes, before: StyleRatings | None = None) -> StyleRatings:
    """Fit strengths and style together; quicker from ratings of the same models not long `before`."""
    features = len(votes.difference)
    parameters = np.zeros(votes.models + features)
    if before is not None and len(before.rating) == votes.models:
        parameters = before.parameters
    elif votes.votes > 5 * _SAMPLE:
        parameters, _ = _fit(_sampled(votes), parameters, close=1e-3)
    parameters, pass_ = _fit(votes, parameters, close=_CLOSE)
    played = np.zeros(votes.models)
    amounts = np.diff(votes.start)
    np.add.at(played, votes.low, amounts)
    np.add.at(played, votes.high, amounts)
    theta = _choix_strengths(votes, pass_, parameters[: votes.models])
    centre = np.eye(len(parameters))
    centre[: votes.models, : votes.models] -= played / max(played.sum(), 1)
    deviation, spread = _deviations(votes, pass_, centre)
    rating = ELO_MEAN + ELO_PER_LOGIT * (centre @ np.append(theta, np.zeros(features)))[: votes.models]
    half_width = Z95 * ELO_PER_LOGIT * deviation[: votes.models]
    absent = played == 0
    ranks = np.zeros((2, votes.models), np.int64)
    ranks[:, ~absent] = rank_intervals(rating[~absent], ELO_PER_LOGIT**2 * spread[np.ix_(~absent, ~absent)])
    for values in (rating, half_width):
        values[absent] = np.nan
    return StyleRatings(
        rating=rating,
        low=rating - half_width,
        high=rating + half_width,
        rank_low=ranks[0],
        rank_high=ranks[1],
        effects=_effects(parameters[votes.models :], deviation[votes.models :], votes.scale),
        votes=votes.votes,
        parameters=parameters,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """What one look at all votes gives."""

    slope: Floats
    information: Floats
    excess: Floats
    """Of each pair: wins of its first model beyond what was expected."""
    residual: Singles
    """Of each vote."""
    weight: Singles
    """p (1 - p) of each vote."""
    squares: float
    """Sum of the squared residuals."""
    coins: float
    """What they would sum to if every vote were a coin with its chance."""


def _fit(votes: StyleVotes, parameters: Floats, close: float) -> tuple[Floats, _Pass]:
    """Newton's method, each step at most one logit; returns the last parameters and the pass that proved them."""
    before = np.inf
    for _ in range(100):
        seen = _look(votes, parameters)
        step = np.linalg.solve(seen.information, seen.slope)
        largest = float(np.abs(step).max(initial=0.0))
        if largest < close or before / 2 < largest < 1e-4:  # what is left is the rounding of long sums
            break
        before = largest
        parameters = parameters + step / max(largest, 1.0)
    return parameters, seen


def _deviations(votes: StyleVotes, seen: _Pass, centre: Floats) -> tuple[Floats, Floats]:
    """Standard deviations of the centred strengths and of the coefficients, and variances of differences of strengths.

    Clustered where there are voters enough.
    """
    n = votes.models
    inverse: Floats = np.asarray(np.linalg.inv(seen.information), np.float64)
    dispersion = (seen.squares + SHRINKAGE_VOTES / 4) / (seen.coins + SHRINKAGE_VOTES / 4)
    plain = centre @ inverse @ centre.T * dispersion
    meat, voters = clustered(votes, seen.residual, seen.weight, inverse)
    if voters < FEWEST_VOTERS:
        return np.sqrt(np.diag(plain)), differences(plain[:n, :n])
    bread = centre @ inverse
    wide = bread @ meat @ bread.T
    factor = student_over_normal(voters)

    def larger(one: Floats, other: Floats) -> Floats:
        return np.asarray(np.clip(other, one, LARGEST_INFLATION * one) * factor)

    spread = larger(differences(plain[:n, :n]), differences(wide[:n, :n]))
    return np.asarray(np.sqrt(larger(np.diag(plain), np.diag(wide)))), spread


def _look(votes: StyleVotes, parameters: Floats) -> _Pass:
    """One pass over the votes: slope and information of theta and beta, anchors included."""
    n = votes.models
    chance = _chances(votes, parameters[:n], parameters[n:] / votes.unit)
    residual = votes.score - chance
    weight = chance - chance * chance
    weighted = votes.difference * weight
    excess, pairs, cross = _by_pair(votes, residual, weight, weighted)
    slope = np.zeros(len(parameters))
    np.add.at(slope, votes.low, excess)
    np.subtract.at(slope, votes.high, excess)
    slope[n:] = votes.difference @ residual / votes.unit
    information = _laplacian(votes, pairs, cross / votes.unit)
    information[n:, n:] = weighted @ votes.difference.T / np.outer(votes.unit, votes.unit)
    _add_anchors(slope, information, parameters)
    return _Pass(slope, information, excess, residual, weight, float(residual @ residual), float(pairs.sum()))


def _chances(votes: StyleVotes, theta: Floats, slope: Floats) -> Singles:
    """The chance of each pair's first model in each vote, `slope` logits for each difference; one long array."""
    gap = (theta[votes.low] - theta[votes.high]).astype(np.float32)
    chance: Singles = -slope.astype(np.float32) @ votes.difference
    chance -= np.repeat(gap, np.diff(votes.start))
    np.minimum(chance, 60, out=chance)
    np.exp(chance, out=chance)
    chance += 1
    return np.reciprocal(chance, out=chance)


def _laplacian(votes: StyleVotes, pairs: Floats, cross: Floats) -> Floats:
    """Information of theta, and of theta with beta, from sums over pairs."""
    n, features = votes.models, cross.shape[1]
    information = np.zeros((n + features, n + features))
    np.add.at(information, (votes.low, votes.low), pairs)
    np.add.at(information, (votes.high, votes.high), pairs)
    information[votes.low, votes.high] -= pairs
    information[votes.high, votes.low] -= pairs
    mixed = np.zeros((n, features))
    np.add.at(mixed, votes.low, cross)
    np.subtract.at(mixed, votes.high, cross)
    information[:n, n:], information[n:, :n] = mixed, mixed.T
    return information


def _by_pair(votes: StyleVotes, residual: Singles, weight: Singles, weighted: Singles) -> tuple[Floats, Floats, Floats]:
    """Sums over each pair's votes: residuals, weights, weighted differences."""
    if not len(votes.low):
        return np.zeros(0), np.zeros(0), np.zeros((0, len(weighted)))
    starts = votes.start[:-1]
    sums = [np.add.reduceat(values, starts).astype(np.float64) for values in (residual, weight, *weighted)]
    return sums[0], sums[1], np.array(sums[2:]).T


def _add_anchors(slope: Floats, information: Floats, parameters: Floats) -> None:
    """One vote, half won, of each model against strength 0 and of each coefficient at x = 1."""
    chance = 1 / (1 + np.exp(-parameters))
    slope += ANCHOR_VOTES * (0.5 - chance)
    information[np.diag_indices_from(information)] += ANCHOR_VOTES * chance * (1 - chance)


def _sampled(votes: StyleVotes) -> StyleVotes:
    """Every so many-eth vote of each pair, at least one of each."""
    every = votes.votes // _SAMPLE
    amounts = -(-np.diff(votes.start) // every)
    start = np.concatenate([[0], np.cumsum(amounts)])
    within = np.arange(start[-1]) - np.repeat(start[:-1], amounts)
    chosen = np.repeat(votes.start[:-1], amounts) + within * every
    return StyleVotes(
        votes.models,
        votes.low,
        votes.high,
        start,
        votes.difference[:, chosen],
        votes.score[chosen],
        votes.voter[chosen],
        votes.scale,
    )


def _choix_strengths(votes: StyleVotes, seen: _Pass, theta: Floats) -> Floats:
    """Strengths from the style-adjusted wins by I-LSR, begun where Newton ended."""
    n = votes.models
    amounts = np.diff(votes.start).astype(np.float64)
    chance = 1 / (1 + np.exp(theta[votes.high] - theta[votes.low]))
    won, lost = amounts * chance + seen.excess, amounts * (1 - chance) - seen.excess
    # Style may have decided more votes than there were. Votes added at the expected ratio make both sides possible
    # again and leave the estimate where it is.
    missing = np.maximum(np.maximum(-won / chance, -lost / (1 - chance)), 0)
    wins = np.full((n + 1, n + 1), ANCHOR_VOTES / 2)
    wins[:n, :n] = 0
    wins[n, n] = 0
    wins[votes.low, votes.high] = won + missing * chance
    wins[votes.high, votes.low] = lost + missing * (1 - chance)
    fitted = by_choix(wins, np.append(theta, 0.0))
    return np.asarray(fitted[:n] - fitted[n])


def _effects(beta: Floats, deviation: Floats, scale: Floats) -> Sequence[StyleEffect]:
    """Coefficients with intervals; twice as much is a difference of (2 - 1) / (2 + 1)."""
    effects = []
    for feature, value, error, unit in zip(FEATURES, beta.tolist(), deviation.tolist(), scale.tolist(), strict=True):
        low, high = value - Z95 * error, value + Z95 * error
        points = float(ELO_PER_LOGIT) / 3 / unit if unit > 0 else 0.0
        effects.append(
            StyleEffect(feature, value, low, high, points * value, points * low, points * high, seen=unit > 0)
        )
    return effects
