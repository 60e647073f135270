"""Bradley-Terry strengths, intervals and ranks from counts of verdicts; pure numpy and choix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ELO_PER_LOGIT = 400 / np.log(10)
"""Elo points per unit of log-odds: a gap of 400 points is 10:1 odds."""

ELO_MEAN = 1000.0
"""The vote-weighted mean of the rated models."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of n models in Elo points; NaN for a model without votes."""

    rating: NDArray[np.float64]
    low: NDArray[np.float64]
    """Lower end of the 95% interval."""
    high: NDArray[np.float64]
    rank_low: NDArray[np.int64]
    """Best rank that the votes leave open, 1 = best; 0 for a model without votes."""
    rank_high: NDArray[np.int64]
    covariance: NDArray[np.float64]
    """Of the ratings, in squared Elo points, shape (n, n); rows of models without votes are NaN."""


def rate(wins: NDArray[np.int64], ties: NDArray[np.int64], both_bad: NDArray[np.int64]) -> Ratings:
    """Rate models from counts; see the module's formulas."""
    raise NotImplementedError
