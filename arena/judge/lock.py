"""One process at a time asks a judge; the lock ends with the process that holds it, however that ends."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from arena.database import Database
from arena.errors import ConfigError

_BUSY = "A judge is being asked already, by another command; wait for it, or stop it."


@contextmanager
def judging_alone(database: Database) -> Iterator[None]:
    """Hold the lock.

    Raises:
        ConfigError: somebody else holds it.

    """
    if database.engine.dialect.name == "postgresql":
        with _held_by_connection(database):
            yield
    else:
        with _held_by_file(Path(f"{database.engine.url.database}.judging")):
            yield


@contextmanager
def _held_by_connection(database: Database) -> Iterator[None]:
    number = zlib.crc32(b"judging")
    # Autocommit: an open transaction as long as the judging would keep PostgreSQL from tidying up.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(number))):
            raise ConfigError(_BUSY)
        try:
            yield
        finally:
            connection.scalar(select(func.pg_advisory_unlock(number)))


@contextmanager
def _held_by_file(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(_BUSY) from None
        yield  # the file stays: whoever had opened a deleted one would lock nothing
