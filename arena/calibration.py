"""Do the models win as often as their ratings say? Predicted against observed win rates, in classes; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arena.ratings import Z95, Fit

CLASSES = 10
"""Between an even match and a sure win."""

FEWEST_VOTES = 10
"""A class of fewer votes says nothing."""


@dataclass(frozen=True, slots=True)
class CalibrationClass:
    """The pairs whose favourite is given nearly the same chance."""

    predicted: float
    """The mean chance of the favourite, by the ratings, each vote weighing the same."""
    observed: float
    """How often it won, ties half."""
    low: float
    """Lower end of the 95% interval of `observed`, were each vote another person's."""
    high: float
    votes: int


def calibrate(fit: Fit) -> Sequence[CalibrationClass]:
    """Sort all pairs that have met into classes by the favourite's chance, the least sure first.

    The ratings were computed from the same votes. A curve away from the diagonal therefore says that one number a model
    does not describe these votes; a curve on it does not prove that the next ones are foreseen as well.
    """
    strengths = fit.estimate.strengths
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    favourite = (chance > 0.5) | ((chance == 0.5) & np.triu(np.ones_like(chance, bool), 1))
    met = favourite & (fit.games > 0)
    predicted, games, won = chance[met], fit.games[met], fit.won[met]
    noise = games * fit.vote_variance[met]
    place = np.minimum(((predicted - 0.5) * 2 * CLASSES).astype(np.int64), CLASSES - 1)
    found = []
    for number in range(CLASSES):
        inside = place == number
        votes = games[inside].sum()
        if votes < FEWEST_VOTES:
            continue
        observed = won[inside].sum() / votes
        reach = Z95 * np.sqrt(noise[inside].sum()) / votes
        found.append(
            CalibrationClass(
                predicted=float(games[inside] @ predicted[inside] / votes),
                observed=float(observed),
                low=float(max(observed - reach, 0.0)),
                high=float(min(observed + reach, 1.0)),
                votes=round(votes),
            )
        )
    return found
