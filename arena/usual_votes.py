"""What usual votes look like: the models' strengths, the leaning to a side and the ties of everybody together; pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.ratings import ELO_PER_LOGIT, rate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class VoteTable:
    """Votes of many voters, in the order in which each voter gave them."""

    voter: Ints
    """0, 1, …: whose vote it is."""
    a: Ints
    """The model on side A, 0 … models - 1."""
    b: Ints
    score: Floats
    """1 where A won, 0 where B won, 0.5 for a tie or both bad."""
    counted: Flags
    """Whether it may say what usual votes are; held and excluded votes are checked, and tell nothing about others."""
    voters: int
    models: int


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """All counted votes together."""

    theta: Floats
    covariance: Floats
    judged: Ints
    """Decided votes of each model."""
    gamma: float
    information: float
    """Of gamma."""
    decided: int
    ties: float
    """The share of votes without a winner."""


def crowd_of(table: VoteTable) -> Crowd:
    """Strengths, leaning and tie rate of all counted votes."""
    own = np.flatnonzero(table.counted & (table.score != 0.5))
    won = table.score[own] == 1
    a, b = table.a[own], table.b[own]
    wins = np.zeros((table.models, table.models), np.int64)
    np.add.at(wins, (np.where(won, a, b), np.where(won, b, a)), 1)
    none = np.zeros_like(wins)
    fitted = rate(wins, none, none)
    theta = np.nan_to_num(fitted.rating) / ELO_PER_LOGIT
    judged = (wins + wins.T).sum(axis=1)
    covariance = np.nan_to_num(fitted.covariance) / ELO_PER_LOGIT**2
    gamma, information = _leaning(theta[a] - theta[b], table.score[own])
    counted = max(int(table.counted.sum()), 1)
    return Crowd(theta, covariance, judged, gamma, information, len(own), 1 - len(own) / counted)


def _leaning(difference: Floats, score: Floats) -> tuple[float, float]:
    """The leaning to side A in log-odds and its information; one half vote each way keeps it finite."""
    gamma, information = 0.0, 0.25
    for _ in range(50):
        chance = logistic(difference + gamma)
        prior = float(logistic(np.array([gamma]))[0])
        information = float((chance * (1 - chance)).sum()) + prior * (1 - prior)
        step = (float((score - chance).sum()) + 0.5 - prior) / information
        gamma += float(np.clip(step, -1, 1))
        if abs(step) < 1e-9:
            break
    return gamma, information


def difference(crowd: Crowd, table: VoteTable, votes: NDArray[np.intp]) -> Floats:
    """How much stronger side A's model is, in log-odds, in each of these votes."""
    return np.asarray(crowd.theta[table.a[votes]] - crowd.theta[table.b[votes]])


def logistic(value: Floats) -> Floats:
    """The chance of these log-odds."""
    return np.asarray(1 / (1 + np.exp(-value)))
