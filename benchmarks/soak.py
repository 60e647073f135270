"""Mixed traffic on the real app for an hour: memory must become flat, and nothing may be left over.

    python -m benchmarks.soak                          # an hour
    python -m benchmarks.soak --minutes 10 --visitors 20

Two models answer over OpenAI's protocol, and a share of their requests fails in one of the ways that platforms fail in.
Visitors open the page, fight, read, vote, leave in mid-answer, or stop reading without a word. Exit status 1 if what is
printed is not good enough: completion, memory of the last third against the middle one, tasks, threads, sockets and
streams that are left over at the end.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from arena.database import open_database
from arena.tables import Battle, BattleState
from arena.terminal import progress
from benchmarks.load_site import Measured, cores, free_port, running
from benchmarks.visitor import Protocol, Visitor
from tests.databases import database_of
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Recorded, Script

_TEXT = "~First write down what you want as if it were there; then look at what is. " * 4
_FAULTS = (Fault.DROP, Fault.CUT, Fault.DROP_AT_ONCE, Fault.EMPTY, Fault.BAD_JSON, 429, 500, 503)
_LEAVES = 0.1
"""The share of visits that end in mid-answer."""
_COMPLETION = 0.98
_SETTLE_S = 90.0
"""How long after the last visitor every stream must have ended, and connections that nobody uses (kept for 75 s)."""
_STAYS = 4
"""With this seed a visitor stays to the end of a battle."""
_SAMPLES, _ROWS = 200, 20
_SPARE = 20
"""Connections that are kept for the next battle, and what runs between two battles."""
_MOST_THREADS = 40
"""What the pools of an idle arena may hold; they are never more under more visitors."""
_TELLING_S = 300.0
"""A shorter run tells nothing of memory."""
_FLAT = 0.02
_TOKEN = "a token of this benchmark only"
_BEARER = f"Bearer {_TOKEN}"


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment."""

    at_s: float
    """Since the first visitor."""
    memory_mb: float
    cpu_s: float
    threads: int
    files: int
    """Open files and sockets, the database's connections among them."""
    sockets: int
    tasks: int
    """Of its event loop."""
    streams: int
    """Open to pages."""
    running: int
    """Battles."""
    battles: int
    """Seen to their ends so far."""


@dataclass(slots=True)
class Tally:
    """What the visitors saw, and what the process took."""

    fought: int = 0
    voted: int = 0
    left: int = 0
    refused: int = 0
    samples: list[Sample] = field(default_factory=list)


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
        settings = {
            "ARENA_BATTLES_PER_MINUTE": "1000000",
            "ARENA_SECRET": "a secret of this benchmark only, nobody's",
            "ARENA_METRICS_TOKEN": _TOKEN,
            "ARENA_DATABASE_URL": database_of(folder),
        }
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
        visitor.leave()
        heart.close()


def look(process: Measured, began: float, battles: int) -> Sample:
    """Measure the process, from outside and by its own figures."""
    asked = urllib.request.Request(f"http://127.0.0.1:{process.port}/metrics", headers={"Authorization": _BEARER})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=60) as answer:
        figures = dict(re.findall(r"^(arena_\w+) ([0-9.e+]+)$", answer.read().decode(), re.MULTILINE))
    return Sample(
        at_s=time.monotonic() - began,
        memory_mb=process.memory_mb(),
        cpu_s=process.cpu_s(),
        threads=process.threads(),
        files=len(list(Path(f"/proc/{process.pid}/fd").iterdir())),
        sockets=process.sockets(),
        tasks=int(float(figures["arena_tasks"])),
        streams=int(float(figures["arena_open_streams"])),
        running=int(float(figures["arena_running_battles"])),
        battles=battles,
    )


async def soak(process: Measured, seconds: float, visitors: int) -> Tally:
    """Keep so many visitors coming for so long, after one who warms the arena up.

    The first sample is of the time before them, the last one of the time after.
    """
    tally, chance = Tally(), random.Random(5)
    protocol = await Visitor(process.port).open()
    await visit(process.port, protocol, tally, random.Random(_STAYS))
    began = time.monotonic()
    tally.samples.append(await asyncio.to_thread(look, process, began, 0))

    async def come() -> None:
        while time.monotonic() < began + seconds:
            await visit(process.port, protocol, tally, chance)

    async def watch() -> None:
        with progress("Soaking", sys.stderr) as bar:
            while (now := time.monotonic()) < began + seconds:
                bar((now - began) / seconds)
                tally.samples.append(await asyncio.to_thread(look, process, began, tally.fought))
                await asyncio.sleep(max(0.5, seconds / _SAMPLES))

    await asyncio.gather(watch(), *(come() for _ in range(visitors)))
    before, until = tally.samples[0], time.monotonic() + _SETTLE_S
    while True:
        after = await asyncio.to_thread(look, process, began, tally.fought)
        settled = not after.streams and not surplus(before, after)
        if settled or time.monotonic() >= until:
            tally.samples.append(after)
            return tally
        await asyncio.sleep(1)


