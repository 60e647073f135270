"""What must hold of a database whose voting processes were killed at any moment."""

from collections.abc import Sequence

from sqlalchemy import func, select, text

from arena.counts import rebuild_counts
from arena.database import Database
from arena.tables import Battle, BattleState, PairCount, Vote


def wrongs(database: Database, acknowledged: Sequence[str], most: int) -> list[str]:
    """What is wrong: acknowledged votes that are missing or doubled, states and counts that do not fit the votes.

    `most` is how many votes there may be: those acknowledged, and one for each voter of each killed process.
    """
    with database.read() as session:
        voted = list(session.scalars(select(Vote.battle_id)))
        states = set(session.scalars(select(Battle.id).where(Battle.state == BattleState.VOTED)))
        sequences = session.scalar(select(func.count(Vote.sequence.distinct())))
        sound = session.scalar(text("PRAGMA integrity_check")) if database.file else "ok"
    kept = _counts(database)
    rebuilt = rebuild_counts(database)
    found = {
        "acknowledged votes are lost": set(acknowledged) <= set(voted),
        "a vote was acknowledged twice": len(acknowledged) == len(set(acknowledged)),
        "a battle has two votes": len(voted) == len(set(voted)),
        "there are votes that nobody gave": len(voted) <= most,
        "a battle's state does not fit its vote": states == set(voted),
        "two votes share a number": sequences == len(voted),
        "the file is damaged": sound == "ok",
        "a vote is counted twice, or not at all": rebuilt == len(voted) and _counts(database) == kept,
    }
    return [wrong for wrong, right in found.items() if not right]


def _counts(database: Database) -> list[tuple[object, ...]]:
    columns = [column for column in PairCount.__table__.columns if column.name != "sequence"]
    with database.read() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(*columns[:4]))]
