"""Copies of the arena's SQLite database that are whole whoever votes meanwhile, and the way back from one."""

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from arena.config import Settings
from arena.database import BUSY_TIMEOUT_S, open_database
from arena.errors import ArenaError, BackupError, ConfigError
from arena.running import Files, alone, running
from arena.tables import new_id

Progress = Callable[[float], None]

_PAGES_A_STEP = 2_000
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was checked."""

    file: Path
    size: int
    votes: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was put back."""

    database: Path
    votes: int
    former: Path | None
    """Where the database that was there before is kept now."""


def back_up(settings: Settings, out: Path | None = None, progress: Progress = lambda _: None) -> Backup:
    """Copy the database, running or not, to `out` or under a name of its own in the folder of backups.

    Raises:
        ConfigError: there is no SQLite database, or nothing can be written there.
        BackupError: the copy could not be finished or is not sound; no file of it is left.

    """
    database = _sqlite_file(settings, "Back it up with: pg_dump --format=custom --file=arena.dump DATABASE_URL")
    if not database.is_file():
        raise ConfigError(_missing(database, settings))
    with _snapshot(database) as source:
        return _keep(source, settings, out, progress)


def restore(settings: Settings, file: Path, progress: Progress = lambda _: None) -> Restored:
    """Put a backup in the database's place, once it is proven sound and the present database is kept.

    Raises:
        ConfigError: `file` is no backup, the arena runs, or something cannot be written. Nothing was changed.
        BackupError: the copy could not be finished. Nothing was changed.

    """
    database = _sqlite_file(settings, "Restore it with: pg_restore --clean --dbname=DATABASE_URL arena.dump")
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.")
    if database.exists() and database.samefile(file):
        raise ConfigError(f"{file} is the arena's present database; name a backup.")
    files = Files(settings.data_dir.absolute())
    with alone(files):
        if running(files) is not None:
            raise ConfigError("The arena runs; stop it first: ./deploy_coaia_arena.sh stop")
        with _draft_of(database) as draft:
            votes = _take_in(file, draft, progress)
            if not settings.demo and _holds_demonstration_votes(draft):
                raise ConfigError(f"{file} holds the offline demonstration's votes; restore it with --demo.")
            former = _replace(database, draft, settings)
    return Restored(database, votes, former)


def bring_back(settings: Settings, file: Path | None, complete: Callable[[Path], None]) -> int:
    """Make the database that is gone from a backup, or anew, at the arena's own start; returns its votes.

    `complete` may add to it before it takes its place: whatever goes wrong until then, the next start begins again.

    Raises:
        ConfigError: `file` is no sound backup. Nothing was made.

    """
    database = _sqlite_file(settings, "")
    if database.exists():
        raise ConfigError(f"There is a database {database} already; use: python -m arena restore {file}")
    with _draft_of(database) as draft:
        if file is not None:
            _take_in(file, draft, lambda _: None)
        complete(draft)
        votes = _bring_up_to_date(draft)
        with _written(database.parent):
            draft.replace(database)
            _sync(database.parent)
    return votes


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a database or backup has come."""

    changes: int
    """How often votes were stored or changed: never fewer later on, as votes are after a voter was forgotten."""
    votes: int
    answers: int


def extent_of(file: Path, *, closed: bool = False) -> Extent:
    """How far a database or backup has come, read through SQLite; nobody writes to a `closed` one any more.

    Raises:
        BackupError: it is not sound, or no database of an arena.

    """
    with _snapshot(file, closed=closed) as source:
        counts = "SELECT (SELECT max(value) FROM counters WHERE name = 'votes'), (SELECT count(*) FROM answers)"
        try:
            votes = _votes(source)
            changes, answers = source.execute(counts).fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{file} cannot be read as an arena's database ({error}).") from error
    return Extent(max(changes or 0, votes), votes, answers)


def is_sound(file: Path) -> bool:
    """Whether a closed backup is undamaged, to its last page."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_connect(file, closed=True)) as backup:
        _check(backup)
        return True
    return False


def newest_backup(settings: Settings) -> Path | None:
    """The newest backup in the folder of backups, by its name."""
    return next(reversed(stored_backups(settings)), None)


def stored_backups(settings: Settings) -> Sequence[Path]:
    """The backups in the folder of backups by their names, the oldest first."""
    name = re.compile(rf"{_prefix(settings)}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?\.db")
    try:
        found = [(match[1], int(match[2] or 0), match[0]) for match in map(name.fullmatch, _names(settings)) if match]
    except OSError:
        return []
    backups = [settings.resolved_backup_dir / name for *_, name in sorted(found)]
    return [backup for backup in backups if _is_finished(backup)]


