"""The newest vote's number in commit order: what was made at the same stamp is current."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, func, select

from arena.database import Database
from arena.tables import Counter, ModelRevision, Vote, VoteState

VOTES = "votes"
"""Name of the counter that numbers votes, and changes to votes, in commit order."""

_NUMBERS: Table = Counter.__table__  # type: ignore[assignment]
_SEQUENCE = select(_NUMBERS.c.value).where(_NUMBERS.c.name == VOTES).scalar_subquery()
_COUNTED = select(cast(Vote.changed_at, Text)).where(Vote.rated, Vote.state == VoteState.COUNTED)
NUMBERED = select(
    _SEQUENCE.label("sequence"),
    func.max(ModelRevision.id).label("revision"),
    # The newest number is nearly always that of a vote that counts. Looking for the latest such vote comes second: a
    # database whose statistics are old may read all votes for it.
    func.coalesce(
        _COUNTED.where(Vote.sequence == _SEQUENCE).scalar_subquery(),
        _COUNTED.order_by(Vote.sequence.desc()).limit(1).scalar_subquery(),
    ).label("counted_at"),
).subquery()
"""A row of the stamp's numbers, for `Stamp.of`."""
_STAMP = select(NUMBERED)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Numbers of the newest vote and revision, 0 where there is none: what was made at the same stamp is current."""

    sequence: int
    revision: int
    counted_at: datetime | None = None
    """When the latest vote that counts came to count."""

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Stamp":
        """From a row of the database, the time as text."""
        sequence, revision, counted = row
        at = datetime.fromisoformat(counted) if counted else None
        return cls(sequence or 0, revision or 0, at.replace(tzinfo=at.tzinfo or UTC) if at else None)


def latest_stamp(connection: Connection) -> Stamp:
    """The stamp of this moment."""
    return Stamp.of(connection.execute(_STAMP).one())


def latest_sequence(database: Database) -> int:
    """The newest commit number; a cache with the same number is current."""
    return database.glance(latest_stamp).sequence
