import random
import subprocess
import sys
from pathlib import Path

import pytest

from arena.database import open_database
from tests.databases import database_of
from tests.killing import wrongs
from tests.vote_loop import THREADS

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


@pytest.mark.slow
def test_a_killed_process_loses_no_acknowledged_vote_and_counts_none_twice(tmp_path: Path) -> None:
    url = database_of(tmp_path / "data")
    open_database(url).close()
    rng = random.Random()
    acknowledged: list[str] = []

    for seed in range(KILLS):
        acknowledged += _vote_until_killed(url, seed, rng)

    database = open_database(url)
    assert wrongs(database, acknowledged, len(acknowledged) + KILLS * THREADS) == []
    database.close()
