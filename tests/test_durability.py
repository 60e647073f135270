import random
import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select, text

from arena.counts import rebuild_counts
from arena.database import Database, open_database
from arena.tables import Battle, BattleState, PairCount, Vote

KILLS = 5
HERE = Path(__file__).resolve().parent.parent


def _vote_until_killed(url: str, seed: int, rng: random.Random) -> list[str]:
    """Let a process vote, kill it in the middle, and return the battles whose votes it had acknowledged."""
    command = [sys.executable, "-m", "tests.vote_loop", url, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = [process.stdout.readline() for _ in range(rng.randint(5, 40))]
        process.kill()
        told += process.stdout.readlines()
        assert process.stderr.read() == ""
    return [line.strip() for line in told if line.endswith("\n")]


def _counts(database: Database) -> list[tuple[object, ...]]:
    columns = [column for column in PairCount.__table__.columns if column.name != "sequence"]
    with database.read() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(*columns[:4]))]


def test_a_killed_process_loses_no_acknowledged_vote_and_counts_none_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'arena.db'}"
    open_database(url).close()
    rng = random.Random()
    acknowledged: list[str] = []

    for seed in range(KILLS):
        acknowledged += _vote_until_killed(url, seed, rng)

    database = open_database(url)
    with database.read() as session:
        voted = list(session.scalars(select(Vote.battle_id)))
        states = select(Battle.id).where(Battle.state == BattleState.VOTED)
        assert set(acknowledged) <= set(voted)
        assert len(voted) == len(set(voted)) <= len(acknowledged) + KILLS * 3
        assert set(session.scalars(states)) == set(voted)
        assert session.scalar(select(func.count(Vote.sequence.distinct()))) == len(voted)
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    kept = _counts(database)
    assert rebuild_counts(database) == len(voted)
    assert _counts(database) == kept
    database.close()
