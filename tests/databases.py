"""The database of a data folder: its SQLite file, or one on PostgreSQL with `pytest --database postgresql`."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg

from arena.database import open_database

SERVER: list[Path] = []
"""The folder with the socket of the PostgreSQL server that all tests use; empty where they use SQLite."""
TEMPLATE = "arena_template"
"""A database on that server with all tables and nothing in them."""
_MADE: list[tuple[Path, str]] = []
"""The databases that `dropped_at_the_end` sees to."""


def database_of(data_dir: Path) -> str:
    """The URL of the database that belongs to a data folder, of the kind that this run is about."""
    if not SERVER:
        return f"sqlite:///{data_dir / 'arena.db'}"
    name = "arena_" + hashlib.sha256(bytes(data_dir.absolute())).hexdigest()[:32]
    with suppress(psycopg.errors.DuplicateDatabase):
        create(SERVER[0], name, TEMPLATE)
        _MADE.append((SERVER[0], name))
    return _url(SERVER[0], name)


def environment_of(data_dir: Path) -> dict[str, str]:
    """What a process of its own must be told to use that database."""
    return {"ARENA_DATABASE_URL": database_of(data_dir)} if SERVER else {}


def prepared_database_of(data_dir: Path) -> str:
    """The same; a new one has all tables and nothing in them: making them takes longer than most tests."""
    return database_of(data_dir) if SERVER else sqlite_in(data_dir)


def sqlite_in(folder: Path) -> str:
    """The URL of the SQLite file in a folder; a new one has all tables and nothing in them."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "arena.db"
    if not file.exists():
        file.write_bytes(_empty_file())
    return f"sqlite:///{file}"


@cache
def _empty_file() -> bytes:
    """What a SQLite file with all tables and nothing in them holds."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "arena.db"
        open_database(f"sqlite:///{file}").close()
        return file.read_bytes()


def a_new_one(socket: Path, template: str = "template1") -> str:
    """The URL of a database of its own on the server of that socket, like `template`: an empty one."""
    name = f"arena_{uuid4().hex}"
    _MADE.append((socket, name))
    return create(socket, name, template)


@contextmanager
def dropped_at_the_end() -> Iterator[None]:
    """The databases that are made meanwhile on PostgreSQL are gone afterwards: each takes eight megabytes."""
    before = len(_MADE)
    yield
    for socket, name in _MADE[before:]:
        _ask(socket, f"DROP DATABASE {name} WITH (FORCE)")
    del _MADE[before:]


def create(socket: Path, name: str, template: str = "template1") -> str:
    """Make a database like `template`, an empty one, on the server of that socket; its URL.

    Raises:
        psycopg.errors.DuplicateDatabase: there is one of that name.

    """
    _ask(socket, f"CREATE DATABASE {name} TEMPLATE {template}")
    return _url(socket, name)


def _ask(socket: Path, statement: str) -> None:
    with psycopg.connect(f"host={socket} user=arena dbname=postgres", autocommit=True) as connection:
        connection.execute(statement.encode())


def _url(socket: Path, name: str) -> str:
    return f"postgresql+psycopg://arena@/{name}?host={socket}"
