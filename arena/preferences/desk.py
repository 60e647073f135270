"""All that an operator does about training data on a page: read votes, see what is behind a count, write files.

One thing at a time is done, in a thread of its own, so that no battle waits for it. Who may ask is the caller's
business.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from arena.challenges import load_challenges
from arena.config import Settings
from arena.database import Database
from arena.errors import ArenaError, ConfigError
from arena.preferences.export import export_files
from arena.preferences.filters import Filters
from arena.preferences.manifest import FileFormat
from arena.preferences.rules import rules_of
from arena.preferences.selection import Selection, select_votes
from arena.preferences.shelf import exports_dir
from arena.tables import now

log = logging.getLogger(__name__)

_READING = "Reading the votes"
PER_PAGE = 10
"""Battles of a page behind a count."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the votes taught when they were last read."""

    selection: Selection
    filters: Filters
    at: datetime

    @property
    def counts(self) -> Mapping[str | None, int]:
        """Votes by reason; `None` are those that are kept."""
        counts: dict[str | None, int] = {None: self.selection.kept}
        counts.update(self.selection.no_pair)
        counts.update(self.selection.held_back_counts)
        return counts


@dataclass(frozen=True, slots=True)
class Work:
    """What is being done now."""

    doing: str
    share: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class BattleList:
    """A page of the battles behind a count."""

    battles: Sequence[str]
    """Their ids, the newest first."""
    total: int
    page: int
    pages: int


class _Closing(Exception):
    pass


class PreferenceDesk:
    """One per process. Every method answers at once; `close` waits for a moment."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="preferences")
        self._lock = threading.RLock()
        self._reading: Reading | None = None
        self._work: Work | None = None
        self._failure: str | None = None
        self._closing = False
        self.exporting = False
        """Whether `work`, or `failure`, is of a file, and not of a look at the votes."""

    @property
    def reading(self) -> Reading | None:
        """The latest reading; `None` before the first."""
        return self._reading

    @property
    def work(self) -> Work | None:
        """What is being done now, if anything is."""
        return self._work

    @property
    def failure(self) -> str | None:
        """Why the latest thing was not done, a sentence."""
        return self._failure

    def look(self, filters: Filters) -> bool:
        """Read the votes anew; `False` where something is being done already."""
        return self._begin(lambda: self._look(filters), exporting=False)

    def export(self, file_format: FileFormat, filters: Filters, share: float) -> bool:
        """Write files into the exports folder, `share` (0 to 1) of the prompts for validation; as `look`.

        Raises:
            ConfigError: the arena is a demonstration.

        """
        if self._settings.demo:
            raise ConfigError("Votes of an offline demonstration are never exported.")
        return self._begin(lambda: self._export(file_format, filters, share), exporting=True)

    def battles(self, reason: str | None, page: int) -> BattleList:
        """The battles behind a count of the latest reading; a page beyond the last is the last."""
        with self._lock:
            if self._reading is None:
                return BattleList((), 0, 1, 1)
            total = self._reading.counts.get(reason, 0)
            pages = max(-(-total // PER_PAGE), 1)
            page = min(max(page, 1), pages)
            found = self._reading.selection.battle_ids(reason, (page - 1) * PER_PAGE, PER_PAGE)
        return BattleList(found, total, page, pages)

    def close(self) -> None:
        """Give up what is being done, and give back what is kept on disk."""
        self._closing = True
        self._worker.shutdown(cancel_futures=True)
        with self._lock:
            if self._reading is not None:
                self._reading.selection.close()
                self._reading = None

    def _begin(self, task: Callable[[], None], *, exporting: bool) -> bool:
        with self._lock:
            if self._work is not None or self._closing:
                return False
            self._work, self._failure, self.exporting = Work(_READING, 0.0), None, exporting
        self._worker.submit(self._do, task)
        return True

    def _do(self, task: Callable[[], None]) -> None:
        try:
            task()
        except _Closing:
            pass
        except ArenaError as error:
            self._failure = str(error)
        except (SQLAlchemyError, OSError):
            log.warning("Training data could not be read or written", exc_info=True)
            self._failure = "The votes could not be read, or the file not written: the log says why."
        finally:
            self._work = None

    def _look(self, filters: Filters) -> None:
        selection = self._select(filters)
        with self._lock:
            before, self._reading = self._reading, Reading(selection, filters, now())
            if before is not None:
                before.selection.close()

    def _export(self, file_format: FileFormat, filters: Filters, share: float) -> None:
        train, validation = self._names(file_format, filters)
        with self._select(filters) as selection:
            export_files(
                selection,
                file_format,
                rules_of(self._settings, file_format),
                train,
                validation if share else None,
                share,
                self._telling("Writing the file"),
            )

    def _select(self, filters: Filters) -> Selection:
        folder = self._settings.data_dir
        telling = self._telling(_READING)
        return select_votes(self._database, filters, load_challenges(folder), folder, telling)

    def _telling(self, doing: str) -> Callable[[float], None]:
        def tell(share: float) -> None:
            if self._closing:
                raise _Closing
            self._work = Work(doing, share)

        return tell

    def _names(self, file_format: FileFormat, filters: Filters) -> tuple[Path, Path]:
        """Names that no earlier file has: a job goes back to the file that it was made from."""
        judged_by = f"-{filters.criterion}" if filters.criterion else ""
        name = f"{file_format}{judged_by}-{now():%Y%m%d-%H%M%S-%f}"
        folder = exports_dir(self._settings)
        return folder / f"{name[:-3]}.jsonl", folder / f"{name[:-3]}.validation.jsonl"
