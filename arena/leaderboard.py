"""The standings: counts from the database, ratings, names; computed again only when a vote changed them.

What a vote costs does not grow with the number of votes: the pair counts that changed are read, and the ratings found
from where they stood. Who stands behind them, and how much wider that makes the intervals, is worked out from the votes
themselves: in the background, now and then, with its age told (`clustered_at`).
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from arena.ballots import RATED_SCOPES, Slice, count_languages, read_ballots
from arena.counts import LiveCounts
from arena.database import Database
from arena.grouping import Grouping
from arena.pair_verdicts import Comparisons
from arena.rating_table import Crowd, RatingTable, look_at, tabulate
from arena.ratings import Inflation
from arena.stamps import Stamp, latest_stamp
from arena.standings import Standing, Standings
from arena.tables import ModelRevision

__all__ = ["Grouping", "Leaderboard", "Slice", "Standing", "Standings"]

log = logging.getLogger(__name__)
_NAMES = select(
    ModelRevision.id, ModelRevision.display_name, ModelRevision.family, ModelRevision.version, ModelRevision.parent
).order_by(ModelRevision.id)

AT_ONCE_VOTES = 5_000
"""Up to so many votes people are counted before the first table is shown: it takes some 20 ms. Beyond, right after."""

WITH_EACH_VOTE = 200
"""Up to so many votes people are counted again with each vote, in 2 to 3 ms: a young arena's figures are exact."""

LOOK_EVERY_S = 1.0
"""Under many votes a second people are counted once a second, and figures exact again at the first reading after: every
replica counts, so that what is counted more often is paid by each of them."""

LOOKS_AT_ONCE = 20
"""So many times people are counted with each vote, however quickly they come, before that pace is kept."""

BUSY_SHARE = 0.05
"""The share of its time that the background may spend on looking at the votes again."""

RECENT_S = 1.0
"""How old the standings may be from which a vote's reveal tells what it changed; only another process's votes of this
time can be missing. Reading them again cost every vote a look into the database, and often a fit."""

MOST_SLICES = 200
"""So many slices' standings are kept, the latest ones: readers can ask for very many."""