def completion(folder: Path) -> tuple[int, int, int]:
    """Battles that could be voted on, those that could not, and those that nobody ended."""
    database = open_database(database_of(folder))
    try:
        with database.read() as session:
            rows = session.execute(select(Battle.state, func.count()).group_by(Battle.state)).all()
    finally:
        database.close()
    states = {state: count for state, count in rows}
    votable = states.get(BattleState.VOTABLE, 0) + states.get(BattleState.VOTED, 0)
    return votable, states.get(BattleState.VOID, 0), states.get(BattleState.RUNNING, 0)


def growth(values: Sequence[float]) -> float:
    """How much more the last third took than the middle one, as a share; medians, so that a moment counts little."""
    third = max(1, len(values) // 3)
    middle, last = values[third : 2 * third] or values, values[-third:]
    return statistics.median(last) / max(1, statistics.median(middle)) - 1


def series(samples: Sequence[Sample]) -> Iterator[str]:
    """The table of how everything went, in at most so many rows."""
    yield "minute   MB   CPU %  threads  files  sockets  tasks  streams  running  battles"
    step = max(1, math.ceil(len(samples) / _ROWS))
    before = samples[0]
    for sample in samples[::step]:
        share = (sample.cpu_s - before.cpu_s) / max(0.001, sample.at_s - before.at_s)
        yield (
            f"{sample.at_s / 60:6.1f} {sample.memory_mb:5.0f} {share:6.0%} {sample.threads:8} {sample.files:6} "
            f"{sample.sockets:8} {sample.tasks:6} {sample.streams:8} {sample.running:8} {sample.battles:8}"
        )
        before = sample


def run(seconds: float, visitors: int, faults: float) -> list[str]:
    """Soak, print what came of it, and return what is not good enough."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with soaked_arena(folder, faults) as process:
            tally = asyncio.run(soak(process, seconds, visitors))
            votable, void, running_still = completion(folder)
    share = votable / max(1, votable + void)
    print(f"{seconds / 60:.1f} minutes, {visitors} visitors at once, {faults:.0%} of requests failing")
    print(*series(tally.samples), sep="\n")
    print(f"battles {tally.fought}, votes {tally.voted}, left in mid-answer {tally.left}, refused {tally.refused}")
    print(f"completion {share:.2%} ({votable} votable, {void} void, {running_still} never ended)")
    problems = []
    problems += [f"completion is {share:.2%}"] if share < _COMPLETION else []
    problems += [f"{running_still} battles never ended"] if running_still else []
    missing = votable - tally.left - tally.voted
    problems += [f"{missing} votes are missing"] if missing > 0 else []
    return problems + left_over(tally.samples, seconds)


def surplus(before: Sample, after: Sample) -> dict[str, int]:
    """How many more there are of what there are too many of."""
    more = {name: getattr(after, name) - getattr(before, name) for name in ("tasks", "sockets", "files")}
    return {name: count for name, count in more.items() if count > _SPARE}


def left_over(samples: Sequence[Sample], seconds: float) -> list[str]:
    """Print what was there before and after the visitors; what there is too much of."""
    before, *during, after = samples
    grown = growth([sample.memory_mb for sample in during])
    for when, seen in (("before", before), ("after", after)):
        counts = f"{seen.tasks} tasks, {seen.threads} threads, {seen.sockets} sockets, {seen.files} files"
        print(f"{when} the visitors: {counts}, {seen.streams} streams")
    print(f"memory of the last third against the middle one: {grown:+.1%}")
    problems = [f"{count} {name} are left over" for name, count in surplus(before, after).items()]
    problems += [f"{after.streams} streams are open to nobody"] if after.streams else []
    problems += [f"{after.threads} threads run for nobody"] if after.threads > _MOST_THREADS else []
    problems += [f"memory still grows by {grown:.1%}"] if seconds >= _TELLING_S and grown > _FLAT else []
    return problems


def main() -> int:
    """Soak for as long as was asked; exit status 1 for a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--faults", type=float, default=0.05, help="the share of requests to the models that fail")
    given = parser.parse_args()
    problems = run(given.minutes * 60, given.visitors, given.faults)
    print("passed: memory is flat, and nothing is left over" if not problems else "failed: " + "; ".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
