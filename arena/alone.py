"""One process at a time does a piece of work; its lock ends with the process that holds it, however that ends."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from arena.database import Database
from arena.errors import ConfigError


@contextmanager
def alone(database: Database, work: str, busy: str) -> Iterator[None]:
    """Hold the lock of `work`: a file beside SQLite's, an advisory lock on PostgreSQL.

    Raises:
        ConfigError: somebody else holds it; says `busy`.

    """
    if database.engine.dialect.name == "postgresql":
        with _held_by_connection(database, work, busy):
            yield
    else:
        with _held_by_file(Path(f"{database.engine.url.database}.{work}"), busy):
            yield


@contextmanager
def _held_by_connection(database: Database, work: str, busy: str) -> Iterator[None]:
    number = zlib.crc32(work.encode())
    # Autocommit: an open transaction as long as the work would keep PostgreSQL from tidying up.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(number))):
            raise ConfigError(busy)
        try:
            yield
        finally:
            connection.scalar(select(func.pg_advisory_unlock(number)))


@contextmanager
def _held_by_file(path: Path, busy: str) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(busy) from None
        yield  # the file stays: whoever had opened a deleted one would lock nothing
