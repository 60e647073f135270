"""From a vote's commit to the new standings, through the database: `python -m benchmarks.standings [--votes N] …`.

Fills a fresh SQLite file and a private PostgreSQL server with pair counts worth `--votes` votes, then commits one vote
at a time and asks a running leaderboard for its standings: the clock runs from the commit to standings with ratings,
intervals and rank intervals in hand. Intervals are widened by clustering as in a running arena: some thousand of the
votes are there with their voters. Also the first table of a new process' leaderboard, and by how much standings kept
current vote by vote differ from standings computed afresh.
"""

import argparse
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arena.config import prepare_process

prepare_process()

import numpy as np  # noqa: E402 - the number of BLAS threads is read when numpy is imported
from sqlalchemy import insert  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from arena.counts import add_verdict, next_sequence  # noqa: E402
from arena.database import Database, open_database  # noqa: E402
from arena.leaderboard import Leaderboard, Standings  # noqa: E402
from arena.stamps import VOTES  # noqa: E402
from arena.tables import (  # noqa: E402
    Battle,
    BattleState,
    Conversation,
    ConversationKind,
    Counter,
    Mode,
    ModelRevision,
    PairCount,
    Vote,
    Voter,
    Winner,
)
from benchmarks.made_up import revision_row  # noqa: E402
from tests.databases import create  # noqa: E402
from tests.postgres_server import private_postgres  # noqa: E402

KNOWN_VOTES = 4_000
"""Votes that are there in full, by a tenth as many people."""


def main() -> None:
    """Measure each database at each number of models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[20, 100, 300])
    parser.add_argument("--votes", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    print(f"{'':31}after a vote, ms                first table   drift")
    print("database    models       votes  median     p90    best     CPU     ms    CPU   points", flush=True)
    with tempfile.TemporaryDirectory() as folder, private_postgres() as postgres:
        for models in given.models:
            report("SQLite", open_database(f"sqlite:///{Path(folder) / f'{models}.db'}"), models, given)
            if postgres:
                report("PostgreSQL", open_database(create(postgres, f"arena_{models}")), models, given)


def report(name: str, database: Database, models: int, given: argparse.Namespace) -> None:
    """Fill, measure and print one line."""
    chance = random.Random(models)
    revisions = fill(database, models, given.votes)
    settled(Leaderboard(database))  # loads scipy, once in a process
    first, first_cpu = [], []
    for _ in range(9):
        board = Leaderboard(database)
        spent = time.thread_time()
        first.append(clocked(board)[0])
        first_cpu.append((time.thread_time() - spent) * 1000)
        settled(board)
    after, processor = [], []
    for _ in range(given.rounds):
        a, b = chance.sample(revisions, 2)
        winner = chance.choice(list(Winner))
        with database.write() as session:
            sequence = next_sequence(session)
            add_verdict(session, scope="battle", revision_a=a, revision_b=b, winner=winner, sequence=sequence)
            _store(session, [_KnownVote(sequence, a, b, "voter-0", winner)])
        spent = time.thread_time()
        after.append(clocked(board)[0])
        processor.append((time.thread_time() - spent) * 1000)
    drift = difference(board.standings(), Leaderboard(database).standings(), board)
    database.close()
    p90 = statistics.quantiles(after, n=10)[-1]
    print(
        f"{name:10}  {models:6}  {given.votes:10,}  {statistics.median(after):6.2f}  {p90:6.2f}  {min(after):6.2f}  "
        f"{statistics.median(processor):6.2f}  {statistics.median(first):5.0f}  {statistics.median(first_cpu):5.0f}  "
        f"{drift:.0e}",
        flush=True,
    )


def settled(board: Leaderboard) -> None:
    """Wait until the voters are counted in the background: the next clock would run against it."""
    while board.standings().clustered_at is None:
        time.sleep(0.01)


def clocked(board: Leaderboard) -> tuple[float, Standings]:
    """Milliseconds until the standings are there."""
    began = time.perf_counter()
    standings = board.standings()
    return (time.perf_counter() - began) * 1000, standings


def difference(live: Standings, afresh: Standings, board: Leaderboard) -> float:
    """The largest difference in a rating between standings kept current and computed afresh."""
    again = {row.revision_id: row.rating for row in afresh.rows}
    return max(abs((row.rating or 0.0) - (again[row.revision_id] or 0.0)) for row in live.rows)


def fill(database: Database, models: int, votes: int) -> list[int]:
    """Models, the counts of so many votes between every pair of them, and a few thousand votes with their voters."""
    chance = np.random.default_rng(models)
    strengths = chance.normal(0, 0.8, models)
    with database.write() as session:
        session.execute(insert(ModelRevision), [revision_row(number) for number in range(models)])
        session.add(Counter(name=VOTES, value=KNOWN_VOTES))
    low, high = np.triu_indices(models, 1)
    each = votes // len(low)
    wins = 1 / (1 + np.exp(strengths[high] - strengths[low]))
    drawn = [chance.multinomial(each, (0.75 * p, 0.75 * (1 - p), 0.15, 0.10)).tolist() for p in wins]
    rows = [
        {
            "scope": "battle",
            "criterion": "",
            "revision_low": int(i) + 1,
            "revision_high": int(j) + 1,
            **dict(zip(("wins_low", "wins_high", "ties", "both_bad"), counts, strict=True)),
            "sequence": KNOWN_VOTES,
        }
        for i, j, counts in zip(low, high, drawn, strict=True)
    ]
    with database.write() as session:
        session.execute(insert(PairCount), rows)
        _add_known_votes(session, chance, models)
    return list(range(1, models + 1))


@dataclass(frozen=True)
class _KnownVote:
    sequence: int
    a: int
    b: int
    voter: str
    winner: Winner


def _add_known_votes(session: Session, chance: np.random.Generator, models: int) -> None:
    session.execute(insert(Voter), [{"id": f"voter-{n}"} for n in range(KNOWN_VOTES // 10)])
    votes = []
    for n in range(KNOWN_VOTES):
        a, b = (int(x) + 1 for x in chance.choice(models, 2, replace=False))
        voter = f"voter-{int(chance.integers(KNOWN_VOTES // 10))}"
        votes.append(_KnownVote(n + 1, a, b, voter, list(Winner)[int(chance.integers(4))]))
    _store(session, votes)


def _store(session: Session, votes: Sequence[_KnownVote]) -> None:
    """The votes with their battles."""
    conversations = [{"id": f"c{v.sequence}", "kind": ConversationKind.BATTLE, "voter_id": v.voter} for v in votes]
    battles = [
        {
            "id": f"b{v.sequence}",
            "conversation_id": f"c{v.sequence}",
            "voter_id": v.voter,
            "mode": Mode.BATTLE,
            "state": BattleState.VOTED,
            "revision_a": v.a,
            "revision_b": v.b,
            "question": "",
            "question_version": "1",
        }
        for v in votes
    ]
    given = [
        {
            "battle_id": f"b{v.sequence}",
            "winner": v.winner,
            "turn": 1,
            "voter_id": v.voter,
            "rated": True,
            "sequence": v.sequence,
        }
        for v in votes
    ]
    for table, rows in ((Conversation, conversations), (Battle, battles), (Vote, given)):
        session.execute(insert(table), rows)


if __name__ == "__main__":
    main()
