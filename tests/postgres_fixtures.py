"""A private PostgreSQL server for the tests, and every supported database behind one fixture.

With `pytest --database postgresql` all other data folders have a PostgreSQL database too (see `databases.py`);
tests of what only SQLite has are marked `sqlite`, and left out.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arena.database import Database, open_database
from tests.databases import SERVER, TEMPLATE, a_new_one, create, sqlite_in
from tests.memory import memory_with_room
from tests.postgres_server import MISSING, private_postgres


@pytest.fixture(scope="session", autouse=True)
def _database_everywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start the server before any test where all tests are to use it."""
    if request.config.getoption("--database") == "postgresql":
        request.getfixturevalue("postgres_template")
        SERVER.append(request.getfixturevalue("postgres_socket"))
    yield
    SERVER.clear()


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The folder with the socket of a running server, made for this session."""
    with private_postgres("-F -c max_connections=200 -c max_wal_size=64MB", memory_with_room()) as socket:
        if socket is None:
            pytest.skip(MISSING)
        yield socket


@pytest.fixture
def new_postgres_url(postgres_socket: Path) -> Callable[[], str]:
    """Make a new, empty PostgreSQL database and return its SQLAlchemy URL; as many as a test asks for."""
    return lambda: a_new_one(postgres_socket)


@pytest.fixture(scope="session")
def postgres_template(postgres_socket: Path) -> str:
    """The name of a database with all tables and nothing in them, to be copied."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    open_database(create(postgres_socket, TEMPLATE)).close()
    return TEMPLATE


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh database with all tables, once of each kind that the arena supports."""
    if request.param == "postgresql":
        template = request.getfixturevalue("postgres_template")
        url = a_new_one(request.getfixturevalue("postgres_socket"), template)
    else:
        url = sqlite_in(tmp_path / "any")
    store = open_database(url)
    yield store
    store.close()
