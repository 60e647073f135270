"""How often the operator's password may be tried, wherever it is tried: counted in the database of all processes.

An attempt is counted before its password is looked at, and forgotten again if it was the right one: else all that come
at once would be looked at before the first is counted.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import ColumnElement, and_, delete, func, select, true
from sqlalchemy.orm import Session

from arena.database import Database
from arena.outages import DatabaseUnavailable
from arena.tables import WrongPassword, new_id

PER_ADDRESS = 5
IN_ALL = 100
WINDOW_S = 900.0
"""So many wrong passwords are taken from one address, and from all together, in so many seconds."""
_LOCK = 0x70_61_73_73
"""The advisory lock on PostgreSQL of whoever counts an attempt."""


class PasswordAttempts:
    """Counts wrong passwords, and refuses those that are too many. One per process, used from the event loop.

    A process also counts its own, first and in memory: who is refused by that costs the database nothing, and where the
    database does not answer that count alone decides. So an operator can still sign in and read what is the matter with
    the database, and a guesser gains at most each process's five passwords while it lasts.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._database = database
        self._clock = clock
        self._own: list[tuple[float, str]] = []

    async def begin(self, address: str) -> float:
        """Count an attempt from this address, given as a keyed hash, and return 0; or how many seconds it has to wait.

        An attempt that has to wait is not counted.
        """
        now = self._clock()
        self._own = [(at, whose) for at, whose in self._own if abs(now - at) < WINDOW_S]
        own = [at for at, whose in self._own if whose == address]
        if wait := longest_wait(own, [at for at, _ in self._own], now):
            return wait
        attempt = (now, address)
        self._own.append(attempt)
        try:
            wait = await self._database.run(_count, self._database, address, now)
        except DatabaseUnavailable:
            return 0.0
        if wait and attempt in self._own:
            self._own.remove(attempt)
        return wait

    async def succeeded(self, address: str) -> None:
        """Forget what this address got wrong."""
        self._own = [attempt for attempt in self._own if attempt[1] != address]
        with suppress(DatabaseUnavailable):  # it is forgotten after a quarter of an hour
            await self._database.run(_forget, self._database, address)


def longest_wait(own: list[float], all_together: list[float], now: float) -> float:
    """Seconds until one more wrong password may come, given when those of the window came; 0 when it may now."""
    waits = [0.0]
    for times, most in ((own, PER_ADDRESS), (all_together, IN_ALL)):
        if len(times) >= most:
            waits.append(sorted(times)[-most] + WINDOW_S - now)
    return max(waits)


def forget_old_passwords(session: Session, now: float) -> None:
    """Delete what no limit counts any more; what is far ahead was written before the clock was put back."""
    session.execute(delete(WrongPassword).where(~_in_window(now)))


def _count(database: Database, address: str, now: float) -> float:
    """Count an attempt, unless it has to wait; how long it has to, in seconds."""
    with database.read() as session:  # so that whoever goes on guessing keeps nobody from writing
        if wait := _wait(session, address, now):
            return wait
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":  # on SQLite whoever writes is alone
            session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        wait = _wait(session, address, now)
        if not wait:
            forget_old_passwords(session, now)
            session.add(WrongPassword(id=new_id(), address=address, at=now))
    return wait


def _wait(session: Session, address: str, now: float) -> float:
    def latest(whose: ColumnElement[bool], most: int) -> list[float]:
        query = select(WrongPassword.at).where(whose, _in_window(now))
        return list(session.scalars(query.order_by(WrongPassword.at.desc()).limit(most)))

    return longest_wait(latest(WrongPassword.address == address, PER_ADDRESS), latest(true(), IN_ALL), now)


def _in_window(now: float) -> ColumnElement[bool]:
    return and_(WrongPassword.at > now - WINDOW_S, WrongPassword.at < now + WINDOW_S)


def _forget(database: Database, address: str) -> None:
    with database.write() as session:
        session.execute(delete(WrongPassword).where(WrongPassword.address == address))
