"""The way back for a disk that a restart empties: the backup that came furthest, and the votes given since."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from arena.backup import bring_back, changes_in
from arena.backup_folder import made_at, stored_backups
from arena.config import Settings
from arena.database import open_database
from arena.errors import BackupError, ConfigError
from arena.hub import Hub
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
            backup, file = _furthest(settings, hub, Path(folder))
            since = None if file is None else made_at(file)
            if hub is not None and vote_log is not None:
                hub.fetch_votes(vote_log.folder, lambda name: is_wanted(name, since))
            if file is None and (vote_log is None or not vote_log.objects()):
                return None
            replayed = _bring_back_with_votes(settings, file, vote_log, since)
    except BackupError as error:
        sentence = f"{error} The database is gone and its backups cannot be read, so the arena does not start empty"
        raise ConfigError(f"{sentence}; unset ARENA_BACKUP_REPO to start without them.") from error
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


def _furthest(settings: Settings, hub: Hub | None, folder: Path) -> tuple[Path | None, Path | None]:
    """The backup that came furthest: what to call it, and its file, which is in `folder` if it was downloaded."""
    changes, local = _best(stored_backups(settings)) if settings.keeps_backups_elsewhere else (-1, None)
    remote = hub.snapshots() if hub is not None else ()
    if hub is None or not remote or remote[-1].changes <= changes:
        return local, local
    fetched = folder / f"{remote[-1].name}.db"
    hub.fetch(remote[-1].path, fetched)
    return Path(hub.repo) / remote[-1].path, fetched


def _best(backups: Sequence[Path]) -> tuple[int, Path | None]:
    """The sound backup that came furthest, of these the newest, and how far; -1 without any."""
    counted = [
        (changes, number, file) for number, file in enumerate(backups) if (changes := changes_in(file)) is not None
    ]
    if backups and not counted:
        raise BackupError(f"None of the backups in {backups[0].parent} is sound.")
    changes, _, best = max(counted, default=(-1, 0, None))
    return changes, best
