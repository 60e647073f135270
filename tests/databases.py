"""The database of a data folder: its SQLite file, or one on PostgreSQL with `pytest --database postgresql`."""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

import psycopg

SERVER: list[Path] = []
"""The folder with the socket of the PostgreSQL server that all tests use; empty where they use SQLite."""


def database_of(data_dir: Path) -> str:
    """The URL of the database that belongs to a data folder, of the kind that this run is about."""
    if not SERVER:
        return f"sqlite:///{data_dir / 'arena.db'}"
    name = "arena_" + hashlib.sha256(bytes(data_dir.absolute())).hexdigest()[:32]
    with suppress(psycopg.errors.DuplicateDatabase):
        create(SERVER[0], name)
    return _url(SERVER[0], name)


def copy_of(database: Path, folder: Path) -> str:
    """The URL of a copy of a SQLite file that nobody has open."""
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{shutil.copyfile(database, folder / 'arena.db')}"


def create(socket: Path, name: str, template: str = "template1") -> str:
    """Make a database like `template`, an empty one, on the server of that socket; its URL.

    Raises:
        psycopg.errors.DuplicateDatabase: there is one of that name.

    """
    with psycopg.connect(f"host={socket} user=arena dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return _url(socket, name)


def _url(socket: Path, name: str) -> str:
    return f"postgresql+psycopg://arena@/{name}?host={socket}"
