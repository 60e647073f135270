"""Bradley-Terry strengths that make the counts of wins likeliest; pure numpy and choix. See `arena.ratings`.

A short Newton iteration on the log-likelihood, then Luce spectral ranking repeated until it no longer moves (I-LSR:
Maystre and Grossglauser, NeurIPS 2015) over the models and the virtual opponent. I-LSR alone, started cold, can fail to
converge on lopsided counts; started here it needs two rounds.

Everywhere `won` holds the points of the row against the column, and `games` the votes of each pair, shape (n, n).
"""

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from arena.late import import_without

Floats = NDArray[np.float64]

ANCHOR_VOTES = 1.0
"""Votes, half of them won, that each model has against the virtual opponent."""

_ONE_AT_A_TIME = Lock()
"""choix silences the process's warnings while it solves; of two threads at once one would hear the other's."""

_SETTLED = 1e-7
"""A step of fewer logits than this is the last: the next would be about its square, less than rounding."""

_NEARBY = 0.1
"""A first step of more logits than this is no small change: Newton's method from the start is safer."""

_NEARBY_STEPS = 8

_NOTHING = 1e-13
"""A next step that will be smaller than this many logits (each shrinks as the last did) is not worth taking."""


@dataclass(frozen=True, slots=True)
class Near:
    """Where to start from: strengths for nearly the same counts of the same models."""

    strengths: Floats
    inverse: Floats
    """Inverse information there."""


def fit_strengths(won: Floats, games: Floats, near: Near | None = None) -> Floats:
    """Strengths in log-odds, the virtual opponent at 0."""
    n = len(won)
    if n == 0:
        return np.zeros(0)
    with_anchor = np.full((n + 1, n + 1), ANCHOR_VOTES / 2)
    with_anchor[:n, :n] = won
    with_anchor[n, n] = 0
    start = None if near is None else _nearby(won, games, near)
    begun = np.append(_newton(won, games) if start is None else start, 0.0)
    fitted = by_choix(with_anchor, begun)
    return np.asarray(fitted[:n] - fitted[n])


def by_choix(wins: Floats, begun: Floats) -> Floats:
    """Strengths by choix's I-LSR from wins of row over column, begun at `begun`."""
    # Imported when first needed: scipy takes a quarter of a second and 25 MB that no other page or command has to wait
    # for. choix alone would also bring scipy.stats and scipy.optimize, 40 MB more for functions that are never called.
    import_without("choix", "scipy.stats", "scipy.optimize")
    import choix  # noqa: PLC0415

    with _ONE_AT_A_TIME:
        return np.asarray(choix.ilsr_pairwise_dense(wins, initial_params=begun, tol=1e-7))


def _newton(won: Floats, games: Floats) -> Floats:
    """Strengths by Newton's method, each step at most one logit, so that it cannot overshoot from a cold start."""
    theta = np.zeros(len(won))
    for _ in range(100):
        slope, chance, anchor = _slope(won, games, theta)
        information = information_of(games * chance * chance.T, ANCHOR_VOTES * anchor * (1 - anchor))
        step = np.linalg.solve(information, slope)
        largest = np.abs(step).max()
        theta = theta + step / max(largest, 1.0)
        if largest < _SETTLED:
            break
    return theta


def _nearby(won: Floats, games: Floats, near: Near) -> Floats | None:
    """Strengths by steps with the curvature there, which need no matrix solved; `None` if it is too far."""
    theta = near.strengths
    before = _NEARBY
    for _ in range(_NEARBY_STEPS):
        step = near.inverse @ _slope(won, games, theta)[0]
        largest = np.abs(step).max()
        if largest > before:
            return theta if largest < _SETTLED else None  # rounding is all that is left, or it runs away
        theta = theta + step
        if largest * largest / before < _NOTHING:
            return theta
        before = largest
    return theta if before < _SETTLED else None


def _slope(won: Floats, games: Floats, theta: Floats) -> tuple[Floats, Floats, Floats]:
    """The log-likelihood's gradient, with the chances against each other and against the anchor."""
    chance = chance_of(theta)
    anchor = anchor_chance(theta)
    return (won - games * chance).sum(axis=1) + ANCHOR_VOTES * (0.5 - anchor), chance, anchor


def chance_of(theta: Floats) -> Floats:
    """P(row beats column)."""
    return np.asarray(1 / (1 + np.exp(theta[None, :] - theta[:, None])))


def anchor_chance(theta: Floats) -> Floats:
    """P(a model beats the virtual opponent)."""
    return np.asarray(1 / (1 + np.exp(-theta)))


def information_of(pairs: Floats, anchor: Floats | float = 0.0) -> Floats:
    """The Laplacian of what each pair tells, plus what the anchor tells of each model; of a stack of them, each one's.

    `pairs` is symmetric in its last two axes.
    """
    whole, place = -pairs, np.arange(pairs.shape[-1])
    whole[..., place, place] += pairs.sum(axis=-1) + anchor
    return np.asarray(whole)