def _is_finished(backup: Path) -> bool:
    """A process that was killed just before its last step leaves the name it had reserved, and nothing in it."""
    with contextlib.suppress(OSError):
        return backup.stat().st_size > 0
    return False


def described(votes: int) -> str:
    """A number of votes in words."""
    return "1 vote" if votes == 1 else f"{votes:,} votes"


def describe_backups(settings: Settings) -> str:
    """The newest backup in words."""
    if make_url(settings.resolved_database_url).get_backend_name() != "sqlite":
        return "PostgreSQL is backed up with pg_dump"
    newest = newest_backup(settings)
    if newest is None:
        return f"none yet in {settings.resolved_backup_dir}; make one with: python -m arena backup"
    made = datetime.strptime(newest.name.split("-")[1].removesuffix(".db"), _STAMP).replace(tzinfo=UTC)
    return f"{newest}, made on {made:%-d %B %Y at %H:%M} UTC"


def _names(settings: Settings) -> list[str]:
    return os.listdir(settings.resolved_backup_dir)  # a name is all that is asked for


def _prefix(settings: Settings) -> str:
    """Votes of the demonstration are told apart from real ones by their backups' names too."""
    return "demo" if settings.demo else "arena"


def _sqlite_file(settings: Settings, otherwise: str) -> Path:
    try:
        url = make_url(settings.resolved_database_url)
    except ArgumentError as error:
        raise ConfigError("ARENA_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://…") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError(f"The database is not a SQLite file. {otherwise}")
    return Path(url.database)


def _missing(database: Path, settings: Settings) -> str:
    demo = settings.model_copy(update={"demo": True})
    if not settings.demo and _sqlite_file(demo, "").is_file():
        return f"There is no database {database}; --demo backs up the offline demonstration's."
    return f"There is no database {database}: the arena was never started with this data folder."


