"""The standings: counts from the database, ratings, names; computed again only when a vote changed them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from arena.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the leaderboard."""

    revision_id: int
    model_id: str
    display_name: str
    """With ' (revision N)' where an older revision of the same id also stands."""
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
    """Different voters behind the votes."""
    preliminary: bool
    """The interval is too wide to be read as a result."""

    @property
    def rank(self) -> str:
        """'1', '1-3', or '–' where unrated."""
        if not self.rank_low:
            return "–"
        return str(self.rank_low) if self.rank_low == self.rank_high else f"{self.rank_low}-{self.rank_high}"


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

    def as_json(self) -> dict[str, Any]:
        """What the public endpoint and `leaderboard --json` answer; depends on votes only."""
        raise NotImplementedError


class Leaderboard:
    """Standings on demand, cached until a vote (of this or another process) changes them. Safe from any thread."""

    def __init__(self, database: Database) -> None:
        raise NotImplementedError

    def standings(self, scopes: Sequence[str] = ("battle", "imported"), criterion: str = "") -> Standings:
        """The present standings."""
        raise NotImplementedError