class Leaderboard:
    """Standings on demand, cached until a vote (of this or another process) changes them. Safe from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._boards: dict[tuple[tuple[str, ...], str, Grouping], _Board] = {}
        self._slices: dict[tuple[Slice, Grouping], tuple[Standings, int, float]] = {}

    def standings(self, scopes: Sequence[str] = RATED_SCOPES, criterion: str = "", by: Grouping = "model") -> Standings:
        """The present standings; of several callers after one vote the first computes and the others wait for it."""
        return self._board(scopes, criterion, by).standings()

    def recent(self) -> Standings:
        """The standings of all models as they were at most `RECENT_S` ago: of this process, after its latest vote."""
        return self._board(RATED_SCOPES, "", "model").recent()

    def refresh(self, scopes: Sequence[str] = RATED_SCOPES, criterion: str = "", by: Grouping = "model") -> Standings:
        """Count people and cluster the intervals by all votes up to now, wait for it, and return the standings."""
        board = self._board(scopes, criterion, by)
        board.look_at_votes()
        return board.standings()

    def comparisons(self, scopes: Sequence[str] = RATED_SCOPES, criterion: str = "") -> Comparisons:
        """What the votes say about every pair of models, and about platforms."""
        return self._board(scopes, criterion, "model").comparisons()

    def sliced(self, part: Slice, by: Grouping = "model") -> Standings:
        """Standings from some of the votes only: of a tag, a language, a number of turns, a platform, some voters.

        Read from the votes, which takes time by their number: not for a vote's path. An answer is kept until there is
        a new vote, and for twenty times as long as it took.
        """
        key = (part, by)
        stamp = self._database.glance(latest_stamp)
        kept = self._slices.get(key)
        if kept and (kept[1] == stamp.sequence or time.monotonic() < kept[2]):
            return kept[0]
        began = time.monotonic()
        ballots = read_ballots(self._database, part)
        table = tabulate(_read_revisions(self._database), ballots.counts(stamp.sequence), by)
        crowd = look_at(table, ballots, stamp.sequence)
        standings = table.standings(crowd, table.inflation(crowd), stamp.counted_at)
        ended = time.monotonic()
        with self._lock:
            self._slices.pop(key, None)
            self._slices[key] = (standings, stamp.sequence, ended + (ended - began) / BUSY_SHARE)
            while len(self._slices) > MOST_SLICES:
                self._slices.pop(next(iter(self._slices)))
        return standings

    def languages(self, least: int) -> Sequence[str]:
        """The languages (ISO 639-1) of at least so many counted votes, the most frequent first; read as `sliced` is."""
        votes = count_languages(self._database)
        return [language for language, number in votes.items() if number >= least]

    def _board(self, scopes: Sequence[str], criterion: str, by: Grouping) -> "_Board":
        key = (tuple(scopes), criterion, by)
        with self._lock:
            if key not in self._boards:
                self._boards[key] = _Board(self._database, Slice(key[0], criterion), by)
            return self._boards[key]


class _Board:
    """The standings of one view of the votes, and what makes the next ones quick."""

    def __init__(self, database: Database, part: Slice, by: Grouping) -> None:
        self._database = database
        self._part = part
        self._by: Grouping = by
        self._lock = threading.Lock()  # for all below; held while a table is computed, never while votes are read
        self._counts = LiveCounts(part.scopes, part.criterion)
        self._revisions: Sequence[ModelRevision] = ()
        self._stamp = Stamp(-1, -1)
        self._counted_at: datetime | None = None
        self._table: RatingTable | None = None
        self._crowd: Crowd | None = None
        self._inflation: Inflation | None = None
        self._standings: Standings | None = None
        self._written_at = 0.0
        self._looking = threading.Lock()  # held by whoever looks at the votes
        self._due = True  # whether a look in the background may be asked for
        self._due_at = 0.0
        self._names: Sequence[Sequence[object]] = ()
        self._paced_until = 0.0  # each look in a vote's path moves it on; it may be `LOOKS_AT_ONCE` looks ahead

    def standings(self) -> Standings:
        with self._lock:
            table = self._bring_up_to_date()
            if not self._must_look(table.counts.votes):
                return self._written(table)
        self._look_if_due(table.counts.votes)
        with self._lock:
            return self._written(self._bring_up_to_date())

    def _look_if_due(self, votes: int) -> None:
        """Count people, unless another thread is at it: of many votes at once each would wait for all before it."""
        if not self._looking.acquire(blocking=self._crowd is None):
            return
        try:
            with self._lock:
                must = self._must_look(votes)
            if must:
                self._paced_until = max(time.monotonic(), self._paced_until) + LOOK_EVERY_S
                self._look()
        finally:
            self._looking.release()

    def recent(self) -> Standings:
        with self._lock:
            if self._standings is not None and time.monotonic() - self._written_at < RECENT_S:
                return self._standings
        return self.standings()

    def comparisons(self) -> Comparisons:
        self.standings()
        with self._lock:
            return Comparisons(self._bring_up_to_date(), self._crowd, self._inflation)

    def look_at_votes(self) -> None:
        with self._looking:
            self._look()

    def _must_look(self, votes: int) -> bool:
        """Whether to count people before the table is shown: where they are new, and few enough to be quick."""
        if self._crowd is None:
            return votes <= AT_ONCE_VOTES
        if votes > WITH_EACH_VOTE or self._crowd.sequence >= self._stamp.sequence:
            return False
        return self._paced_until - time.monotonic() <= (LOOKS_AT_ONCE - 1) * LOOK_EVERY_S

    def _look(self) -> None:
        began = time.monotonic()
        stamp = self._database.glance(latest_stamp)
        names = self._database.glance(_read_names)
        ballots = read_ballots(self._database, self._part)
        counts = ballots.counts(stamp.sequence)
        with self._lock:
            known = names == self._names and self._counts.together().same(counts)
            table = self._table if known else None
        if table is None:
            table = tabulate(_read_revisions(self._database), counts, self._by)
        crowd = look_at(table, ballots, stamp.sequence)
        ended = time.monotonic()
        with self._lock:
            self._crowd = crowd
            self._standings = None
            if self._table is not None:
                self._inflation = self._table.inflation(crowd)
            if names != self._names:  # some were corrected since: the next table is made with those that are read then
                self._names, self._stamp = names, Stamp(-1, -1)
            self._due, self._due_at = True, max(ended + (ended - began) / BUSY_SHARE, began + LOOK_EVERY_S)

    def _look_later(self) -> None:
        """Have the votes looked at in the background, where there are new ones and the last look is long enough ago."""
        seen = self._crowd.sequence if self._crowd else -1
        if seen < self._stamp.sequence and self._due and time.monotonic() >= self._due_at:
            self._due = False
            self._database.later(self._look_in_background)

    def _look_in_background(self) -> None:
        try:
            self.look_at_votes()
        except SQLAlchemyError:  # the table stays as it is; the next vote asks again
            log.warning("The voters behind the ratings could not be counted", exc_info=True)
            with self._lock:
                self._due, self._due_at = True, time.monotonic() + 60

    def _bring_up_to_date(self) -> RatingTable:
        stamp = self._database.glance(self._counts.catch_up)
        if self._table is not None and stamp == self._stamp:
            return self._table
        if stamp.revision != self._stamp.revision:
            self._revisions = _read_revisions(self._database)
        before = self._table
        self._table = tabulate(self._revisions, self._counts.together(), self._by, before)
        if before is None or self._stamp.sequence < 0 or before.keys != self._table.keys:
            self._inflation = self._table.inflation(self._crowd)
        self._stamp, self._counted_at, self._standings = stamp, stamp.counted_at, None
        return self._table

    def _written(self, table: RatingTable) -> Standings:
        self._written_at = time.monotonic()
        if self._standings is None:
            self._standings = table.standings(self._crowd, self._inflation, self._counted_at)
        self._look_later()
        return self._standings


def _read_names(connection: Connection) -> Sequence[Sequence[object]]:
    return connection.execute(_NAMES).cursor.fetchall()


def _read_revisions(database: Database) -> Sequence[ModelRevision]:
    with database.read() as session:
        return session.scalars(select(ModelRevision).order_by(ModelRevision.id)).all()
