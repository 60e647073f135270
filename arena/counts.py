"""Pair counts: what the ratings are computed from, kept in the transaction of each vote.

A leaderboard reads counts and never votes, so its cost does not grow with the number of votes.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, Text, bindparam, cast, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from arena.database import Database
from arena.rubric import criterion_key
from arena.stamps import NUMBERED, VOTES, Stamp, latest_stamp
from arena.tables import Battle, Counter, PairCount, Vote, VoteState, Winner, counted_in

_COUNTS: Table = PairCount.__table__  # type: ignore[assignment]
_NUMBERS: Table = Counter.__table__  # type: ignore[assignment]
_COUNT = (Vote.rated, Vote.state == VoteState.COUNTED)
_TOLD_EVERY = 1_000
"""After so many votes a rebuilding says how far it is."""
_KEY = ("scope", "criterion", "revision_low", "revision_high")
_VERDICTS = ("wins_low", "wins_high", "ties", "both_bad")
_ROW = ("revision_low", "revision_high", *_VERDICTS)
_COLUMNS = [_COUNTS.c[name] for name in _ROW]
# A column comes as one text of numbers: half the time of as many rows, of which there are 45,000 for 300 models.
_ALL = (
    select(
        _COUNTS.c.scope,
        func.max(_COUNTS.c.sequence),
        *(func.aggregate_strings(cast(column, Text), ",") for column in _COLUMNS),
    )
    .where(_COUNTS.c.scope.in_(bindparam("scopes", expanding=True)), _COUNTS.c.criterion == bindparam("criterion"))
    .group_by(_COUNTS.c.scope)
)
# The stamp and what is newer in one statement: one snapshot, and one round trip. Not narrowed further: that would tempt
# SQLite to take the primary key and read every row.
_NEWER = select(NUMBERED, _COUNTS.c.scope, _COUNTS.c.criterion, _COUNTS.c.sequence, *_COLUMNS).outerjoin_from(
    NUMBERED, _COUNTS, _COUNTS.c.sequence > bindparam("known")
)


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of verdicts between revisions, as arrays: `wins[i, j]` is how often revision i beat revision j."""

    revisions: Sequence[int]
    """Revision id of each row and column, ascending."""
    wins: NDArray[np.int64]
    ties: NDArray[np.int64]
    """Symmetric, diagonal zero, as `both_bad`."""
    both_bad: NDArray[np.int64]
    sequence: int
    """The commit number of the latest change in here; 0 when there is none."""

    @property
    def votes(self) -> int:
        """All votes in here, each counted once."""
        return int(self.wins.sum() + (self.ties.sum() + self.both_bad.sum()) // 2)

    def same(self, other: "PairCounts") -> bool:
        """Whether both hold the same revisions with the same counts."""
        mine, others = (self.wins, self.ties, self.both_bad), (other.wins, other.ties, other.both_bad)
        return list(self.revisions) == list(other.revisions) and all(map(np.array_equal, mine, others))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict of a battle, or of one of its criteria, as the counts know it."""

    scope: str
    """`battle`, `imported`, or `campaign:<id>`."""
    revision_a: int
    revision_b: int
    winner: Winner
    criterion: str = ""
    """Empty for the overall verdict, else `<criterion>@<rubric's version>`: see `arena.rubric`."""


def next_sequence(session: Session, amount: int = 1) -> int:
    """The next number in commit order, or the last of the next `amount`; none of them is given to anybody else.

    The row stays locked until the transaction ends. Take it before touching any pair count: whoever holds it is the
    only writer of counts, so two votes never wait for each other in opposite orders, and a later number is a later
    commit. An `amount` of 0 takes the lock alone.
    """
    statement = _numbering(session.get_bind().dialect.name)
    return int(session.execute(statement, {"name": VOTES, "value": amount}).scalar_one())


def add_verdict(
    session: Session,
    *,
    scope: str,
    revision_a: int,
    revision_b: int,
    winner: Winner,
    sequence: int,
    amount: int = 1,
    criterion: str = "",
) -> None:
    """Add `amount` (-1 takes a withdrawn vote back) of a verdict to its pair, in the caller's transaction."""
    verdict = Verdict(scope, revision_a, revision_b, winner, criterion)
    add_verdicts(session, {verdict: amount}, sequence)


def add_verdicts(session: Session, amounts: Mapping[Verdict, int], sequence: int) -> None:
    """Add many verdicts at once, one row written for each pair; see `add_verdict`."""
    rows: dict[tuple[str, str, int, int], dict[str, str | int]] = {}
    for verdict, amount in amounts.items():
        low, high = sorted((verdict.revision_a, verdict.revision_b))
        key = (verdict.scope, verdict.criterion, low, high)
        row = rows.setdefault(key, {**dict(zip(_KEY, key, strict=True)), **dict.fromkeys(_VERDICTS, 0)})
        column = _column(verdict)
        row[column] = int(row[column]) + amount
    if not rows:
        return
    statement = _adding(session.get_bind().dialect.name)
    session.execute(statement, [{**row, "sequence": sequence} for row in rows.values()])


class LiveCounts:
    """The counts of some scopes together, kept current by reading only what is newer than what is here.

    Rows come straight from the driver: for 300 models SQLAlchemy's own rows take twenty times as long. Not for several
    threads at once.
    """

    def __init__(self, scopes: Sequence[str], criterion: str = "") -> None:
        self._scopes = {scope: place for place, scope in enumerate(dict.fromkeys(scopes))}
        self._criterion = criterion
        self._forget()

    def _forget(self) -> None:
        self._known = 0
        self._latest = 0
        self._revisions: NDArray[np.int64] = np.zeros(0, np.int64)
        self._cells = np.zeros((3, len(self._scopes), 0, 0), np.int64)

    def catch_up(self, connection: Connection) -> Stamp:
        """Take in what is newer as `connection` sees it; returns the stamp of what is here now. May be tried again."""
        if self._known:
            rows = connection.execute(_NEWER, {"known": self._known}).cursor.fetchall()
            stamp = Stamp.of(rows[0][:3])
            if stamp.sequence >= self._known:
                self._take_newer(rows)
                self._known = stamp.sequence
                return stamp
            self._forget()  # an older copy of the database was restored
        stamp = latest_stamp(connection)  # before the counts: a change between the two is read again with the next
        self._take_all(connection)
        self._known = stamp.sequence
        return stamp

    def together(self) -> PairCounts:
        """The counts of all scopes, added up."""
        wins, ties, both_bad = reduce(np.add, np.moveaxis(self._cells, 1, 0))
        return PairCounts(self._revisions.tolist(), wins, ties, both_bad, self._latest)

    def _take_all(self, connection: Connection) -> None:
        wanted = {"scopes": list(self._scopes), "criterion": self._criterion}
        for scope, latest, *columns in connection.execute(_ALL, wanted).all():
            self._take(scope, np.stack([np.fromstring(column, np.int64, sep=",") for column in columns]), latest)

    def _take_newer(self, rows: Sequence[Sequence[Any]]) -> None:
        newer: dict[str, list[Sequence[int]]] = {scope: [] for scope in self._scopes}
        latest = 0
        for _, _, _, scope, criterion, sequence, *row in rows:
            if criterion == self._criterion and scope in newer:
                newer[scope].append(row)
                latest = max(latest, sequence)
        for scope, columns in newer.items():
            if columns:
                self._take(scope, np.array(columns, np.int64).T, latest)

    def _take(self, name: str, columns: NDArray[np.int64], latest: int) -> None:
        """Replace the cells of these pairs: each has its whole count in its scope."""
        scope = self._scopes[name]
        low, high, wins_low, wins_high, ties, both_bad = columns
        self._make_room(low, high)
        place = np.zeros(int(self._revisions[-1]) + 1, np.intp)
        place[self._revisions] = np.arange(len(self._revisions))
        low, high = place[low], place[high]
        wins, tied, bad = self._cells
        wins[scope, low, high], wins[scope, high, low] = wins_low, wins_high
        tied[scope, low, high] = tied[scope, high, low] = ties
        bad[scope, low, high] = bad[scope, high, low] = both_bad
        self._latest = max(self._latest, latest)

    def _make_room(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> None:
        seen = np.zeros(max(int(high.max()), *self._revisions[-1:].tolist(), 0) + 1, bool)
        for revisions in (low, high, self._revisions):
            seen[revisions] = True
        wider = np.flatnonzero(seen)
        if len(wider) == len(self._revisions):
            return
        cells = np.zeros((3, len(self._scopes), len(wider), len(wider)), np.int64)
        places = np.searchsorted(wider, self._revisions)
        cells[:, :, places[:, None], places[None, :]] = self._cells
        self._revisions, self._cells = wider, cells


def read_counts(database: Database, scopes: Sequence[str], criterion: str = "") -> PairCounts:
    """The counts of the given scopes together."""
    counts = LiveCounts(scopes, criterion)
    database.glance(counts.catch_up)
    return counts.together()


def rebuild_counts(database: Database, progress: Callable[[float], None] = lambda _: None) -> int:
    """Recompute every pair count from the votes, in one transaction; returns the number of votes counted.

    Every row gets a new commit number, and a pair that has lost its votes keeps a row of zeros, so that no reader keeps
    what it had. `progress` hears the share that is done.
    """
    with database.write() as session:
        sequence = next_sequence(session)
        all_votes = session.scalar(select(func.count()).select_from(Vote).where(*_COUNT)) or 0
        session.execute(update(PairCount).values(**dict.fromkeys(_VERDICTS, 0), sequence=sequence))
        tally: Tally[Verdict] = Tally()
        votes = 0
        for verdicts in _counted_verdicts(session):
            votes += 1
            tally.update(verdicts)
            if votes % _TOLD_EVERY == 0:
                progress(votes / all_votes)
        add_verdicts(session, tally, sequence)
    return votes


def verdicts_of(
    scope: str,
    revision_a: int,
    revision_b: int,
    winner: Winner,
    criteria: Mapping[str, str],
    rubric_version: str | None = None,
) -> Sequence[Verdict]:
    """What one rated vote counts for: its overall verdict, and one for each criterion that was rated.

    `scope` is the battle's `counted_in`: for most its mode.
    """
    overall = Verdict(str(scope), revision_a, revision_b, winner)
    rated = [
        Verdict(str(scope), revision_a, revision_b, Winner(word), criterion_key(name, rubric_version))
        for name, word in criteria.items()
    ]
    return [overall, *rated]


def _counted_verdicts(session: Session) -> Iterator[Sequence[Verdict]]:
    """The verdicts of each vote that counts, read in portions."""
    statement = (
        select(counted_in(), Battle.revision_a, Battle.revision_b, Vote.winner, Vote.criteria, Vote.rubric_version)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(*_COUNT)
    )
    for row in session.execute(statement, execution_options={"yield_per": 5000}):
        yield verdicts_of(*row)


def _column(verdict: Verdict) -> str:
    """The column of its pair that a verdict counts in."""
    if verdict.winner is Winner.TIE:
        return "ties"
    if verdict.winner is Winner.BOTH_BAD:
        return "both_bad"
    won = verdict.revision_a if verdict.winner is Winner.MODEL_A else verdict.revision_b
    return "wins_low" if won == min(verdict.revision_a, verdict.revision_b) else "wins_high"


@cache
def _numbering(dialect: str) -> ReturningInsert[Any]:
    """What takes numbers; made once, since making it takes longer than running it."""
    insert = _insert(dialect, _NUMBERS)
    raised = {"value": _NUMBERS.c.value + insert.excluded.value}
    return insert.on_conflict_do_update(index_elements=["name"], set_=raised).returning(_NUMBERS.c.value)


@cache
def _adding(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """What adds to pair counts."""
    insert = _insert(dialect, _COUNTS)
    changes = {name: _COUNTS.c[name] + insert.excluded[name] for name in _VERDICTS}
    return insert.on_conflict_do_update(
        index_elements=list(_KEY), set_={**changes, "sequence": insert.excluded.sequence}
    )


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can turn into an UPDATE, in the words of a database."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
