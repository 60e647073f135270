"""Which operators' sessions were signed out: kept for the arena's other processes, and for its next start."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from sqlalchemy import delete, select

from arena.database import Database
from arena.outages import DatabaseUnavailable
from arena.tables import ClosedSession

HEAR_EVERY_S = 10.0
"""How soon a session that was signed out elsewhere opens nothing here."""


def keep_closed(database: Database, session_id: str, until: float, now: float) -> None:
    """Keep that a session was signed out, and forget those that are over by now; times are seconds since 1970."""
    with database.write() as session:
        session.execute(delete(ClosedSession).where(ClosedSession.until <= now))
        session.merge(ClosedSession(id=session_id, until=until))


def read_closed(database: Database) -> Mapping[str, float]:
    """The sessions that were signed out, and until when each would have been open."""
    with database.read() as session:
        return {row.id: row.until for row in session.execute(select(ClosedSession.id, ClosedSession.until))}


async def hear_closed(database: Database, hear: Callable[[Mapping[str, float]], None]) -> None:
    """Tell `hear` which sessions were signed out, before this start or at another process of the arena."""
    with suppress(DatabaseUnavailable):
        hear(await database.run(read_closed, database))


async def keep_hearing(database: Database, hear: Callable[[Mapping[str, float]], None]) -> None:
    """Go on telling it, until cancelled."""
    while True:
        await asyncio.sleep(HEAR_EVERY_S)
        await hear_closed(database, hear)
