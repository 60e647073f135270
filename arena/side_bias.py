"""Do voters lean to a side? The estimate over all of them, the models' strengths considered; pure numpy."""

from dataclasses import dataclass

import numpy as np

from arena.ratings import Z95
from arena.usual_votes import VoteTable, crowd_of, difference, logistic


@dataclass(frozen=True, slots=True)
class SideBias:
    """How much the arena's voters lean to side A."""

    share: float
    """Side A's chance of a win against an equal, where there is a winner; 0.5 is no leaning."""
    low: float
    """Of the 95% interval, which takes the votes of one person as one."""
    high: float
    votes: int
    """Decided votes behind it."""

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        if not self.votes:
            return "No decided votes yet, so nothing is known about a leaning to a side."
        found = f"Side A wins {self.share:.1%} between equals ({self.low:.1%} to {self.high:.1%}, {self.votes} votes)"
        return found + (": no leaning shows." if self.low <= 0.5 <= self.high else ": voters lean to a side.")


def side_bias(table: VoteTable) -> SideBias:
    """The leaning of all voters to a side, the models' strengths considered."""
    crowd = crowd_of(table)
    if not crowd.decided:
        return SideBias(0.5, 0.0, 1.0, 0)
    own = np.flatnonzero(table.counted & (table.score != 0.5))
    residual = table.score[own] - logistic(difference(crowd, table, own) + crowd.gamma)
    by_voter = np.bincount(table.voter[own], residual, minlength=table.voters)
    variance = max(float((residual**2).sum()), float((by_voter**2).sum()), crowd.information) / crowd.information**2
    half_width = Z95 * np.sqrt(variance)
    low, share, high = logistic(crowd.gamma + np.array([-half_width, 0.0, half_width])).tolist()
    return SideBias(share, low, high, crowd.decided)
