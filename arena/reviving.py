"""The way back for a disk that a restart empties: the backup that came furthest, and the votes given since."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from arena.backup import bring_back, changes_in
from arena.backup_folder import made_at, stored_backups, why_unreadable
from arena.config import Settings
from arena.database import open_database
from arena.errors import BackupError, ConfigError
from arena.hub import Hub, RemoteSnapshot
from arena.sqlite_copy import is_sound
from arena.vote_log import Replayed, VoteLog, is_wanted, vote_log_of

log = logging.getLogger(__name__)


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
            replayed = _bring_back_with_votes(settings, file, vote_log, since)
    except BackupError as error:
        sentence = f"{error} The database is gone and its backups cannot be read, so the arena does not start empty"
        advice = "name another ARENA_BACKUP_DIR, or unset ARENA_BACKUP_REPO, to start without them"
        raise ConfigError(f"{sentence}; {advice}.") from error
    if replayed.unreadable:
        log.error("%d logged votes are damaged and were left out: %s", len(replayed.unreadable), replayed.unreadable)
    return Revived(backup, replayed.added + replayed.changed)


def _bring_back_with_votes(
    settings: Settings, file: Path | None, vote_log: VoteLog | None, since: datetime | None
) -> Replayed:
    """The database from a backup, or anew, with the votes of the log that were given since."""
    replayed = Replayed()

    def replay(draft: Path) -> None:
        nonlocal replayed
        if vote_log is not None:
            database = open_database(f"sqlite:///{draft}")
            replayed = vote_log.replay(database, since)
            database.close()

    bring_back(settings, file, replay)
    return replayed


def _is_revivable(settings: Settings) -> bool:
    url = settings.resolved_database_url
    return url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()


def _furthest_sound(settings: Settings, hub: Hub | None, folder: Path) -> tuple[Path | None, Path | None]:
    """The sound backup that came furthest: what to call it, and a copy of it in `folder`; `None` where none is kept.

    A damaged one is passed over: the votes since the one before it are still in the log.
    """
    if settings.keeps_backups_elsewhere and (unreadable := why_unreadable(settings)):
        raise BackupError(unreadable)
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
    changes = changes_in(file)
    return _Kept(file, file.name, -1 if changes is None else changes, partial(_copy_plainly, file))


def _remote(hub: Hub, snapshot: RemoteSnapshot) -> _Kept:
    fetch = partial(hub.fetch, snapshot.path)
    return _Kept(Path(hub.repo, snapshot.path), f"{snapshot.name}.db", snapshot.changes, fetch)


def _copy_plainly(file: Path, copy: Path) -> None:
    try:
        shutil.copyfile(file, copy)
    except OSError as error:
        raise BackupError(f"{file} cannot be copied ({error.strerror}).") from error
