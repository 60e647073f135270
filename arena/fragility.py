"""How few votes hold the leader up: the fewest whose removal would put another model first. Pure.

The exact fewest cannot be found by trying. A removed vote on the pair i, j with the score y (1, 1/2 or 0) moves the
strengths by nearly -A^-1 (e_i - e_j) (y - p_ij), the influence function of M-estimation (Hampel 1974; as a check of
robustness: Broderick, Giordano and Meager 2020). The votes that hold the leader up most are taken away in that order,
the arena is rated again in between, and the smallest number after which another model really leads is kept: an upper
bound that is verified, not an approximation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from arena.ratings import Counts, Fit, Floats, fit

_CHALLENGERS = 3
"""How many of the nearest models are tried in the leader's place."""

_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Removal:
    """Some votes of one kind on one pair."""

    first: int
    second: int
    kind: str
    """`wins` of the first against the second, `ties` or `both_bad`."""
    votes: int


@dataclass(frozen=True, slots=True)
class Fragility:
    """Without these votes another model leads."""

    leader: int
    challenger: int
    """Who leads without them."""
    votes: int
    share: float
    """Of all votes."""
    removals: Sequence[Removal]


@dataclass(frozen=True, slots=True)
class _Table:
    """What is left of the votes: one row for each kind of vote on each pair."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    kind: NDArray[np.intp]
    """Into `_KINDS`."""
    score: Floats
    votes: Counts
    models: int


_KINDS = ("wins", "ties", "both_bad")


def fragility(wins: Counts, ties: Counts, both_bad: Counts) -> Fragility | None:
    """An upper bound on the fewest votes whose removal changes the leader; `None` where no removal found does.

    Counts as `arena.ratings.rate` takes them.
    """
    table = _tabled(wins, ties, both_bad)
    whole = _fitted(table, table.votes)
    if len(whole.estimate.rated) < 2:
        return None
    best_first = whole.estimate.rated[np.argsort(-whole.estimate.strengths, kind="stable")]
    leader = int(best_first[0])
    found = [_without(table, whole, leader, int(rival)) for rival in best_first[1 : 1 + _CHALLENGERS]]
    removed = min((taken for taken in found if taken is not None), key=lambda taken: int(taken.sum()), default=None)
    if removed is None:
        return None
    challenger = _leader(_fitted(table, table.votes - removed))
    removals = [
        Removal(int(table.first[at]), int(table.second[at]), _KINDS[table.kind[at]], int(removed[at]))
        for at in np.flatnonzero(removed)
    ]
    votes = int(removed.sum())
    return Fragility(leader, challenger, votes, votes / int(table.votes.sum()), removals)


def _without(table: _Table, whole: Fit, leader: int, rival: int) -> Counts | None:
    """How many of each row to take away until `leader` no longer leads; `None` if that never happens."""
    steps: list[tuple[int, int]] = []
    left = table.votes.copy()
    current = whole
    for _ in range(_ROUNDS):
        taken = _next_removals(table, left, current, leader, rival)
        if not taken:
            return None
        for row, votes in taken:
            left[row] -= votes
        steps += taken
        current = _fitted(table, left)
        if leader not in current.estimate.rated or rival not in current.estimate.rated:
            return None
        if _leader(current) != leader:
            return _fewest(table, steps, leader)
    return None


def _next_removals(table: _Table, left: Counts, current: Fit, leader: int, rival: int) -> list[tuple[int, int]]:
    """The rows to take from next, and how many: about as many as the linear approximation still asks for."""
    place = np.full(table.models, -1)
    place[current.estimate.rated] = np.arange(len(current.estimate.rated))
    theta = np.zeros(table.models)
    theta[current.estimate.rated] = current.estimate.strengths
    pull = np.zeros(table.models)
    pull[current.estimate.rated] = current.inverse[place[rival]] - current.inverse[place[leader]]
    chance = 1 / (1 + np.exp(theta[table.second] - theta[table.first]))
    gain = (pull[table.second] - pull[table.first]) * (table.score - chance)
    gap = theta[leader] - theta[rival]
    taken: list[tuple[int, int]] = []
    for row in np.argsort(-gain, kind="stable"):
        if gap <= 0 or gain[row] <= 0:
            break
        votes = min(int(left[row]), max(1, ceil(gap / gain[row])))
        if votes:
            taken.append((int(row), votes))
            gap -= votes * gain[row]
    return taken


def _fewest(table: _Table, steps: Sequence[tuple[int, int]], leader: int) -> Counts:
    """The shortest beginning of the removals after which another model leads, found by halving."""
    rows = np.array([row for row, _ in steps])
    ends = np.cumsum([votes for _, votes in steps])

    def removed(total: int) -> Counts:
        votes = np.clip(total - (ends - np.diff(ends, prepend=0)), 0, np.diff(ends, prepend=0))
        whole = np.zeros(len(table.votes), np.int64)
        np.add.at(whole, rows, votes)
        return whole

    low, high = 0, int(ends[-1])
    while high - low > 1:
        middle = (low + high) // 2
        if _leader(_fitted(table, table.votes - removed(middle))) == leader:
            low = middle
        else:
            high = middle
    return removed(high)


def _leader(fitted: Fit) -> int:
    return int(fitted.estimate.rated[np.argmax(fitted.estimate.strengths)])


def _tabled(wins: Counts, ties: Counts, both_bad: Counts) -> _Table:
    matrices = (wins, np.triu(ties), np.triu(both_bad))
    parts = [(np.nonzero(matrix), matrix, kind) for kind, matrix in enumerate(matrices)]
    first = np.concatenate([at[0] for at, _, _ in parts])
    second = np.concatenate([at[1] for at, _, _ in parts])
    kind = np.concatenate([np.full(len(at[0]), number) for at, _, number in parts])
    votes = np.concatenate([matrix[at] for at, matrix, _ in parts])
    return _Table(first, second, kind, np.where(kind == 0, 1.0, 0.5), votes, len(wins))


def _fitted(table: _Table, votes: Counts) -> Fit:
    wins, ties, both_bad = (np.zeros((table.models, table.models), np.int64) for _ in _KINDS)
    for number, matrix in enumerate((wins, ties, both_bad)):
        rows = table.kind == number
        matrix[table.first[rows], table.second[rows]] = votes[rows]
    return fit(wins, ties + ties.T, both_bad + both_bad.T)
