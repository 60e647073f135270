"""What a second arena costs: processor time for each battle, of one and of two replicas, on PostgreSQL behind nginx.

    python -m benchmarks.replicas                        # three rounds, 20 battles at once for one
    python -m benchmarks.replicas --rounds 1 --at-once 40

Three cases take turns: one replica, two that share as many visitors, and two that have as many each. Every arena runs
on one core and everything else on the others, where the machine has two. Needs nginx and PostgreSQL's server programs.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import stream
from benchmarks.load_site import Measured, cores, free_port, running
from benchmarks.steady_server import FIRST_TICKS, TICK_S
from tests.databases import create
from tests.postgres_server import MISSING, private_postgres
from tests.replica_fixtures import SECRETS, nginx

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE_S = 5.0
_HEAD = (
    "replicas  at once  battles  incomplete  frames a battle   CPU a battle, ms: arenas  nginx  PostgreSQL   "
    "idle arenas, ms a second"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What runs: the arenas, and who works for them."""

    arenas: Sequence[Measured]
    nginx: Measured
    postgres: Measured

    def cpu_s(self) -> tuple[float, float, float]:
        """Seconds of processor time so far: arenas, nginx, PostgreSQL."""
        return sum(arena.cpu_s() for arena in self.arenas), family_s(self.nginx.pid), family_s(self.postgres.pid)


def family_s(pid: int) -> float:
    """Seconds of processor time so far of a process and all that it has started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S + sum(family_s(int(child)) for child in children)


@contextmanager
def site(folder: Path, replicas: int, tokens: int) -> Iterator[Site]:
    """Arenas on a database of their own, and nginx before them, over a platform that streams 60 tokens a second."""
    measured_on, others = cores_of_all()
    with ExitStack() as stack:
        socket = stack.enter_context(private_postgres())
        if socket is None:
            raise SystemExit(MISSING)
        steady = free_port()
        command = ["-m", "benchmarks.steady_server", "--port", str(steady), "--tokens", str(tokens)]
        stack.enter_context(running(command, steady, "/v1/models/steady", others))
        entry = {"api_type": "openai", "api_key": "none", "api_base": f"http://127.0.0.1:{steady}/v1"}
        roster = folder / "roster.json"
        roster.write_text(json.dumps({name: {**entry, "model_name": name} for name in ("east", "west")}))
        settings = {
            **SECRETS,
            "ARENA_DATABASE_URL": create(socket, "arena"),
            "ARENA_MODELS": str(roster),
            "ARENA_BATTLES_PER_MINUTE": "1000000",
            "ARENA_FORWARDED_HOPS": "1",
        }
        arenas = []
        for number in range(replicas):
            port = free_port()
            command = ["app.py", "--port", str(port), "--data", str(folder / str(number))]
            arenas.append(stack.enter_context(running(command, port, "/readyz", measured_on, settings)))
        address, process = stack.enter_context(nginx(folder / "nginx", [f"127.0.0.1:{a.port}" for a in arenas]))
        postmaster = int((socket / "data" / "postmaster.pid").read_text().split()[0])
        yield Site(arenas, Measured(process.pid, int(address.rpartition(":")[2])), Measured(postmaster, 0))


def cores_of_all() -> tuple[set[int], set[int]]:
    """The core of the arenas and those of everything else, whatever this process is bound to now."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    split = cores()
    os.sched_setaffinity(0, split[1])
    return split


def measure(replicas: int, at_once: int, given: argparse.Namespace) -> float:
    """Run one row of the table and print it; milliseconds of the arenas' processor time for each battle."""
    battle_s = (FIRST_TICKS + given.tokens) * TICK_S
    with tempfile.TemporaryDirectory() as folder, site(Path(folder), replicas, given.tokens) as measured:
        asyncio.run(stream(measured.nginx, at_once, 0, battle_s, "", 0))  # what is done once, is done
        before = measured.cpu_s()
        time.sleep(_IDLE_S)
        idle = (measured.cpu_s()[0] - before[0]) / _IDLE_S * 1000
        before = measured.cpu_s()
        row = asyncio.run(stream(measured.nginx, at_once, given.seconds, battle_s, "", 0))
        spent = [after - earlier for earlier, after in zip(before, measured.cpu_s(), strict=True)]
    seen = [*row.ended, *row.others]
    incomplete = sum(not w.complete or w.vote is None for w in seen)
    frames = sum(w.frames for w in seen) / len(seen)  # a core that is too busy draws fewer, and each costs
    arenas, proxy, postgres = (1000 * s / len(seen) for s in spent)
    print(
        f"{replicas:>8}  {at_once:>7}  {len(seen):>7}  {incomplete:>10}  {frames:>15.0f}  "
        f"{arenas:>24.1f}  {proxy:>5.1f}  {postgres:>10.1f}  {idle:>25.1f}",
        flush=True,
    )
    return arenas


def main() -> None:
    """Let one and two replicas take turns, and tell how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=20, help="visitors of one replica")
    parser.add_argument("--seconds", type=float, default=15, help="how long each row lasts")
    parser.add_argument("--tokens", type=int, default=300, help="tokens of an answer, 60 a second")
    given = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}\n{_HEAD}")
    cases = [(1, given.at_once), (2, given.at_once), (2, 2 * given.at_once)]
    rounds = [[measure(replicas, at_once, given) for replicas, at_once in cases] for _ in range(given.rounds)]
    shared, each = (median(row[case] / row[0] for row in rounds) for case in (1, 2))
    print(
        f"two replicas over one: {shared:.2f} with as many visitors in all, {each:.2f} with as many each "
        f"(median of {given.rounds}); load average {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
