"""Mixed traffic on the real app for an hour: memory must become flat, and nothing may be left over.

    python -m benchmarks.soak                          # an hour
    python -m benchmarks.soak --minutes 10 --visitors 20

Two models answer over OpenAI's protocol, and a share of their requests fails in one of the ways that platforms fail in.
Visitors open the page, fight, read, vote, leave in mid-answer, or stop reading without a word. Exit status 1 if what is
printed is not good enough: completion, memory of the last third against the middle one, threads and sockets at the end.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from arena.database import open_database
from arena.tables import Battle, BattleState
from benchmarks.load_site import Measured, cores, free_port, running
from benchmarks.visitor import Protocol, Visitor
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Recorded, Script

_TEXT = "~First write down what you want as if it were there; then look at what is. " * 4
_FAULTS = (Fault.DROP, Fault.CUT, Fault.DROP_AT_ONCE, Fault.EMPTY, Fault.BAD_JSON, 429, 500, 503)
_LEAVES = 0.1
"""The share of visits that end in mid-answer."""
_SETTLE_S = 5.0


@dataclass(slots=True)
class Tally:
    """What the visitors saw, and what the process took."""

    fought: int = 0
    voted: int = 0
    left: int = 0
    refused: int = 0
    memory_mb: list[float] = field(default_factory=list)


@contextlib.contextmanager
def soaked_arena(folder: Path, faults: float) -> Iterator[Measured]:
    """The real app over a server of which a share of requests fails before or while it answers."""
    chance = random.Random(6)

    def behave(request: Recorded) -> Script:
        del request
        fault = chance.choice(_FAULTS) if chance.random() < faults else None
        # Failures before the first text can be mended unseen; the others are the price of showing text at once.
        return Script(text=_TEXT, first_delay_s=0.2, chunk_delay_s=1 / 60, fault=fault, fault_after=0)

    measured_on, _ = cores()
    with ScriptedOpenAI(default=behave) as server:
        entry = {"api_type": "openai", "api_base": server.url, "api_key": "none"}
        roster = folder / "roster.json"
        roster.write_text(json.dumps({name: {**entry, "model_name": name} for name in ("a", "b", "c", "d")}))
        port = free_port()
        command = ["app.py", "--port", str(port), "--data", str(folder), "--models", str(roster)]
        settings = {"ARENA_BATTLES_PER_MINUTE": "1000000", "ARENA_SECRET": "a secret of this benchmark only, nobody's"}
        with running(command, port, "/readyz", measured_on, settings) as process:
            yield process


async def visit(port: int, protocol: Protocol, tally: Tally, chance: random.Random) -> None:
    """One visitor from the opened page to the closed one."""
    visitor = Visitor(port)
    await visitor.settle(protocol)
    heart = await visitor.hold()
    try:
        for _ in range(chance.randint(1, 4)):
            if chance.random() < _LEAVES:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(chance.uniform(0.05, 1.0)):
                        await visitor.fight(protocol)
                tally.left += 1
                return
            seen = await visitor.fight(protocol)
            tally.fought += 1
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            await visitor.vote(protocol, seen)
            tally.voted += seen.vote is not None
    except ConnectionError:
        tally.refused += 1
    finally:
        heart.close()


async def soak(process: Measured, seconds: float, visitors: int) -> Tally:
    """Keep so many visitors coming for so long."""
    tally, chance = Tally(), random.Random(5)
    protocol = await Visitor(process.port).open()
    until = time.monotonic() + seconds

    async def come() -> None:
        while time.monotonic() < until:
            await visit(process.port, protocol, tally, chance)

    async def look() -> None:
        while time.monotonic() < until:
            tally.memory_mb.append(process.memory_mb())
            _tell(tally, until, seconds)
            await asyncio.sleep(max(0.5, seconds / 200))

    await asyncio.gather(look(), *(come() for _ in range(visitors)))
    await asyncio.sleep(_SETTLE_S)
    return tally


def _tell(tally: Tally, until: float, seconds: float) -> None:
    if sys.stderr.isatty():
        done = 1 - (until - time.monotonic()) / seconds
        sys.stderr.write(f"\r{done:4.0%}  {tally.fought} battles, {tally.memory_mb[-1]:.0f} MB ")


def completion(folder: Path) -> tuple[int, int, int]:
    """Battles that could be voted on, those that could not, and those that nobody ended."""
    database = open_database(f"sqlite:///{folder / 'arena.db'}")
    try:
        with database.read() as session:
            rows = session.execute(select(Battle.state, func.count()).group_by(Battle.state)).all()
    finally:
        database.close()
    states = {state: count for state, count in rows}
    votable = states.get(BattleState.VOTABLE, 0) + states.get(BattleState.VOTED, 0)
    return votable, states.get(BattleState.VOID, 0), states.get(BattleState.RUNNING, 0)


def growth(memory_mb: list[float]) -> float:
    """How much more the last third took than the middle one, as a share; medians, so that a moment counts little."""
    third = max(1, len(memory_mb) // 3)
    middle, last = sorted(memory_mb[third : 2 * third] or memory_mb), sorted(memory_mb[-third:])
    return last[len(last) // 2] / middle[len(middle) // 2] - 1


def run(seconds: float, visitors: int, faults: float) -> list[str]:
    """Soak, print what came of it, and return what is not good enough."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with soaked_arena(folder, faults) as process:
            threads, sockets = process.threads(), process.sockets()
            tally = asyncio.run(soak(process, seconds, visitors))
            after = (process.threads(), process.sockets())
            votable, void, running_still = completion(folder)
    share, grown = votable / max(1, votable + void), growth(tally.memory_mb)
    print(f"\n{seconds / 60:.1f} minutes, {visitors} visitors at once, {faults:.0%} of requests failing")
    print(f"battles {tally.fought}, votes {tally.voted}, left in mid-answer {tally.left}, refused {tally.refused}")
    print(f"completion {share:.2%} ({votable} votable, {void} void, {running_still} never ended)")
    print(f"memory {tally.memory_mb[0]:.0f} MB at first, {tally.memory_mb[-1]:.0f} MB at last; last third {grown:+.1%}")
    print(f"threads {threads} before, {after[0]} after; sockets {sockets} before, {after[1]} after")
    problems = []
    problems += [f"completion is {share:.2%}"] if share < 0.98 else []
    problems += [f"{running_still} battles never ended"] if running_still else []
    problems += [f"{tally.fought - tally.voted} votes are missing"] if tally.voted < votable - tally.left else []
    problems += [f"memory still grows by {grown:.1%}"] if seconds >= 300 and grown > 0.03 else []
    problems += [f"{after[1]} sockets are open"] if after[1] > sockets + 100 else []
    return problems


def main() -> int:
    """Soak for as long as was asked; exit status 1 for a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--faults", type=float, default=0.05, help="the share of requests to the models that fail")
    given = parser.parse_args()
    problems = run(given.minutes * 60, given.visitors, given.faults)
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
