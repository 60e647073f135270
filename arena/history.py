"""How ratings moved: the standings noted hour by hour, and the same worked out again from the votes.

Nothing is written with a vote. A note is taken now and then, only where there are new votes, and costs by the number of
models. The notes of one hour are one: the last. Two days later a day keeps only its last.
"""

import asyncio
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from arena.ballots import RATED_SCOPES, Ballots, Slice, read_ballots
from arena.database import Database
from arena.leaderboard import Leaderboard
from arena.rating_table import Crowd, look_at, tabulate
from arena.stamps import latest_sequence
from arena.standings import Standings
from arena.tables import Battle, ModelRevision, StandingHistory, Vote, VoteState, Winner, counted_in, now

log = logging.getLogger(__name__)
NOTE_EVERY_S = 120.0
"""How often it is looked whether votes have moved the ratings, to note where they stand."""
HOURLY = timedelta(days=2)
"""So far back there is a note for each hour with votes; before that one for each day."""

_NOTES: Table = StandingHistory.__table__  # type: ignore[assignment]
_READ_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One revision's rating at one time."""

    at: datetime
    rating: float
    low: float
    high: float
    votes: int


async def keep_noting(database: Database, leaderboard: Leaderboard) -> None:
    """Note now and then until cancelled how the ratings stand; nothing is noted while no votes come."""
    while True:
        try:
            await database.run(note_standings, database, leaderboard)
        except SQLAlchemyError:  # the next note tells as much
            log.warning("How the ratings stand could not be noted", exc_info=True)
        await asyncio.sleep(NOTE_EVERY_S)


def note_standings(database: Database, leaderboard: Leaderboard) -> bool:
    """Note the present standings if votes have come since the last note; says whether it did.

    An arena with votes and without notes gets its whole history, from the votes.
    """
    standings = leaderboard.standings()
    with database.read() as session:
        noted = session.scalar(select(func.max(StandingHistory.sequence)))
    if not standings.votes or noted == standings.sequence:
        return False
    if noted is None:
        rebuild_history(database)
        return True
    at = _hour(now())
    with database.write() as session:
        session.execute(delete(StandingHistory).where(StandingHistory.at == at))
        _write(session, at, standings)
        _thin(session, at)
    return True


def rebuild_history(database: Database, progress: Callable[[float], None] = lambda _: None) -> int:
    """Work the whole history out again from the votes that count, in one transaction; how many moments it has.

    Each moment's ratings are those of all votes up to its end. What clustering by voter adds to the intervals is
    today's, as the leaderboard itself keeps it between two looks at the votes. `progress` hears the share that is done.
    """
    sequence = latest_sequence(database)
    with database.read() as session:
        revisions = session.scalars(select(ModelRevision).order_by(ModelRevision.id)).all()
        hours, verdicts = _read_votes(session)
    ballots = read_ballots(database, Slice())
    crowd = look_at(tabulate(revisions, ballots.counts(sequence), "model"), ballots, sequence)
    with database.write() as session:
        session.execute(delete(StandingHistory))
        moments = 0
        for at, standings in _replay(revisions, hours, verdicts, crowd):
            _write(session, at, standings)
            moments += 1
            progress(bisect_right(hours, at) / len(hours))
    return moments


def read_history(database: Database, revisions: Sequence[int]) -> Mapping[int, Sequence[Moment]]:
    """The notes of some revisions, in order of time."""
    found: dict[int, list[Moment]] = {revision: [] for revision in revisions}
    statement = select(
        _NOTES.c.revision_id, _NOTES.c.at, _NOTES.c.rating, _NOTES.c.low, _NOTES.c.high, _NOTES.c.votes
    ).where(_NOTES.c.revision_id.in_(revisions))
    with database.engine.connect() as connection:
        for revision, *facts in connection.execute(statement.order_by(_NOTES.c.at)):
            found[revision].append(Moment(*facts))
    return found


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _write(session: Session, at: datetime, standings: Standings) -> None:
    rows: list[dict[str, Any]] = [
        {
            "revision_id": row.revision_id,
            "at": at,
            "rating": row.rating,
            "low": row.low,
            "high": row.high,
            "votes": row.votes,
            "sequence": standings.sequence,
        }
        for row in standings.rows
        if row.rating is not None and row.revision_id
    ]
    if rows:
        session.execute(insert(StandingHistory), rows)


def _thin(session: Session, at: datetime) -> None:
    """Of days that are no longer told by the hour, keep the last note; those before the day were thinned before."""
    end = (at - HOURLY).replace(hour=0)
    noted = session.scalars(select(StandingHistory.at).where(StandingHistory.at < end).distinct()).all()
    kept = set(_kept(sorted(noted), end))
    session.execute(delete(StandingHistory).where(StandingHistory.at.in_([hour for hour in noted if hour not in kept])))


def _kept(hours: Sequence[datetime], hourly_from: datetime) -> Iterable[datetime]:
    """Which hours of an ascending sequence stay."""
    for hour, later in pairwise([*hours, None]):
        if hour is not None and (later is None or hour >= hourly_from or hour.date() != later.date()):
            yield hour


def _read_votes(session: Session) -> tuple[Sequence[datetime], Mapping[datetime, "deque[tuple[int, int, Winner]]"]]:
    """The hours with votes, ascending, and the votes of each."""
    statement = (
        select(Vote.created_at, Battle.revision_a, Battle.revision_b, Vote.winner)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.rated, Vote.state == VoteState.COUNTED, counted_in().in_(RATED_SCOPES))
    )
    votes: dict[datetime, deque[tuple[int, int, Winner]]] = {}
    for at, a, b, winner in session.execute(statement, execution_options={"yield_per": _READ_AT_ONCE}):
        votes.setdefault(_hour(at), deque()).append((a, b, winner))
    return sorted(votes), votes


def _replay(
    revisions: Sequence[ModelRevision],
    hours: Sequence[datetime],
    votes: Mapping[datetime, "deque[tuple[int, int, Winner]]"],
    crowd: Crowd,
) -> Iterable[tuple[datetime, Standings]]:
    if not hours:
        return
    kept = set(_kept(hours, (hours[-1] - HOURLY).replace(hour=0)))
    size = max(revision.id for revision in revisions) + 1
    total = np.zeros((4, size, size), np.int64)
    table = None
    for hour in hours:
        _add(total, votes[hour])
        if hour not in kept:
            continue
        counts = _as_ballots(total).counts(crowd.sequence)
        table = tabulate(revisions, counts, "model", table)
        yield hour, table.standings(crowd, table.inflation(crowd))


_PLACES = {winner: place for place, winner in enumerate(Winner)}


def _add(total: np.ndarray[Any, np.dtype[np.int64]], votes: Iterable[tuple[int, int, Winner]]) -> None:
    rows = np.array([(_PLACES[winner], a, b) for a, b, winner in votes], np.int64)
    np.add.at(total, tuple(rows.T), 1)


def _as_ballots(total: np.ndarray[Any, np.dtype[np.int64]]) -> Ballots:
    """All votes so far by pair, as if one voter had given them: only their sums are looked at."""
    low, high = np.nonzero(np.triu(total.sum(axis=0) + total.sum(axis=0).T, 1))
    won_a, won_b, ties, both_bad = total
    return Ballots(
        voter=np.zeros(len(low), np.int64),
        unknown=np.zeros(0, np.int64),
        low=low,
        high=high,
        wins_low=won_a[low, high] + won_b[high, low],
        wins_high=won_b[low, high] + won_a[high, low],
        ties=ties[low, high] + ties[high, low],
        both_bad=both_bad[low, high] + both_bad[high, low],
    )
