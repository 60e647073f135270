"""Engine, sessions and migrations; no table, and no query of one use case: those live beside the use case."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from arena.errors import ConfigError
from arena.outages import ADVICE, Outages, Trouble, tell_trouble

if TYPE_CHECKING:
    from psycopg.abc import Buffer

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
BUSY_TIMEOUT_S = 15
"""How long a writer waits for SQLite's single write lock."""
MIGRATION_LOCK = 0x61_72_65_6E_61
"""The advisory lock on PostgreSQL of whoever brings the tables up to date."""


class Database:
    """The arena's store: sessions for blocking code, threads for async code, migrations at opening.

    No session outlives the function it is opened in; a session is passed down, never opened twice.
    """

    def __init__(self, url: str) -> None:
        """Connect to `url` (SQLite or PostgreSQL); the tables are made or brought up to date by `migrate`.

        Raises:
            ConfigError: the URL is malformed, or names a database that the arena does not support.

        """
        self.engine = _create_engine(url)
        self.outages = Outages()
        """What the database refused; see `DatabaseUnavailable`."""
        self.file = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        """SQLite's file; `None` for PostgreSQL."""
        self._opened: tuple[int, int] | None = None
        self._glancing_engine = _create_glancing_engine(self.engine)
        self._writing_engine = self.engine.execution_options(write=True)
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self._writing_engine, expire_on_commit=False)
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="database")
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; nothing it changes is kept."""
        with self._readers() as session:
            yield session

    def glance(self, look: Callable[[Connection], Result]) -> Result:
        """Call `look` with a connection for reading, each statement of which is a snapshot of its own.

        On PostgreSQL no transaction is begun and no connection tried first, so that a statement costs one round trip.
        Where the server has closed the connection meanwhile, `look` is called once more with a new one.
        """
        try:
            with self._glancing_engine.connect() as connection:
                return look(connection)
        except DBAPIError as error:
            if not error.connection_invalidated:
                with self.outages.telling():
                    raise
        with self.outages.telling(), self._glancing_engine.connect() as connection:
            return look(connection)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session for one transaction: committed at the end, rolled back if anything is raised.

        On SQLite the write lock is taken at once, so that what is read inside cannot change before the commit.
        """
        self._require_file()
        with self._in_turn(), self._writers.begin() as session:
            yield session
        self._require_file()
        self.outages.written()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let SQLite's writers of this process wait here for each other.

        SQLite lets them wait by looking again and again, after pauses that grow to a tenth of a second. Whoever has
        waited too long here is told by SQLite what holds the file.
        """
        mine = self.file is not None and self._writing.acquire(timeout=BUSY_TIMEOUT_S)
        try:
            yield
        finally:
            if mine:
                self._writing.release()

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run blocking `function` in one of the store's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

    def later(self, function: Callable[[], object]) -> None:
        """Run blocking `function` in one of the store's own threads, soon; not at all once the store is closing."""
        with suppress(RuntimeError):
            self._threads.submit(function)

    def migrate(self) -> None:
        """Bring the tables up to date; a fresh database gets all of them. Of arenas that start at once one does it.

        Raises:
            ConfigError: the database does not answer, cannot hold all text, or is newer than this arena.

        """
        from alembic import command  # noqa: PLC0415 - 0.2 s that `--help` need not pay
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util.exc import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self._writing_engine.begin() as connection:
                if connection.dialect.name == "postgresql":  # SQLite's write lock is taken already
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigError(f"The database was written by a newer arena ({error}); update this one.") from error
        except DatabaseError as error:
            place = self.engine.url.render_as_string(hide_password=True)
            raise ConfigError(f"The database {place} cannot be opened: {_why(error)}") from error
        self.outages.watch(self.engine)
        self._opened = self._present_file()
        event.listen(self.engine, "do_connect", lambda *_: self._require_file())

    def _require_file(self) -> None:
        """Refuse to work on a file that was deleted, moved or replaced: nobody would find again what is written there.

        SQLite itself goes on writing to the file that it has opened, or makes an empty one.
        """
        if self._opened is not None and self._present_file() != self._opened:
            raise self.outages.refuse(Trouble.MOVED, f"another file or none at {self.file}")

    def _present_file(self) -> tuple[int, int] | None:
        """Which file stands in SQLite's place now."""
        if self.file is None:
            return None
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Finish what runs and close every connection."""
        self._threads.shutdown()
        self.engine.dispose()
        self._glancing_engine.dispose()


def _why(error: DatabaseError) -> str:
    trouble = tell_trouble(error.orig)
    return f"{error.orig}. {ADVICE[trouble]}" if trouble is Trouble.DAMAGED else f"{error.orig}."


def open_database(url: str) -> Database:
    """Connect to `url` and bring its tables up to date; a SQLite file and its folder are made where missing.

    Raises:
        ConfigError: see `Database` and `Database.migrate`.

    """
    database = Database(url)
    try:
        database.migrate()
    except ConfigError:
        database.close()
        raise
    return database


def _create_engine(url: str) -> Engine:
    try:
        # What a statement that failed was to store is a visitor's own, and errors are logged.
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError("ARENA_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://…") from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    elif engine.dialect.name == "postgresql":
        _prepare_postgresql(engine)
    else:
        raise ConfigError("ARENA_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://…")
    return engine


def _create_glancing_engine(engine: Engine) -> Engine:
    """For `Database.glance`; on SQLite, where a transaction costs no round trip, the same as for everything else."""
    if engine.dialect.name == "sqlite":
        return engine
    glancing = create_engine(engine.url, isolation_level="AUTOCOMMIT", pool_size=2, hide_parameters=True)
    _prepare_postgresql(glancing)
    return glancing


def _prepare_sqlite(engine: Engine) -> None:
    """Set up each connection: write-ahead log, full durability, foreign keys, transactions begun by us."""
    if not engine.url.database or engine.url.database == ":memory:":
        raise ConfigError("ARENA_DATABASE_URL must name a file: an in-memory database would lose every vote.")
    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # pysqlite would otherwise begin transactions on its own, and too late
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("write", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # looks at no file yet, so nothing can fail that would have to be told
            connection.connection.cursor().execute("BEGIN")


def _prepare_postgresql(engine: Engine) -> None:
    """Refuse a database that cannot hold all text, and let text hold NUL: it becomes the replacement mark.

    PostgreSQL would refuse NUL, and SQLite does not. A forged id is then looked for and not found, as on SQLite, and
    is no error of the arena's.
    """
    from psycopg import Connection as PostgresConnection  # noqa: PLC0415 - loaded with the engine, and only for it
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415

    class Text(StrDumperUnknown):
        def dump(self, obj: str) -> "Buffer | None":
            return super().dump(obj.replace("\x00", "\ufffd"))

    # Before SQLAlchemy asks for the server's version: in a database of another encoding it could not read the answer.
    @event.listens_for(engine, "connect", insert=True)
    def _configure(connection: PostgresConnection, _: object) -> None:
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise ConfigError(
                f"The PostgreSQL database keeps text as {encoding}, which cannot hold all that people write: make one "
                "with `createdb --encoding=UTF8 --template=template0 NAME`, and name it in ARENA_DATABASE_URL."
            )
        connection.adapters.register_dumper(str, Text)
