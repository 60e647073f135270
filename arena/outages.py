"""When the database refuses to work: a sentence for visitors, lines in the log and counts for the operator.

A full disk, a lock held by another program, a damaged file, a server that is gone: none of them is a bug, all of them
pass, and no statement that failed was acknowledged.
"""

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from arena.errors import ArenaError

log = logging.getLogger(__name__)
QUIET_S = 10.0
"""At most one line of the log for each kind of trouble in so many seconds."""


class Trouble(StrEnum):
    """Why the database did not work."""

    FULL = "full"
    LOCKED = "locked"
    DAMAGED = "damaged"
    DISK = "disk"
    GONE = "gone"
    MOVED = "moved"


ADVICE: Mapping[Trouble, str] = {
    Trouble.FULL: "The database's disk is full: free some space. Nothing else need be done.",
    Trouble.LOCKED: "Another program holds the database's write lock: let it finish, or stop it.",
    Trouble.DAMAGED: "The database's file is damaged: stop the arena, and bring back the newest backup with `restore`.",
    Trouble.DISK: "The database's disk refuses to be read or written: look at its rights, its quota and its health.",
    Trouble.GONE: "The database server does not answer: start it. The arena finds it again by itself.",
    Trouble.MOVED: "The database's file is not where it was: put it back. If it is lost, stop the arena and `restore`.",
}
"""For the operator: what each kind means and what to do about it."""

_SQLITE: Mapping[int, Trouble] = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR: Trouble.DISK,
    sqlite3.SQLITE_READONLY: Trouble.DISK,
    sqlite3.SQLITE_CANTOPEN: Trouble.DISK,
}
_POSTGRESQL = {
    "25006": Trouble.GONE,
    "40001": Trouble.LOCKED,
    "40P01": Trouble.LOCKED,
    "53100": Trouble.FULL,
    "55P03": Trouble.LOCKED,
    "58030": Trouble.DISK,
    "XX001": Trouble.DAMAGED,
    "XX002": Trouble.DAMAGED,
}


class DatabaseUnavailable(ArenaError, SQLAlchemyError):
    """The database does not work at the moment; what was asked of it was not done, or its outcome is not known."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__("The arena cannot reach its records at the moment. Please try again in a minute.")
        self.trouble = trouble


class Outages:
    """What the database refused since the start of this process. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[Trouble] = Counter()
        self._said_at: dict[Trouble, float] = {}
        self._present: Trouble | None = None
        self._damaged = False

    @property
    def present(self) -> Trouble | None:
        """What the latest refused statement suffered from; `None` as soon as something was written again."""
        return self._present

    @property
    def known(self) -> Trouble | None:
        """What the operator has to see to: what is present, or damage that no statement has met yet."""
        return self._present or (Trouble.DAMAGED if self._damaged else None)

    def looked_through(self, damage: str) -> None:
        """The whole file was read: `damage` is what is wrong with it, in SQLite's words; empty if nothing is."""
        if damage and not self._damaged:
            log.error("%s (%s)", ADVICE[Trouble.DAMAGED], damage)
        self._damaged = bool(damage)

    def refuse(self, trouble: Trouble, why: str) -> DatabaseUnavailable:
        """The error for what was not even tried, noted like what failed; `why` is for the log."""
        self._note(trouble, OSError(why))
        return DatabaseUnavailable(trouble)

    def by_trouble(self) -> Mapping[str, int]:
        """How many statements were refused, by kind."""
        with self._lock:
            return {trouble.value: self._counts[trouble] for trouble in Trouble}

    def watch(self, engine: Engine) -> None:
        """From now on every statement that `engine` cannot run for such a reason raises `DatabaseUnavailable`."""
        event.listen(engine, "handle_error", self._refused, retval=True)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Do inside what `watch` does for a whole engine."""
        try:
            yield
        except DBAPIError as error:
            trouble = tell_trouble(error.orig)
            if trouble is None:
                raise
            self._note(trouble, error.orig or error)
            raise DatabaseUnavailable(trouble) from error

    def written(self) -> None:
        """A transaction was committed: whatever it was is over."""
        if self._present is not None:
            with self._lock:
                ended, self._present = self._present, None
                self._said_at.clear()
            if ended is not None:
                log.info("The database works again")

    def _refused(self, context: ExceptionContext) -> DatabaseUnavailable | None:
        trouble = tell_trouble(context.original_exception)
        if trouble is None or context.is_pre_ping:
            return None
        self._note(trouble, context.original_exception)
        return DatabaseUnavailable(trouble)

    def _note(self, trouble: Trouble, error: BaseException) -> None:
        with self._lock:
            self._counts[trouble] += 1
            self._present = trouble
            now = self._clock()
            if now - self._said_at.get(trouble, -QUIET_S) < QUIET_S:
                return
            self._said_at[trouble] = now
        log.error("%s (%s)", ADVICE[trouble], " ".join(str(error).split())[:200] or type(error).__name__)


def tell_trouble(error: BaseException | None) -> Trouble | None:
    """What kind of trouble a driver's error tells of; `None` if the statement is to blame."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF)
    if "sqlstate" not in dir(error):
        return None
    state = getattr(error, "sqlstate", None)
    if state in _POSTGRESQL:
        return _POSTGRESQL[state]
    names = {kind.__name__ for kind in type(error).__mro__}
    return Trouble.GONE if names & {"OperationalError", "InterfaceError"} else None
