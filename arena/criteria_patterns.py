"""What verdicts on criteria have to do with the overall vote, and with each other; pure numpy.

Shares come with a Wilson interval. Votes of one person lean the same way, so the number of votes it rests on is divided
by the design effect: the variance with votes grouped by voter over that of as many votes by as many people, where that
is larger (Kish, Survey Sampling, 1965).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.ratings import Z95

Ints = NDArray[np.int64]

NOT_RATED = 2
"""Stands where a criterion was not rated."""

ENOUGH = 10
"""Fewer votes than this say nothing in words."""


@dataclass(frozen=True, slots=True, eq=False)
class CriteriaVotes:
    """Votes that rated criteria, equal ones of a voter together."""

    voter: Ints
    """0, 1, …: whose votes they are."""
    overall: Ints
    """1 where A won, -1 where B won, 0 where neither did."""
    rated: Ints
    """Shape (rows, criteria): 1 for A, -1 for B, 0 for even, or `NOT_RATED`."""
    number: Ints
    """How many votes each row stands for."""

    def of(self, chosen: NDArray[np.bool_]) -> "CriteriaVotes":
        """Some of the rows."""
        return CriteriaVotes(self.voter[chosen], self.overall[chosen], self.rated[chosen], self.number[chosen])


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some votes with its 95% interval, 0..1."""

    value: float
    low: float
    high: float
    votes: int
    people: int

    @property
    def words(self) -> str:
        """'62% (55% to 69%)'."""
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True, slots=True)
class Association:
    """How one criterion goes with the overall vote, in votes where both name a side."""

    rated: int
    """Votes that rated the criterion at all."""
    same: Share | None
    """How often both name the same side; `None` where no vote names a side in both."""

    @property
    def sentence(self) -> str:
        """With the vote, against it, or open."""
        if self.same is None or self.same.votes < ENOUGH:
            return f"Too few votes to tell whether it goes with the overall vote: it takes {ENOUGH}."
        fact = f"the same side in {self.same.words} of {self.same.votes:,} votes that name a side in both"
        if self.same.low > 0.5:
            return f"Goes with the overall vote: {fact}."
        if self.same.high < 0.5:
            return f"Goes against the overall vote: {fact}."
        return f"It is open whether it goes with the overall vote or against it: {fact}."


@dataclass(frozen=True, slots=True)
class Halo:
    """How often all criteria of a vote go to one side, in votes where two or more name a side."""

    uniform: Share | None
    """`None` where there is no such vote."""
    independent: float
    """The share there would be if the criteria had nothing to do with each other, sides as often chosen as they are."""

    @property
    def sentence(self) -> str:
        """Whether one impression seems to colour all criteria."""
        if self.uniform is None or self.uniform.votes < ENOUGH:
            return f"Too few votes on two or more criteria to look for a halo: it takes {ENOUGH}."
        fact = (
            f"all criteria name the same side in {self.uniform.words} of {self.uniform.votes:,} votes on two or more; "
            f"if they had nothing to do with each other it would be {self.independent:.0%}"
        )
        if self.uniform.low > self.independent:
            return (
                f"Criteria hang together: {fact}. A good answer may be good in several ways, or one impression may "
                "colour all."
            )
        return f"No halo shows: {fact}."


def associations(votes: CriteriaVotes) -> Sequence[Association]:
    """How each criterion goes with the overall vote."""
    found = []
    for rated in votes.rated.T:
        decided = (votes.overall != 0) & (np.abs(rated) == 1)
        part = votes.of(decided)
        same = part.overall == rated[decided]
        found.append(Association(int(votes.number[rated != NOT_RATED].sum()), share(same, part.voter, part.number)))
    return found


def halo(votes: CriteriaVotes) -> Halo:
    """Whether the criteria of one vote go to the same side more often than independent ones would."""
    sides = np.abs(votes.rated) == 1
    several = votes.of(sides.sum(axis=1) >= 2)
    if not len(several.number):
        return Halo(None, 0.0)
    for_a, for_b = several.rated == 1, several.rated == -1
    uniform = ~(for_a.any(axis=1) & for_b.any(axis=1))
    number = several.number[:, None]
    # Half a vote for each side: a criterion that always went to A is not known to go to A always.
    a_wins = ((for_a * number).sum(axis=0) + 0.5) / (((for_a | for_b) * number).sum(axis=0) + 1.0)
    all_a = np.where(for_a | for_b, a_wins, 1.0).prod(axis=1)
    all_b = np.where(for_a | for_b, 1.0 - a_wins, 1.0).prod(axis=1)
    independent = float(np.average(all_a + all_b, weights=several.number))
    return Halo(share(uniform, several.voter, several.number), independent)


def share(happened: NDArray[np.bool_], voter: Ints, number: Ints) -> Share | None:
    """The share of votes in which something happened; `None` without votes. Arrays of one length."""
    votes = int(number.sum())
    if not votes:
        return None
    value = float((happened * number).sum() / votes)
    _, who = np.unique(voter, return_inverse=True)
    by_voter = np.bincount(who, (happened - value) * number)
    people = len(by_voter)
    plain = votes * value * (1 - value)
    design = float((by_voter**2).sum()) * people / max(people - 1, 1) / plain if plain > 0 else 1.0
    low, high = wilson(value, votes / max(design, 1.0))
    return Share(value, low, high, votes, people)


def wilson(value: float, votes: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share; `votes` need not be whole."""
    middle = (value + Z95**2 / (2 * votes)) / (1 + Z95**2 / votes)
    reach = Z95 / (1 + Z95**2 / votes) * math.sqrt(value * (1 - value) / votes + Z95**2 / (4 * votes**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
