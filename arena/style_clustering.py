"""What it adds to the intervals of style control that one person gives many votes; pure numpy.

The same cluster-robust covariance A^-1 M A^-1 as in `arena.clustering`, of strengths and coefficients together: the
score s_v of a voter sums z r over their votes, r the residual and z the vote's row of the design (1 for the one model,
-1 for the other, and the differences in style). M is the sum of s_v s_v' over the voters, each score freed of the
voter's own pull on the fit, times (G - 1) / G.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from arena.clustering import LARGE_SHARE
from arena.style_votes import Floats, Places, Singles, StyleVotes

_CELLS = 8_000_000
"""Of the table of scores, voters by parameters, that is held at a time: 32 MB."""


def clustered(votes: StyleVotes, residual: Singles, weight: Singles, inverse: Floats) -> tuple[Floats, int]:
    """M above, and the number G of voters.

    Args:
        votes: that were fitted.
        residual: of each vote, its score less its chance p.
        weight: of each vote, p (1 - p).
        inverse: inverse information of all strengths and coefficients.

    """
    votes = replace(votes, voter=_numbered(votes.voter))
    told = np.bincount(votes.voter, weights=weight)
    share = told / max(told.sum(), 1e-300)
    voters = int((told > 0).sum())
    amounts = np.diff(votes.start)
    models = np.repeat(votes.low, amounts), np.repeat(votes.high, amounts)
    meat = np.zeros_like(inverse)
    height = max(_CELLS // len(inverse), 1)
    for begin in range(0, len(share), height):
        mine = slice(None) if len(share) <= height else (votes.voter >= begin) & (votes.voter < begin + height)
        part = share[begin : begin + height]
        scores = _scores(votes, residual, models, mine, (begin, len(part)))
        for voter in np.flatnonzero(part >= LARGE_SHARE):
            own = _told(votes, weight, models, votes.voter == begin + voter)
            scores[:, voter] = np.linalg.solve(np.eye(len(inverse)) - own @ inverse, scores[:, voter])
        scores *= (1 / (1 - np.where(part < LARGE_SHARE, part, 0.0))).astype(np.float32)
        meat += scores @ scores.T
    return meat * ((voters - 1) / max(voters, 1)), voters


def _scores(
    votes: StyleVotes,
    residual: Singles,
    models: tuple[Places, Places],
    mine: slice | NDArray[np.bool_],
    part: tuple[int, int],
) -> Singles:
    """A column for each of some voters (the first one's number, and how many), from their votes `mine`.

    Votes lie by pair, so that a model's row, the voters beside each other, stays in the processor's cache.
    """
    n, begin, size = votes.models, *part
    column, surprise = votes.voter[mine] - begin, residual[mine]
    scores = np.zeros((n + len(votes.difference), size), np.float32)
    for side, add in zip(models, (np.add, np.subtract), strict=True):
        add.at(scores.reshape(-1), side[mine] * size + column, surprise)
    for row, values, unit in zip(scores[n:], votes.difference[:, mine], votes.unit, strict=True):
        np.add.at(row, column, values * surprise)
        row /= unit
    return scores


def _told(votes: StyleVotes, weight: Singles, models: tuple[Places, Places], mine: NDArray[np.bool_]) -> Floats:
    """The information of one voter's votes."""
    n = votes.models
    first, second = models[0][mine], models[1][mine]
    known, difference = weight[mine].astype(np.float64), votes.difference[:, mine] / votes.unit[:, None]
    weighted = difference * known
    pairs = np.bincount(first * n + second, weights=known, minlength=n * n).reshape(n, n)
    pairs = pairs + pairs.T
    mixed = np.array([np.bincount(first, row, n) - np.bincount(second, row, n) for row in weighted])
    return np.block([[np.diag(pairs.sum(axis=1)) - pairs, mixed.T], [mixed, weighted @ difference.T]])


def _numbered(voter: Places) -> Places:
    """Each unknown voter with a number of its own, after the known ones."""
    unknown = voter < 0
    if not unknown.any():
        return voter
    numbered = voter.copy()
    numbered[unknown] = int(voter.max()) + 1 + np.arange(int(unknown.sum()))
    return numbered
