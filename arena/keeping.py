"""Keeps votes safe without anybody asking: scheduled backups, the log of votes, a dataset on the Hub, and the way back.

What is scheduled is for SQLite; PostgreSQL has its own tools. Nothing here ever replaces a backup: each has a name of
its own, and an old one is deleted only while newer ones came at least as far.
"""

import asyncio
import logging
import re
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from arena.backup import Extent, back_up, bring_back, described, extent_of, is_sound, newest_backup, stored_backups
from arena.config import Settings
from arena.database import Database, open_database
from arena.errors import ArenaError, BackupError, ConfigError
from arena.hub import Hub, RemoteSnapshot
from arena.tables import now
from arena.vote_log import Replayed, VoteLog, is_wanted

log = logging.getLogger(__name__)
_CLOCKS_DIFFER = timedelta(minutes=1)
LOOK_S = 60.0
"""How often it is asked whether something is due; votes reach the Hub after this long at most."""
_MADE = re.compile(r"arena-(\d{8}T\d{6})Z")
LOST = "Storage here is temporary: what is voted now is lost when this arena restarts."
LATE = "Storage here is temporary: the votes of the last minute are lost when this arena restarts."


class Keeper:
    """Backs up on a schedule and logs each vote. One per process; its methods block unless they are `async`."""

    def __init__(self, settings: Settings, database: Database, hub: Hub | None) -> None:
        sqlite = database.engine.dialect.name == "sqlite" and not settings.demo
        self._settings = settings
        self._database = database
        self._hub = hub if sqlite else None
        self._log = vote_log_of(settings) if sqlite else None
        self._scheduled = sqlite and settings.backup_hours > 0
        self._saved: Extent | None = None
        self._sent_votes: set[str] | None = None
        self._sent_snapshot = ""
        self._failure: str | None = None
        self._owed: deque[Callable[[], object]] = deque()
        self._turn = threading.Lock()

    @property
    def logs_votes(self) -> bool:
        """Whether `stored` writes anything."""
        return self._log is not None

    @property
    def note(self) -> str | None:
        """A sentence for visitors where a vote may be lost though it was acknowledged; `None` where none can be."""
        if not self._settings.temporary_storage or self._settings.demo:
            return None
        if self._log is None or self._failure is not None:
            return LOST
        return None if self._settings.keeps_backups_elsewhere else LATE

    @property
    def failure(self) -> str | None:
        """Why the last attempt to keep something failed, for the operator; `None` if it did not."""
        return self._failure

    def stored(self, battle_id: str) -> None:
        """Log a vote that was stored or changed; a failure is told, and made good later: the vote itself is stored."""
        if self._log is not None:
            self._write(partial(self._log.write, self._database, battle_id))

    def forgotten(self, voter_id: str) -> None:
        """Log that a voter was forgotten, so that no older backup or vote object brings them back."""
        if self._log is not None:
            self._write(partial(self._log.forget, voter_id, self._settings.forgotten_votes))

    def _write(self, owed: Callable[[], object]) -> None:
        try:
            owed()
        except (BackupError, SQLAlchemyError) as error:
            self._owed.append(owed)
            self._failed(error)

    async def keep(self) -> None:
        """Do what is due, again and again until cancelled."""
        while True:
            await asyncio.to_thread(self.do_what_is_due, now())
            await asyncio.sleep(LOOK_S)

    def do_what_is_due(self, at: datetime) -> None:
        """Write what could not be written; back up if the newest backup is too old and anything came since; bring to
        the Hub what it does not have. What fails keeps nothing else from being done.
        """
        with self._turn:
            works: Sequence[Callable[[], object]] = (self._write_owed, partial(self._back_up_if_due, at), self._send)
            failures = [error for error in map(_tried, works) if error is not None]
            if failures:
                self._failed(failures[0])
            else:
                self._failure = None

    def _write_owed(self) -> None:
        while self._owed:
            with suppress(NoResultFound):  # it was forgotten meanwhile
                self._owed[0]()
            self._owed.popleft()

    def _failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, ArenaError) else type(error).__name__
        if sentence != self._failure:
            log.error("Votes could not be kept safe: %s", sentence)
        self._failure = sentence

    def _back_up_if_due(self, at: datetime) -> None:
        if self._scheduled and self._is_due(at):
            self._back_up()

    def _is_due(self, at: datetime) -> bool:
        # One from the future was made before the clock was put back: waiting for its time could take years.
        made = [backup for backup in stored_backups(self._settings) if made_at(backup) <= at + _CLOCKS_DIFFER]
        newest = made[-1] if made else None
        if newest is None:
            return self._extent().answers > 0
        if at - made_at(newest) < timedelta(hours=self._settings.backup_hours):
            return False
        if self._saved is None:
            with suppress(BackupError):
                self._saved = extent_of(newest, closed=True)
        return self._extent() != self._saved

    def _extent(self) -> Extent:
        return extent_of(Path(str(self._database.engine.url.database)))

    def _back_up(self) -> None:
        made = back_up(self._settings)
        self._saved = extent_of(made.file, closed=True)
        log.info("Backed up %s to %s", described(made.votes), made.file)
        kept = self._prune()
        if self._log is not None and len(kept) > 1:
            self._log.forget_before(made_at(kept[-2]))

    def _prune(self) -> Sequence[Path]:
        """Delete old backups, never one that came further than the newest; returns those that stay, oldest first."""
        backups = stored_backups(self._settings)
        old, kept = backups[: -self._settings.backup_keep], list(backups[-self._settings.backup_keep :])
        furthest = max((_changes_or_none(file) or 0 for file in kept), default=0)
        for file in old:
            changes = _changes_or_none(file)
            if changes is None or changes > furthest:
                kept.insert(0, file)
            else:
                file.unlink(missing_ok=True)
        return sorted(kept, key=made_at)

    def _send(self) -> None:
        """Bring to the Hub what it does not have: votes first, each tells more than an older snapshot does."""
        hub, vote_log = self._hub, self._log
        if hub is None or vote_log is None:
            return
        names = [file.name for file in vote_log.objects()]
        if self._sent_votes is None:
            self._sent_votes = set(hub.vote_names())
        self._sent_votes &= set(names)
        if new := [vote_log.folder / name for name in names if name not in self._sent_votes]:
            hub.keep_votes(new)
            self._sent_votes |= {file.name for file in new}
        newest = newest_backup(self._settings)
        if newest is None or newest.stem == self._sent_snapshot:
            return
        if newest.stem not in {snapshot.name for snapshot in hub.snapshots()}:
            extent = extent_of(newest, closed=True)
            hub.keep_snapshot(newest, extent.votes, extent.changes)
        self._sent_snapshot = newest.stem