def _connect(database: Path, *, closed: bool = False) -> sqlite3.Connection:
    """Open a file that is there: plain SQLite would make one that is not. A `closed` one is read without a lock."""
    place = f"file:{quote(str(database.absolute()))}?{'mode=ro&immutable=1' if closed else 'mode=rw'}"
    return sqlite3.connect(place, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


@contextlib.contextmanager
def _snapshot(database: Path, *, closed: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that reads the database as it is now, whatever is written to it meanwhile."""
    try:
        source = _connect(database, closed=closed)
    except sqlite3.Error as error:
        raise BackupError(f"{database} cannot be opened ({error}).") from error
    with contextlib.closing(source):
        try:
            source.execute("BEGIN")
            _votes(source)
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{database} cannot be read as an arena's database ({error}).") from error
        yield source


def _keep(source: sqlite3.Connection, settings: Settings, out: Path | None, progress: Progress) -> Backup:
    """Copy what `source` reads; the file appears under its name only when it is whole, checked and on the disk."""
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists already; a backup overwrites nothing.")
    folder = settings.resolved_backup_dir if out is None else out.absolute().parent
    if out is None:
        with _written(folder):
            folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime(_STAMP)
    name = folder / f"{_prefix(settings)}-{stamp}.db"
    # SQLite works on a disk of this machine only: where backups are kept may be a bucket, which knows no locks.
    at_work = settings.data_dir if out is None and settings.keeps_backups_elsewhere else folder
    with _draft_of(out or name, at_work) as draft:
        votes = _copy(source, draft, progress)
        with _closed_copy(draft, folder) as whole, _written(folder):
            file = _reserve(name) if out is None else _claim(out)
            whole.replace(file)
            _sync(folder)
    return Backup(file, file.stat().st_size, votes)


@contextlib.contextmanager
def _draft_of(file: Path, folder: Path | None = None) -> Iterator[Path]:
    """An empty file beside `file`, or in `folder`, that only its owner reads; gone at the end unless it was renamed."""
    draft = (folder or file.parent) / f".{file.name}.{new_id()}.part"
    with _written(draft.parent):
        draft.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield draft
    finally:
        for left in (draft, *(Path(f"{draft}{end}") for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def _closed_copy(draft: Path, folder: Path) -> Iterator[Path]:
    """`draft` itself where it lies in `folder` already; else a copy there, written from its first byte to its last."""
    if draft.parent == folder:
        yield draft
        return
    with _draft_of(folder / draft.name) as copy:
        with _written(folder):
            shutil.copyfile(draft, copy)
            _sync(copy)
        yield copy


def _copy(source: sqlite3.Connection, draft: Path, progress: Progress) -> int:
    """Copy through SQLite itself, check the copy and bring it to the disk; how many votes it holds."""

    def tell(_: int, remaining: int, total: int) -> None:
        progress(1 - remaining / max(total, 1))

    expected = _votes(source)
    try:
        with contextlib.closing(_connect(draft)) as copy:
            source.backup(copy, pages=_PAGES_A_STEP, progress=tell, sleep=0)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, that nothing need be beside
            votes = _check(copy)
    except sqlite3.Error as error:
        raise BackupError(f"The backup could not be finished: {error}. Nothing of it is kept.") from error
    if votes < expected:
        raise BackupError(f"The copy holds {votes} votes instead of {expected}. Nothing of it is kept.")
    with _written(draft.parent):
        _sync(draft)
    return votes


def _check(database: sqlite3.Connection) -> int:
    """Whether a database is sound; how many votes it holds."""
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"it is damaged ({' '.join(verdict.split())})")
    if database.execute("SELECT count(*) FROM alembic_version").fetchone() != (1,):
        raise sqlite3.DatabaseError("it does not tell its version")
    return _votes(database)


def _votes(database: sqlite3.Connection) -> int:
    (votes,) = database.execute("SELECT count(*) FROM votes").fetchone()
    return int(votes)


def _reserve(file: Path) -> Path:
    """A name that nobody else takes: `file`, or with a number where that is taken."""
    for number in range(2, 10_000):
        with contextlib.suppress(FileExistsError):
            return _claim(file)
        file = file.with_name(f"{re.sub(r'Z-[0-9]+$', 'Z', file.stem)}-{number}.db")
    raise BackupError(f"There are too many backups of this second in {file.parent}.")


def _holds_demonstration_votes(file: Path) -> bool:
    """Whether votes on demonstration models are rated in it, which happens in demonstrations only."""
    rated = """
        SELECT 1 FROM votes JOIN battles ON battles.id = votes.battle_id
        JOIN model_revisions ON model_revisions.id IN (battles.revision_a, battles.revision_b)
        WHERE votes.rated AND model_revisions.platform = 'demo' LIMIT 1
    """
    with contextlib.closing(_connect(file)) as database:
        return database.execute(rated).fetchone() is not None


def _claim(file: Path) -> Path:
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return file


def _take_in(file: Path, draft: Path, progress: Progress) -> int:
    """Copy a backup into `draft` and bring it up to date there; how many votes it holds."""
    try:
        with _snapshot(file) as source:
            _copy(source, draft, progress)
    except (ArenaError, sqlite3.Error) as error:
        raise ConfigError(f"{file} cannot be restored: {error} The arena is as it was.") from error
    return _bring_up_to_date(draft)


def _bring_up_to_date(draft: Path) -> int:
    """Give a draft today's tables, in one file that is on the disk; how many votes it holds."""
    open_database(f"sqlite:///{draft}").close()
    with contextlib.closing(_connect(draft)) as migrated:
        migrated.execute("PRAGMA journal_mode=DELETE")
        votes = _check(migrated)
    with _written(draft.parent):
        _sync(draft)
    return votes


def _replace(database: Path, draft: Path, settings: Settings) -> Path | None:
    """Keep the present database, then put `draft` in its place; nobody else can write to it in between."""
    if not database.exists():
        with _written(database.parent):
            draft.replace(database)
            _sync(database.parent)
        return None
    with contextlib.closing(_connect(database)) as present:
        try:
            _shut_out_others(present, database)
            former = _keep(present, settings, None, lambda _: None).file
        except (sqlite3.DatabaseError, BackupError):
            former = _keep_damaged(database, settings)
        with _written(database.parent):
            shutil.copymode(database, draft)
            draft.replace(database)
            for end in ("-wal", "-shm", "-journal"):
                Path(f"{database}{end}").unlink(missing_ok=True)
            _sync(database.parent)
    return former


def _shut_out_others(present: sqlite3.Connection, database: Path) -> None:
    """Leave the write-ahead log, which SQLite lets only a sole user do; from then on our reading keeps writers out."""
    try:
        present.execute("PRAGMA busy_timeout=500")
        present.execute("PRAGMA journal_mode=DELETE")
        present.execute("BEGIN")
        _votes(present)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ConfigError(f"Something else uses {database}; stop it first.") from error
        raise


def _keep_damaged(database: Path, settings: Settings) -> Path:
    """Keep a database that SQLite cannot read, just as it is."""
    folder = settings.resolved_backup_dir
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept = _reserve(folder / f"damaged-{datetime.now(UTC).strftime(_STAMP)}.db")
        try:
            for end in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{database}{end}", f"{kept}{end}")
        except OSError:
            kept.unlink()
            Path(f"{kept}-wal").unlink(missing_ok=True)
            raise
    return kept


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"Nothing can be written in {folder} ({error.strerror}).") from error


def _sync(path: Path) -> None:
    """Bring a file, or what a folder lists, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
