"""A private PostgreSQL server for the tests, and every supported database behind one fixture.

A test module that wants them says `pytest_plugins = ["tests.postgres_fixtures"]`. The server runs as an unprivileged
user in a temporary folder, on a Unix socket only, and is gone with the test session.

With `pytest --database postgresql` all other data folders have a PostgreSQL database too (see `databases.py`);
tests of what only SQLite has are marked `sqlite`, and left out.
"""

import logging
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from arena.database import Database, open_database
from tests.databases import SERVER, copy_of, create

MISSING = "PostgreSQL's server programs are missing: apt-get install postgresql"


@pytest.fixture(scope="session", autouse=True)
def _database_everywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start the server before any test where all tests are to use it."""
    if request.config.getoption("--database") == "postgresql":
        SERVER.append(request.getfixturevalue("postgres_socket"))
    yield
    SERVER.clear()


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The folder with the socket of a running server, made for this session."""
    programs = _programs()
    if programs is None:
        pytest.skip(MISSING)
    account = _unprivileged_account()
    # Not pytest's folder: PostgreSQL's user may not enter it, and a socket's path is limited to 107 characters.
    with tempfile.TemporaryDirectory(prefix="arena-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)

        def run(program: str, *arguments: str) -> None:
            # The server outlives pg_ctl and would keep a captured pipe open for ever: it gets a file to write to.
            with (Path(name) / "output.txt").open("ab") as output:
                subprocess.run(
                    [programs / program, "-D", folder / "data", *arguments],
                    check=True,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    user=account.pw_uid if account else None,
                    group=account.pw_gid if account else None,
                    extra_groups=[] if account else None,
                )

        run("initdb", "--username=arena", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        run("pg_ctl", "start", "--wait", "-o", f"-c listen_addresses='' -k {folder} -F -c max_connections=200")
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


@pytest.fixture
def new_postgres_url(postgres_socket: Path) -> Callable[[], str]:
    """Make a new, empty PostgreSQL database and return its SQLAlchemy URL; as many as a test asks for."""
    return lambda: _create(postgres_socket, "template1")


@pytest.fixture(scope="session")
def postgres_template(postgres_socket: Path) -> str:
    """The name of a database with all tables and nothing in them, to be copied."""
    url = _create(postgres_socket, "template1")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    open_database(url).close()
    return make_url(url).database or ""


def _create(socket: Path, template: str) -> str:
    return create(socket, f"arena_{uuid4().hex}", template)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh database with all tables, once of each kind that the arena supports."""
    if request.param == "postgresql":
        template = request.getfixturevalue("postgres_template")
        url = _create(request.getfixturevalue("postgres_socket"), template)
    else:
        url = copy_of(request.getfixturevalue("empty_database"), tmp_path / "any")
    store = open_database(url)
    yield store
    store.close()


def _programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root. `None` is whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
