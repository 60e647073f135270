"""The standings: counts from the database, ratings, names; computed again only when a vote changed them."""

import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from arena.counts import VOTES, PairCounts, read_counts
from arena.database import Counter, Database, ModelRevision, now
from arena.electorate import Electorate
from arena.grouping import Entry, Grouping, group_revisions
from arena.ratings import Ratings, groups, rate

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
    """Different voters behind the votes."""
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

    def as_json(self) -> dict[str, Any]:
        """What the public endpoint and `leaderboard --json` answer; depends on votes only."""
        computed_from = {"votes": self.votes, "people": self.people, "sequence": self.sequence}
        return {"computed_from": computed_from, "standings": [row.as_json() for row in self.rows]}


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Numbers of the newest vote and revision: standings with the same stamp are current."""

    sequence: int
    revision: int


class Leaderboard:
    """Standings on demand, cached until a vote (of this or another process) changes them. Safe from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._cache: dict[tuple[tuple[str, ...], str, Grouping], tuple[_Stamp, Standings]] = {}
        self._electorates: dict[tuple[tuple[str, ...], str], Electorate] = {}

    def standings(
        self, scopes: Sequence[str] = ("battle", "imported"), criterion: str = "", by: Grouping = "model"
    ) -> Standings:
        """The present standings; of several callers after one vote the first computes and the others wait for it.

        What was asked for once is remembered: pass criteria of the rubric only, never what a visitor typed.
        """
        key = (tuple(scopes), criterion, by)
        stamp = self._stamp()
        with self._lock:
            if key in self._cache:
                cached_stamp, cached = self._cache[key]
                if cached_stamp.sequence >= stamp.sequence and cached_stamp.revision >= stamp.revision:
                    return cached
            # The stamp is older than, or as old as, what is read next: a vote in between is only computed twice.
            standings = self._compute(scopes, criterion, by)
            self._cache[key] = (stamp, standings)
            return standings

    def _compute(self, scopes: Sequence[str], criterion: str, by: Grouping) -> Standings:
        counts = read_counts(self._database, scopes, criterion)
        with self._database.read() as session:
            revisions = session.scalars(select(ModelRevision).order_by(ModelRevision.id)).all()
        entries = group_revisions(_worth_showing(revisions, counts), by)
        merged = _merged(counts, entries)
        ratings = rate(merged.wins, merged.ties, merged.both_bad)
        people = _people(entries, self._electorate(scopes, criterion).voters(counts.sequence, counts.votes))
        rows = [_row(entry, place, merged, ratings, len(people[place])) for place, entry in enumerate(entries)]
        return Standings(
            rows=sorted(rows, key=_order),
            votes=merged.votes,
            people=len(set().union(*people)),
            sequence=counts.sequence,
            computed_at=now(),
            groups=groups(merged.wins, merged.ties, merged.both_bad),
        )

    def _electorate(self, scopes: Sequence[str], criterion: str) -> Electorate:
        key = (tuple(scopes), criterion)
        if key not in self._electorates:
            self._electorates[key] = Electorate(self._database, key[0], criterion)
        return self._electorates[key]

    def _stamp(self) -> _Stamp:
        with self._database.read() as session:
            sequence = select(Counter.value).where(Counter.name == VOTES).scalar_subquery()
            row = session.execute(select(sequence, func.max(ModelRevision.id))).one()
        return _Stamp(row[0] or 0, row[1] or 0)


def _worth_showing(revisions: Sequence[ModelRevision], counts: PairCounts) -> Sequence[ModelRevision]:
    """Revisions with votes, and the newest of each id; an imported namesake is no newer one of a roster's model."""
    voted = set(np.array(counts.revisions)[_games(counts) > 0].tolist())
    newest = {(r.model_id, r.platform == "imported"): r.id for r in sorted(revisions, key=lambda r: r.number)}
    return [r for r in revisions if r.id in voted or r.id == newest[r.model_id, r.platform == "imported"]]


def _merged(counts: PairCounts, entries: Sequence[Entry]) -> PairCounts:
    """The counts between entries; what members of one entry did to each other says nothing about it."""
    column = {revision: place for place, revision in enumerate(counts.revisions)}
    member = np.zeros((len(entries), len(column)), np.int64)
    for place, entry in enumerate(entries):
        member[place, [column[r] for r in entry.revisions if r in column]] = 1

    def between(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        total = member @ matrix @ member.T
        np.fill_diagonal(total, 0)
        return np.asarray(total)

    return PairCounts(
        revisions=range(len(entries)),
        wins=between(counts.wins),
        ties=between(counts.ties),
        both_bad=between(counts.both_bad),
        sequence=counts.sequence,
    )


def _people(entries: Sequence[Entry], voters: Mapping[tuple[int, int], AbstractSet[str]]) -> Sequence[set[str]]:
    """The voters behind each entry."""
    place = {revision: index for index, entry in enumerate(entries) for revision in entry.revisions}
    people: list[set[str]] = [set() for _ in entries]
    for (revision_a, revision_b), who in voters.items():
        a, b = place.get(revision_a), place.get(revision_b)
        if a is not None and b is not None and a != b:
            people[a] |= who
            people[b] |= who
    return people


def _row(entry: Entry, place: int, counts: PairCounts, ratings: Ratings, people: int) -> Standing:
    wins, votes = int(counts.wins[place].sum()), int(_games(counts)[place])
    ties, both_bad = int(counts.ties[place].sum()), int(counts.both_bad[place].sum())
    low, high = _number(ratings.low[place]), _number(ratings.high[place])
    wide = low is None or high is None or (high - low) / 2 > PRELIMINARY_POINTS
    return Standing(
        revision_id=entry.revisions[0] if len(entry.revisions) == 1 else 0,
        model_id=entry.model_id,
        display_name=entry.display_name,
        platform=entry.platform,
        family=entry.family,
        version=entry.version,
        rank_low=int(ratings.rank_low[place]),
        rank_high=int(ratings.rank_high[place]),
        rating=_number(ratings.rating[place]),
        low=low,
        high=high,
        votes=votes,
        wins=wins,
        ties=ties,
        both_bad=both_bad,
        win_rate=(wins + (ties + both_bad) / 2) / votes if votes else None,
        people=people,
        preliminary=wide or votes < PRELIMINARY_VOTES,
    )


def _games(counts: PairCounts) -> NDArray[np.int64]:
    """How many votes each row of the counts took part in."""
    return np.asarray((counts.wins + counts.wins.T + counts.ties + counts.both_bad).sum(axis=1))


def _order(row: Standing) -> tuple[bool, float, str, str, int]:
    """Best first, unrated last; equal ratings by id, so that the order never flickers."""
    return (row.rating is None, -(row.rating or 0.0), row.model_id, row.version or "", row.revision_id)


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
