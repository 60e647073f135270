"""What counting a turn costs: `python -m benchmarks.limits`. SQLite in a temporary folder, each transaction on disk."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from arena.config import load_settings, prepare_process
from arena.database import open_database
from arena.limits import Limits
from arena.tables import Voter, new_id
from arena.voters import VoterIdentity
from arena.web.events import read_event

ROUNDS = 300


def main() -> None:
    """Print medians and 95th percentiles in milliseconds, taken in turns."""
    prepare_process()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'arena.db'}")
        limits = Limits(database, load_settings(battles_per_minute=100_000, battles_per_day=100_000, spend_per_day=1e6))
        anna = VoterIdentity("anna", "an address")

        def one_row() -> None:
            with database.write() as session:
                session.add(Voter(id=new_id()))

        works: dict[str, Callable[[], object]] = {
            "a commit of one row": one_row,
            "a turn is admitted": lambda: limits.admit(anna, 500),
        }
        largest = b'{"data": ["' + b"x" * 250_000 + b'"]}'
        works["the largest event is looked through"] = lambda: read_event(largest)
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(ROUNDS):
            for name, work in works.items():
                times[name].append(_milliseconds(work))
        database.close()
    for name, taken in times.items():
        print(
            f"{name:40} median {statistics.median(taken):6.2f} ms   95% {statistics.quantiles(taken, n=20)[-1]:6.2f} ms"
        )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
