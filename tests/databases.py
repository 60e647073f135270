"""The database of a data folder: its SQLite file, or one on PostgreSQL with `pytest --database postgresql`."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg

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


def copy_of(database: Path, folder: Path) -> str:
    """The URL of a copy of a SQLite file that nobody has open."""
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{shutil.copyfile(database, folder / 'arena.db')}"


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
