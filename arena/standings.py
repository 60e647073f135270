"""One row of the leaderboard, and the whole of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from arena.counts import PairCounts
from arena.grouping import Entry
from arena.lineup import games_of
from arena.ratings import Ratings

PRELIMINARY_POINTS = 100.0
"""An interval that reaches further than this to each side is no result yet: 100 points are the step from an even match
to 64% wins, more than usually lies between neighbours on a board."""

PRELIMINARY_VOTES = 10
"""Fewer votes than this are no result whatever the interval says: its width rests on a normal approximation."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the leaderboard."""

    revision_id: int
    """0 where the row stands for several revisions."""
    model_id: str
    display_name: str
    """With ' (revision N)' where another revision of the same id also stands."""
    platform: str
    """As people read it."""
    family: str | None
    version: str | None
    rank_low: int
    """0 where unrated."""
    rank_high: int
    rating: float | None
    """Elo points; `None` where unrated."""
    low: float | None
    high: float | None
    votes: int
    wins: int
    ties: int
    both_bad: int
    win_rate: float | None
    """(wins + ties/2 + both-bad/2) / votes, 0..1."""
    people: int
    """Different voters behind the votes when they were last looked at: `Standings.clustered_at`; 0 before that."""
    preliminary: bool
    """The interval is too wide to be read as a result."""

    @property
    def rank(self) -> str:
        """'1', '1-3', or a dash where unrated."""
        if not self.rank_low:
            return "–"
        return str(self.rank_low) if self.rank_low == self.rank_high else f"{self.rank_low}-{self.rank_high}"

    def as_json(self) -> dict[str, Any]:
        """The row for programs: ratings to a tenth of a point, `null` where unrated."""
        return {
            "rank": self.rank,
            "rank_low": self.rank_low,
            "rank_high": self.rank_high,
            "model": self.model_id,
            "display_name": self.display_name,
            "platform": self.platform,
            "family": self.family,
            "version": self.version,
            "rating": _rounded(self.rating, 1),
            "low": _rounded(self.low, 1),
            "high": _rounded(self.high, 1),
            "votes": self.votes,
            "wins": self.wins,
            "ties": self.ties,
            "both_bad": self.both_bad,
            "win_rate": _rounded(self.win_rate, 4),
            "people": self.people,
            "preliminary": self.preliminary,
        }


@dataclass(frozen=True, slots=True)
class Standings:
    """The whole leaderboard at one moment: best first, models without votes last."""

    rows: Sequence[Standing]
    votes: int
    people: int
    sequence: int
    """The number of the latest vote in it, in commit order."""
    computed_at: datetime
    groups: int
    """Groups of rated models that never met each other, 1 when all are connected, 0 before the first vote."""
    apart: Sequence[Sequence[str]] = ()
    """The names in each of several such groups, the largest group first; empty when all are connected."""
    counted_at: datetime | None = None
    """When the latest vote that was looked at came to count; `None` before the first."""
    clustered_at: datetime | None = None
    """When people were counted, and what their number adds to the intervals was worked out; `None`: not yet.

    Later votes are in the ratings, their voters not in `people`.
    """

    def as_json(self) -> dict[str, Any]:
        """What the public endpoint and `leaderboard --json` answer; depends on votes only."""
        computed_from = {"votes": self.votes, "people": self.people, "sequence": self.sequence}
        return {"computed_from": computed_from, "standings": [row.as_json() for row in self.rows]}


def rows_of(
    entries: Sequence[Entry], counts: PairCounts, ratings: Ratings, people: Sequence[int]
) -> Sequence[Standing]:
    """The rows, best first; counts, ratings and people are those of the entries, in their order."""
    wins, ties, both_bad = (m.sum(axis=1).tolist() for m in (counts.wins, counts.ties, counts.both_bad))
    votes = games_of(counts).tolist()
    rating, low, high = (
        [None if np.isnan(value) else value for value in column.tolist()]
        for column in (ratings.rating, ratings.low, ratings.high)
    )
    rank_low, rank_high = ratings.rank_low.tolist(), ratings.rank_high.tolist()
    rows = [
        Standing(
            revision_id=entry.revisions[0] if len(entry.revisions) == 1 else 0,
            model_id=entry.model_id,
            display_name=entry.display_name,
            platform=entry.platform,
            family=entry.family,
            version=entry.version,
            rank_low=rank_low[place],
            rank_high=rank_high[place],
            rating=rating[place],
            low=low[place],
            high=high[place],
            votes=votes[place],
            wins=wins[place],
            ties=ties[place],
            both_bad=both_bad[place],
            win_rate=(wins[place] + (ties[place] + both_bad[place]) / 2) / votes[place] if votes[place] else None,
            people=people[place],
            preliminary=is_preliminary(votes[place], low[place], high[place]),
        )
        for place, entry in enumerate(entries)
    ]
    return sorted(rows, key=place_of)


def is_preliminary(votes: int, low: float | None, high: float | None) -> bool:
    """Whether an interval from so many votes is too wide to be read as a result."""
    wide = low is None or high is None or (high - low) / 2 > PRELIMINARY_POINTS
    return wide or votes < PRELIMINARY_VOTES


def place_of(row: Standing) -> tuple[bool, float, str, str, int]:
    """Best first, unrated last; equal ratings by id, so that the order never flickers."""
    return (row.rating is None, -(row.rating or 0.0), row.model_id, row.version or "", row.revision_id)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
