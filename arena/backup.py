"""Copies of the arena's SQLite database that are whole whoever votes meanwhile, and the way back from one."""

import contextlib
import logging
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from arena.backup_folder import new_name, new_stamp
from arena.config import Settings
from arena.errors import ArenaError, BackupError, ConfigError
from arena.running import Files, alone, running
from arena.sqlite_copy import (
    Progress,
    bring_up_to_date,
    claim,
    closed_copy,
    connect,
    copy_into,
    count_votes,
    draft_of,
    put_in_place,
    snapshot_of,
    sync,
    written,
)

log = logging.getLogger(__name__)


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
    with snapshot_of(database) as source:
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
        with draft_of(database) as draft:
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
    with draft_of(database) as draft:
        if file is not None:
            _take_in(file, draft, lambda _: None)
        complete(draft)
        votes = bring_up_to_date(draft)
        put_in_place(draft, database)
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
    with snapshot_of(file, closed=closed) as source:
        counts = "SELECT (SELECT max(value) FROM counters WHERE name = 'votes'), (SELECT count(*) FROM answers)"
        try:
            votes = count_votes(source)
            changes, answers = source.execute(counts).fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"{file} cannot be read as an arena's database ({error}).") from error
    return Extent(max(changes or 0, votes), votes, answers)


def changes_in(file: Path) -> int | None:
    """How far a backup has come; `None`, and a line in the log, where it is not sound."""
    try:
        return extent_of(file, closed=True).changes
    except BackupError as error:
        log.warning("%s", error)
        return None


def described(votes: int) -> str:
    """A number of votes in words."""
    return "1 vote" if votes == 1 else f"{votes:,} votes"


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


def _keep(source: sqlite3.Connection, settings: Settings, out: Path | None, progress: Progress) -> Backup:
    """Copy what `source` reads; the file appears under its name only when it is whole, checked and on the disk."""
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists already; a backup overwrites nothing.")
    folder = settings.resolved_backup_dir if out is None else out.absolute().parent
    if out is None:
        with written(folder):
            folder.mkdir(parents=True, exist_ok=True)
    named = folder / new_name(settings)
    # SQLite works on a disk of this machine only: where backups are kept may be a bucket, which knows no locks.
    at_work = settings.data_dir if out is None and settings.keeps_backups_elsewhere else folder
    with draft_of(out or named, at_work) as draft:
        votes = copy_into(source, draft, progress)
        with closed_copy(draft, folder) as whole:
            with written(folder):
                file = _reserve(named) if out is None else claim(out)
            put_in_place(whole, file)
    return Backup(file, file.stat().st_size, votes)


def _reserve(file: Path) -> Path:
    """A name that nobody else takes: `file`, or with a number where that is taken."""
    for number in range(2, 10_000):
        with contextlib.suppress(FileExistsError):
            return claim(file)
        file = file.with_name(f"{re.sub(r'Z-[0-9]+$', 'Z', file.stem)}-{number}.db")
    raise BackupError(f"There are too many backups of this second in {file.parent}.")


def _holds_demonstration_votes(file: Path) -> bool:
    """Whether votes on demonstration models are rated in it, which happens in demonstrations only."""
    rated = """
        SELECT 1 FROM votes JOIN battles ON battles.id = votes.battle_id
        JOIN model_revisions ON model_revisions.id IN (battles.revision_a, battles.revision_b)
        WHERE votes.rated AND model_revisions.platform = 'demo' LIMIT 1
    """
    with contextlib.closing(connect(file)) as database:
        return database.execute(rated).fetchone() is not None


def _take_in(file: Path, draft: Path, progress: Progress) -> int:
    """Copy a backup into `draft` and bring it up to date there; how many votes it holds."""
    try:
        with snapshot_of(file) as source:
            copy_into(source, draft, progress)
    except (ArenaError, sqlite3.Error) as error:
        raise ConfigError(f"{file} cannot be restored: {error} The arena is as it was.") from error
    return bring_up_to_date(draft)


def _replace(database: Path, draft: Path, settings: Settings) -> Path | None:
    """Keep the present database, then put `draft` in its place; nobody else can write to it in between."""
    if not database.exists():
        put_in_place(draft, database)
        return None
    with contextlib.closing(connect(database)) as present:
        try:
            _shut_out_others(present, database)
            former = _keep(present, settings, None, lambda _: None).file
        except (sqlite3.DatabaseError, BackupError):
            former = _keep_damaged(database, settings)
        with written(database.parent):
            shutil.copymode(database, draft)
            draft.replace(database)
            for end in ("-wal", "-shm", "-journal"):
                Path(f"{database}{end}").unlink(missing_ok=True)
            sync(database.parent)
    return former


def _shut_out_others(present: sqlite3.Connection, database: Path) -> None:
    """Leave the write-ahead log, which SQLite lets only a sole user do; from then on our reading keeps writers out."""
    try:
        present.execute("PRAGMA busy_timeout=500")
        present.execute("PRAGMA journal_mode=DELETE")
        present.execute("BEGIN")
        count_votes(present)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ConfigError(f"Something else uses {database}; stop it first.") from error
        raise


def _keep_damaged(database: Path, settings: Settings) -> Path:
    """Keep a database that SQLite cannot read, just as it is."""
    folder = settings.resolved_backup_dir
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept = _reserve(folder / f"damaged-{new_stamp()}.db")
        try:
            for end in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{database}{end}", f"{kept}{end}")
        except OSError:
            kept.unlink()
            Path(f"{kept}-wal").unlink(missing_ok=True)
            raise
    return kept
