"""One process at a time fills a campaign; the lock ends with the process that holds it, however that ends."""

import fcntl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from arena.database import Database
from arena.errors import ConfigError

_BUSY = "This campaign is being filled already, by another command; wait for it, or stop it."


@contextmanager
def filling_alone(database: Database, campaign_id: str) -> Iterator[None]:
    """Hold the campaign's lock.

    Raises:
        ConfigError: somebody else holds it.

    """
    if database.engine.dialect.name == "postgresql":
        with _held_by_connection(database, campaign_id):
            yield
    else:
        with _held_by_file(Path(f"{database.engine.url.database}.{campaign_id}.filling")):
            yield


@contextmanager
def _held_by_connection(database: Database, campaign_id: str) -> Iterator[None]:
    number = zlib.crc32(f"campaign:{campaign_id}".encode())
    # Autocommit: an open transaction as long as the filling would keep PostgreSQL from tidying up.
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
