"""Keeps votes safe without anybody asking: scheduled backups, the log of votes, a dataset on the Hub, and the way back.

What is scheduled is for SQLite; PostgreSQL has its own tools. Nothing here ever replaces a backup: each has a name of
its own, and an old one is deleted only while newer ones hold at least as many votes.
"""

import asyncio
import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from arena.backup import back_up, bring_back, described, stored_backups, votes_in
from arena.config import Settings
from arena.database import Database
from arena.errors import ArenaError, BackupError, ConfigError
from arena.hub import Hub
from arena.tables import now
from arena.vote_log import VoteLog

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
        self._saved_votes: int | None = None
        self._pushed: str | None = None
        self._failure: str | None = None
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
        """Log a vote that was stored or changed; a failure is remembered and told, the vote itself is stored."""
        if self._log is None:
            return
        try:
            self._log.write(self._database, battle_id)
        except (BackupError, SQLAlchemyError) as error:
            self._failed(error)

    async def keep(self) -> None:
        """Do what is due, again and again until cancelled."""
        while True:
            await asyncio.to_thread(self.do_what_is_due, now())
            await asyncio.sleep(LOOK_S)

    def do_what_is_due(self, at: datetime) -> None:
        """Back up if the newest backup is too old and votes have come since; bring new votes to the Hub."""
        with self._turn:
            try:
                if self._scheduled and self._is_due(at):
                    self._back_up()
                if self._hub is not None and self._log is not None:
                    self._push(self._hub, self._log)
            except (ArenaError, SQLAlchemyError, OSError) as error:
                self._failed(error)
            else:
                self._failure = None

    def _failed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, ArenaError) else type(error).__name__
        if sentence != self._failure:
            log.error("Votes could not be kept safe: %s", sentence)
        self._failure = sentence

    def _is_due(self, at: datetime) -> bool:
        # One from the future was made before the clock was put back: waiting for its time could take years.
        made = [backup for backup in stored_backups(self._settings) if made_at(backup) <= at + _CLOCKS_DIFFER]
        newest = made[-1] if made else None
        if newest is None:
            return self._votes() > 0
        if at - made_at(newest) < timedelta(hours=self._settings.backup_hours):
            return False
        if self._saved_votes is None:
            with suppress(BackupError):
                self._saved_votes = votes_in(newest)
        return self._votes() != self._saved_votes

    def _votes(self) -> int:
        return votes_in(Path(str(self._database.engine.url.database)))

    def _back_up(self) -> None:
        made = back_up(self._settings)
        self._saved_votes = made.votes
        log.info("Backed up %s to %s", described(made.votes), made.file)
        if self._hub is not None:
            self._hub.keep_snapshot(made.file, made.votes)
        kept = self._prune()
        if self._log is not None and len(kept) > 1:
            self._log.forget_before(made_at(kept[-2]) - timedelta(hours=1))

    def _prune(self) -> Sequence[Path]:
        """Delete old backups, never one with more votes than the newest hold; returns those that stay, oldest first."""
        backups = stored_backups(self._settings)
        old, kept = backups[: -self._settings.backup_keep], list(backups[-self._settings.backup_keep :])
        most = max((_votes_or_none(file) or 0 for file in kept), default=0)
        for file in old:
            votes = _votes_or_none(file)
            if votes is None or votes > most:
                kept.insert(0, file)
            else:
                file.unlink(missing_ok=True)
        return sorted(kept, key=made_at)

    def _push(self, hub: Hub, vote_log: VoteLog) -> None:
        if self._pushed is None:
            self._pushed = max(hub.vote_names(), default="")
        new = [file for file in vote_log.objects() if file.name > self._pushed]
        if new:
            hub.keep_votes(new)
            self._pushed = new[-1].name


def vote_log_of(settings: Settings) -> VoteLog | None:
    """Where each vote is logged; `None` if it is not."""
    wanted = settings.vote_log
    if wanted is None:
        wanted = settings.keeps_backups_elsewhere or settings.backup_repo is not None
    return VoteLog(settings.resolved_backup_dir / "votes") if wanted else None


def revive(settings: Settings, hub: Hub | None) -> Path | None:
    """Where the database is gone but backups are kept elsewhere: bring back the one with the most votes.

    Returns the backup's place, or `None` where the database is there or there is no backup.

    Raises:
        ConfigError: the backups cannot be read. An arena that started empty would hide what was lost.

    """
    if settings.demo or not _is_revivable(settings):
        return None
    try:
        local = _best(stored_backups(settings)) if settings.keeps_backups_elsewhere else None
        if hub is not None and (remote := hub.snapshots()) and (local is None or remote[-1].votes > local[1]):
            return _revive_from(hub, remote[-1].path, settings)
    except BackupError as error:
        sentence = f"{error} The database is gone and its backups cannot be read, so the arena does not start empty"
        raise ConfigError(f"{sentence}; unset ARENA_BACKUP_REPO to start without them.") from error
    if local is None:
        return None
    bring_back(settings, local[0])
    return local[0]


def replay(settings: Settings, database: Database, hub: Hub | None) -> int:
    """After `revive`: bring in the votes given since the backup; returns how many came."""
    vote_log = vote_log_of(settings)
    if vote_log is None:
        return 0
    if hub is not None:
        hub.fetch_votes(vote_log.folder)
    replayed = vote_log.replay(database)
    if replayed.unreadable:
        log.error("%d logged votes are damaged and were left out: %s", len(replayed.unreadable), replayed.unreadable)
    return replayed.added + replayed.changed


def made_at(backup: Path) -> datetime:
    """When a backup was made, by its name."""
    match = _MADE.match(backup.name)
    if match is None:
        raise ValueError(f"{backup} is no backup's name")
    return datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _is_revivable(settings: Settings) -> bool:
    url = settings.resolved_database_url
    return url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()


def _revive_from(hub: Hub, path: str, settings: Settings) -> Path:
    fetched = settings.data_dir / Path(path).name
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    hub.fetch(path, fetched)
    try:
        bring_back(settings, fetched)
    finally:
        fetched.unlink(missing_ok=True)
    return Path(hub.repo) / path


def _best(backups: Sequence[Path]) -> tuple[Path, int] | None:
    """The sound backup with the most votes, of these the newest."""
    counted = [
        (votes, number, file) for number, file in enumerate(backups) if (votes := _votes_or_none(file)) is not None
    ]
    if backups and not counted:
        raise BackupError(f"None of the backups in {backups[0].parent} is sound.")
    if not counted:
        return None
    votes, _, file = max(counted)
    return file, votes


def _votes_or_none(file: Path) -> int | None:
    try:
        return votes_in(file)
    except BackupError as error:
        log.warning("%s", error)
        return None
