"""Keeps votes safe without anybody asking: scheduled backups, the log of votes, a dataset on the Hub.

What is scheduled is for SQLite; PostgreSQL has its own tools. Nothing here ever replaces a backup: each has a name of
its own, and an old one is deleted only while newer ones came at least as far.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from arena.backup import Extent, back_up, changes_in, described, extent_of
from arena.backup_folder import made_at, newest_backup, stored_backups
from arena.config import Settings
from arena.database import Database
from arena.errors import ArenaError, BackupError
from arena.hub import Hub
from arena.tables import now
from arena.vote_log import vote_log_of

log = logging.getLogger(__name__)
_CLOCKS_DIFFER = timedelta(minutes=1)
LOOK_S = 60.0
"""How often it is asked whether something is due; votes reach the Hub after this long at most."""
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
        furthest = max((changes_in(file) or 0 for file in kept), default=0)
        for file in old:
            changes = changes_in(file)
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
