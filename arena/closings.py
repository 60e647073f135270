"""Which operators' sessions were signed out: kept for the arena's other processes, and for its next start."""

from collections.abc import Mapping

from sqlalchemy import delete, select

from arena.database import Database
from arena.tables import ClosedSession


def keep_closed(database: Database, session_id: str, until: float, now: float) -> None:
    """Keep that a session was signed out, and forget those that are over by now; times are seconds since 1970."""
    with database.write() as session:
        session.execute(delete(ClosedSession).where(ClosedSession.until <= now))
        session.merge(ClosedSession(id=session_id, until=until))


def read_closed(database: Database) -> Mapping[str, float]:
    """The sessions that were signed out, and until when each would have been open."""
    with database.read() as session:
        return {row.id: row.until for row in session.execute(select(ClosedSession.id, ClosedSession.until))}
