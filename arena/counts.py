"""Pair counts: what the ratings are computed from, kept in the transaction of each vote.

A leaderboard reads counts and never votes, so its cost does not grow with the number of votes.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from arena.database import Battle, Counter, Database, Mode, PairCount, Vote, VoteState, Winner

VOTES = "votes"
"""Name of the counter that numbers votes, and changes to votes, in commit order."""

_COUNTS: Table = PairCount.__table__  # type: ignore[assignment]
_NUMBERS: Table = Counter.__table__  # type: ignore[assignment]
_KEY = ("scope", "criterion", "revision_low", "revision_high")
_VERDICTS = ("wins_low", "wins_high", "ties", "both_bad")


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict of a battle, or of one of its criteria, as the counts know it."""

    scope: str
    """`battle`, `imported`, or `campaign:<id>`."""
    revision_a: int
    revision_b: int
    winner: Winner
    criterion: str = ""
    """Empty for the overall verdict."""


def next_sequence(session: Session, amount: int = 1) -> int:
    """The next number in commit order, or the last of the next `amount`; none of them is given to anybody else.

    The row stays locked until the transaction ends. Take it before touching any pair count: whoever holds it is the
    only writer of counts, so two votes never wait for each other in opposite orders, and a later number is a later
    commit. An `amount` of 0 takes the lock alone.
    """
    insert = _insert(session, _NUMBERS).values(name=VOTES, value=amount)
    statement = insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": _NUMBERS.c.value + amount}
    ).returning(_NUMBERS.c.value)
    return int(session.execute(statement).scalar_one())


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
    insert = _insert(session, _COUNTS)
    changes = {name: _COUNTS.c[name] + insert.excluded[name] for name in _VERDICTS}
    statement = insert.on_conflict_do_update(
        index_elements=list(_KEY), set_={**changes, "sequence": insert.excluded.sequence}
    )
    session.execute(statement, [{**row, "sequence": sequence} for row in rows.values()])


def read_counts(database: Database, scopes: Sequence[str], criterion: str = "") -> PairCounts:
    """The counts of the given scopes together."""
    columns = [_COUNTS.c[name] for name in ("revision_low", "revision_high", *_VERDICTS, "sequence")]
    statement = select(*columns).where(_COUNTS.c.scope.in_(scopes), _COUNTS.c.criterion == criterion)
    with database.read() as session:
        rows = session.execute(statement).all()
    table = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * len(columns)).reshape(len(rows), len(columns))
    revisions, places = np.unique(table[:, :2], return_inverse=True)
    low, high = places.reshape(-1, 2).T
    wins, ties, both_bad = (np.zeros((len(revisions), len(revisions)), np.int64) for _ in range(3))
    np.add.at(wins, (low, high), table[:, 2])
    np.add.at(wins, (high, low), table[:, 3])
    for symmetric, column in ((ties, table[:, 4]), (both_bad, table[:, 5])):
        np.add.at(symmetric, (low, high), column)
        np.add.at(symmetric, (high, low), column)
    return PairCounts(revisions.tolist(), wins, ties, both_bad, int(table[:, 6].max(initial=0)))


def latest_sequence(database: Database) -> int:
    """The newest commit number; a cache with the same number is current."""
    with database.read() as session:
        return session.scalar(select(Counter.value).where(Counter.name == VOTES)) or 0


def rebuild_counts(database: Database) -> int:
    """Recompute every pair count from the votes, in one transaction; returns the number of votes counted.

    Every row gets a new commit number, so that no reader keeps what it had.
    """
    with database.write() as session:
        sequence = next_sequence(session)
        session.execute(delete(PairCount))
        tally: Tally[Verdict] = Tally()
        votes = 0
        for verdicts in _counted_verdicts(session):
            votes += 1
            tally.update(verdicts)
        add_verdicts(session, tally, sequence)
    return votes


def verdicts_of(
    mode: Mode, revision_a: int, revision_b: int, winner: Winner, criteria: Mapping[str, str]
) -> Sequence[Verdict]:
    """What one rated vote counts for: its overall verdict, and one for each criterion that was rated."""
    overall = Verdict(mode.value, revision_a, revision_b, winner)
    rated = [Verdict(mode.value, revision_a, revision_b, Winner(word), name) for name, word in criteria.items()]
    return [overall, *rated]


def _counted_verdicts(session: Session) -> Iterator[Sequence[Verdict]]:
    """The verdicts of each vote that counts, read in portions."""
    statement = (
        select(Battle.mode, Battle.revision_a, Battle.revision_b, Vote.winner, Vote.criteria)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.rated, Vote.state == VoteState.COUNTED)
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


def _insert(session: Session, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can turn into an UPDATE, in the words of the session's database."""
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if on_postgresql else sqlite.insert(table)
