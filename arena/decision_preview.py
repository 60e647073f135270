"""What a decision about voters would change, before it is taken: the standings as they are, and as they would be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from arena.counts import PairCounts, Verdict, read_counts
from arena.database import Database
from arena.ratings import Ratings, rate
from arena.tables import ModelRevision, VoterVerdict, Winner
from arena.voter_decisions import change_of_counts

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shift:
    """One model's standing before and after a decision; ranks as '1' or '1-3', a dash and `None` where unrated."""

    revision_id: int
    model_id: str
    display_name: str
    rating_now: float | None
    rating_then: float | None
    rank_now: str
    rank_then: str
    votes_now: int
    votes_then: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a decision would change, before it is taken."""

    decision: VoterVerdict
    votes: int
    """How many votes would begin, or cease, to count."""
    rows: Sequence[Shift]
    """By the standing as it would be, best first."""

    @property
    def sentence(self) -> str:
        """The change in words."""
        if not self.votes:
            return "This would change no vote that counts."
        moved = max((row for row in self.rows if row.rating_then is not None), key=_moved, default=None)
        votes = "1 vote" if self.votes == 1 else f"{self.votes} votes"
        what = f"{votes} would {'count again' if self.decision is VoterVerdict.COUNT else 'no longer count'}"
        if moved is None or moved.rating_now is None or moved.rating_then is None:
            return f"{what}."
        reranked = [row.display_name for row in self.rows if row.rank_now != row.rank_then]
        ranks = f"ranks change for {', '.join(reranked)}" if reranked else "no rank changes"
        points = moved.rating_then - moved.rating_now
        return f"{what}: {moved.display_name} moves most, by {points:+.0f} points; {ranks}."

    def as_json(self) -> dict[str, Any]:
        """For programs: ratings to a tenth of a point."""
        return {
            "decision": self.decision.value,
            "votes": self.votes,
            "standings": [
                {
                    "model": row.model_id,
                    "display_name": row.display_name,
                    "rating_now": None if row.rating_now is None else round(row.rating_now, 1),
                    "rating_then": None if row.rating_then is None else round(row.rating_then, 1),
                    "rank_now": row.rank_now,
                    "rank_then": row.rank_then,
                    "votes_now": row.votes_now,
                    "votes_then": row.votes_then,
                }
                for row in self.rows
            ],
        }


def preview(
    database: Database,
    voters: Collection[str],
    decision: VoterVerdict,
    scopes: Sequence[str] = ("battle", "imported"),
) -> Preview:
    """The standings as they are, and as they would be after the decision about all of these voters."""
    counts = read_counts(database, scopes)
    with database.read() as session:
        change = change_of_counts(session, voters, decision)
        names = {r.id: r for r in session.scalars(select(ModelRevision))}
    change = {v: n for v, n in change.items() if v.scope in scopes and not v.criterion}
    revisions = sorted({*counts.revisions, *(r for v in change for r in (v.revision_a, v.revision_b))})
    place = {revision: index for index, revision in enumerate(revisions)}
    before = _Table.of(counts, place)
    after = before.changed(change, place)
    rated = (before.rated(), after.rated())
    votes = (before.votes(), after.votes())
    rows = [
        Shift(
            revision_id=revision,
            model_id=names[revision].model_id,
            display_name=names[revision].display_name,
            rating_now=_rating(rated[0], index),
            rating_then=_rating(rated[1], index),
            rank_now=_rank(rated[0], index),
            rank_then=_rank(rated[1], index),
            votes_now=int(votes[0][index]),
            votes_then=int(votes[1][index]),
        )
        for index, revision in enumerate(revisions)
    ]
    rows.sort(key=lambda row: (row.rating_then is None, -(row.rating_then or 0.0), row.model_id, row.revision_id))
    return Preview(decision, sum(abs(amount) for amount in change.values()), rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Counts of verdicts between revisions, as `arena.ratings` reads them."""

    wins: Counts
    ties: Counts
    both_bad: Counts

    @classmethod
    def of(cls, counts: PairCounts, place: Mapping[int, int]) -> "_Table":
        """The counts, each revision at its place."""
        size = len(place)
        at = [place[revision] for revision in counts.revisions]
        placed = []
        for counted in (counts.wins, counts.ties, counts.both_bad):
            table = np.zeros((size, size), np.int64)
            table[np.ix_(at, at)] = counted
            placed.append(table)
        return cls(*placed)

    def changed(self, change: Mapping[Verdict, int], place: Mapping[int, int]) -> "_Table":
        new = _Table(self.wins.copy(), self.ties.copy(), self.both_bad.copy())
        for verdict, amount in change.items():
            a, b = place[verdict.revision_a], place[verdict.revision_b]
            if verdict.winner is Winner.MODEL_A:
                new.wins[a, b] += amount
            elif verdict.winner is Winner.MODEL_B:
                new.wins[b, a] += amount
            else:
                even = new.ties if verdict.winner is Winner.TIE else new.both_bad
                even[a, b] += amount
                even[b, a] += amount
        return new

    def rated(self) -> Ratings:
        return rate(self.wins, self.ties, self.both_bad)

    def votes(self) -> Counts:
        return np.asarray((self.wins + self.wins.T + self.ties + self.both_bad).sum(axis=1))


def _rating(ratings: Ratings, index: int) -> float | None:
    value = float(ratings.rating[index])
    return None if np.isnan(value) else value


def _rank(ratings: Ratings, index: int) -> str:
    low, high = int(ratings.rank_low[index]), int(ratings.rank_high[index])
    if not low:
        return "–"
    return str(low) if low == high else f"{low}-{high}"


def _moved(row: Shift) -> float:
    if row.rating_now is None or row.rating_then is None:
        return 0.0
    return abs(row.rating_then - row.rating_now)