def _tried(work: Callable[[], object]) -> Exception | None:
    """Do it; what went wrong, if something did."""
    try:
        work()
    except (ArenaError, SQLAlchemyError, OSError) as error:
        return error
    return None


def vote_log_of(settings: Settings) -> VoteLog | None:
    """Where each vote is logged; `None` if it is not."""
    wanted = settings.vote_log
    if wanted is None:
        wanted = settings.keeps_backups_elsewhere or settings.backup_repo is not None
    return VoteLog(settings.resolved_backup_dir / "votes") if wanted else None


@dataclass(frozen=True, slots=True)
class Revived:
    """What an emptied disk got back."""

    backup: Path | None
    """The backup it was made from; `None` where there were votes alone."""
    votes: int
    """Given since that backup, and read from the log of votes."""


def revive(settings: Settings, hub: Hub | None) -> Revived | None:
    """Where the database is gone but kept elsewhere: bring back the backup that came furthest, and the votes since.

    Whatever goes wrong on the way, no database is there afterwards, and the next start tries again. `None` where the
    database is there or nothing is kept.

    Raises:
        ConfigError: what is kept cannot be read. An arena that started empty would hide what was lost.

    """
    if settings.demo or not _is_revivable(settings) or not (settings.keeps_backups_elsewhere or hub):
        return None
    vote_log = vote_log_of(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=settings.data_dir) as folder:
            backup, file = _furthest_sound(settings, hub, Path(folder))
            since = None if file is None else made_at(file)
            if hub is not None and vote_log is not None:
                hub.fetch_votes(vote_log.folder, lambda name: is_wanted(name, since))
            if file is None and (vote_log is None or not vote_log.objects()):
                return None
            replayed = Replayed()

            def replay(draft: Path) -> None:
                nonlocal replayed
                if vote_log is not None:
                    database = open_database(f"sqlite:///{draft}")
                    replayed = vote_log.replay(database, since)
                    database.close()

            bring_back(settings, file, replay)
    except BackupError as error:
        sentence = f"{error} The database is gone and its backups cannot be read, so the arena does not start empty"
        raise ConfigError(f"{sentence}; unset ARENA_BACKUP_REPO to start without them.") from error
    if replayed.unreadable:
        log.error("%d logged votes are damaged and were left out: %s", len(replayed.unreadable), replayed.unreadable)
    return Revived(backup, replayed.added + replayed.changed)


def made_at(backup: Path) -> datetime:
    """When a backup was made, by its name."""
    match = _MADE.match(backup.name)
    if match is None:
        raise ValueError(f"{backup} is no backup's name")
    return datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _is_revivable(settings: Settings) -> bool:
    url = settings.resolved_database_url
    return url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()


def _furthest_sound(settings: Settings, hub: Hub | None, folder: Path) -> tuple[Path | None, Path | None]:
    """The sound backup that came furthest: what to call it, and a copy of it in `folder`; `None` where none is kept.

    A damaged one is passed over: the votes since the one before it are still in the log.
    """
    local = stored_backups(settings) if settings.keeps_backups_elsewhere else ()
    kept = [_local(file) for file in reversed(local)]
    if hub is not None:
        kept += [_remote(hub, snapshot) for snapshot in reversed(hub.snapshots())]
    for backup in sorted(kept, key=lambda backup: backup.changes, reverse=True):
        copy = folder / backup.file
        backup.fetch(copy)
        if is_sound(copy):
            return backup.name, copy
        log.error("The backup %s is damaged and is passed over", backup.name)
    if kept:
        raise BackupError(f"None of the backups is sound ({kept[0].name} is the newest).")
    return None, None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A backup that is kept somewhere."""

    name: Path
    file: str
    """What its file was called when it was made."""
    changes: int
    """See `Extent`; -1 where that cannot be read."""
    fetch: Callable[[Path], None]
    """Copies it to a file of this machine; raises `BackupError`."""


def _local(file: Path) -> _Kept:
    changes = _changes_or_none(file)
    return _Kept(file, file.name, -1 if changes is None else changes, partial(_copy_plainly, file))


def _remote(hub: Hub, snapshot: RemoteSnapshot) -> _Kept:
    fetch = partial(hub.fetch, snapshot.path)
    return _Kept(Path(hub.repo, snapshot.path), f"{snapshot.name}.db", snapshot.changes, fetch)


def _copy_plainly(file: Path, copy: Path) -> None:
    try:
        shutil.copyfile(file, copy)
    except OSError as error:
        raise BackupError(f"{file} cannot be copied ({error.strerror}).") from error


def _changes_or_none(file: Path) -> int | None:
    try:
        return extent_of(file, closed=True).changes
    except BackupError as error:
        log.warning("%s", error)
        return None
