"""A SQLite file copied whole, whoever writes to it meanwhile: read at one moment, checked, and brought to the disk."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from arena.database import BUSY_TIMEOUT_S, open_database
from arena.errors import BackupError, ConfigError
from arena.tables import new_id

Progress = Callable[[float], None]

_PAGES_A_STEP = 2_000


def connect(database: Path, *, closed: bool = False) -> sqlite3.Connection:
    """Open a file that is there: plain SQLite would make one that is not. A `closed` one is read without a lock."""
    place = f"file:{quote(str(database.absolute()))}?{'mode=ro&immutable=1' if closed else 'mode=rw'}"
    return sqlite3.connect(place, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


@contextlib.contextmanager
def snapshot_of(database: Path, *, closed: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that reads the database as it is now, whatever is written to it meanwhile."""
    try:
        source = connect(database, closed=closed)
    except sqlite3.Error as error:
        raise BackupError(f"{database} cannot be opened ({error}).") from error
    with contextlib.closing(source):
        try:
            source.execute("BEGIN")
            count_votes(source)
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{database} cannot be read as an arena's database ({error}).") from error
        yield source


@contextlib.contextmanager
def draft_of(file: Path, folder: Path | None = None) -> Iterator[Path]:
    """An empty file beside `file`, or in `folder`, that only its owner reads; gone at the end unless it was renamed."""
    draft = (folder or file.parent) / f".{file.name}.{new_id()}.part"
    with written(draft.parent):
        draft.parent.mkdir(parents=True, exist_ok=True)
        claim(draft)
    try:
        yield draft
    finally:
        for left in (draft, *(Path(f"{draft}{end}") for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def closed_copy(draft: Path, folder: Path) -> Iterator[Path]:
    """`draft` itself where it lies in `folder` already; else a copy there, written from its first byte to its last."""
    if draft.parent == folder:
        yield draft
        return
    with draft_of(folder / draft.name) as copy:
        with written(folder):
            shutil.copyfile(draft, copy)
            sync(copy)
        yield copy


def copy_into(source: sqlite3.Connection, draft: Path, progress: Progress) -> int:
    """Copy through SQLite itself, check the copy and bring it to the disk; how many votes it holds."""

    def tell(_: int, remaining: int, total: int) -> None:
        progress(1 - remaining / max(total, 1))

    expected = count_votes(source)
    try:
        with contextlib.closing(connect(draft)) as copy:
            source.backup(copy, pages=_PAGES_A_STEP, progress=tell, sleep=0)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, that nothing need be beside
            votes = check(copy)
    except sqlite3.Error as error:
        raise BackupError(f"The backup could not be finished: {error}. Nothing of it is kept.") from error
    if votes < expected:
        raise BackupError(f"The copy holds {votes} votes instead of {expected}. Nothing of it is kept.")
    with written(draft.parent):
        sync(draft)
    return votes


def check(database: sqlite3.Connection) -> int:
    """Whether a database is sound; how many votes it holds."""
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"it is damaged ({' '.join(verdict.split())})")
    if database.execute("SELECT count(*) FROM alembic_version").fetchone() != (1,):
        raise sqlite3.DatabaseError("it does not tell its version")
    return count_votes(database)


def is_sound(file: Path) -> bool:
    """Whether a closed backup is undamaged, to its last page."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(file, closed=True)) as backup:
        check(backup)
        return True
    return False


def count_votes(database: sqlite3.Connection) -> int:
    """All votes that are stored, whatever their state."""
    (votes,) = database.execute("SELECT count(*) FROM votes").fetchone()
    return int(votes)


def bring_up_to_date(draft: Path) -> int:
    """Give a draft today's tables, in one file that is on the disk; how many votes it holds."""
    open_database(f"sqlite:///{draft}").close()
    with contextlib.closing(connect(draft)) as migrated:
        migrated.execute("PRAGMA journal_mode=DELETE")
        votes = check(migrated)
    with written(draft.parent):
        sync(draft)
    return votes


def put_in_place(draft: Path, file: Path) -> None:
    """Give a draft its name, for good also where the power fails now."""
    with written(file.parent):
        draft.replace(file)
        sync(file.parent)


def claim(file: Path) -> Path:
    """Make an empty file that only its owner reads, under a name that nobody has; raises FileExistsError otherwise."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return file


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """Whatever is written here goes into `folder`; raises `ConfigError` that names it where that is refused."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"Nothing can be written in {folder} ({error.strerror}).") from error


def sync(path: Path) -> None:
    """Bring a file, or what a folder lists, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
