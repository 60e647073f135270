"""How many battles the arena streams at once on one core, beside a bare relay of the same streams.

    python -m benchmarks.load                                  # 1, 10, 50, 100, 200 at once, OpenAI's protocol
    python -m benchmarks.load --platform vertex --at-once 10 50
    python -m benchmarks.load --visitors 600 --reading 20      # people who read before they vote and fight again
    python -m benchmarks.load --sessions 3000                  # memory of so many open pages

A stand-in for the platform sends 60 tokens a second to each side after 0.2 s; it, and the visitors, run on other cores
than what is measured, where the machine has two.
"""

import argparse
import asyncio
import contextlib
import os
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_site import Measured, arena, cores, free_port, running
from benchmarks.steady_server import FIRST_TICKS, TICK_S
from benchmarks.visitor import Protocol, Visitor, Watched

_TOGETHER = 20
"""So many pages are opened at a time."""

_HEAD = (
    "                              battles/s   first text added, ms   frames/s      longest   not       vote, ms     "
    "CPU of   memory  bytes a\nwhat            at once        (ideal)      p50      p99        p50  p1   gap, s    "
    "complete  p50   p99    a core       MB  frame"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of so many visitors at once, while all of them were about."""

    ended: Sequence[Watched]
    """The battles that ended in the measured time."""
    others: Sequence[Watched]
    """Those before it, while one visitor after the other came, and after it, when nobody began another."""
    seconds: float
    """The measured time."""
    cpu_s: float


async def stream(process: Measured, at_once: int, seconds: float, battle_s: float, path: str, reading: float) -> Row:
    """Let `at_once` visitors open their pages, then fight, vote and read, starting evenly over one such round.

    Measured for `seconds` from when the last of them came.
    """
    visitors = [Visitor(process.port) for _ in range(at_once)]
    protocol = Protocol(0, 0, 0, 0, 0) if path else await Visitor(process.port).open()
    for start in range(0, 0 if path else at_once, _TOGETHER):
        await asyncio.gather(*(visitor.settle(protocol) for visitor in visitors[start : start + _TOGETHER]))
    round_s = battle_s + reading
    everyone_s = time.monotonic() + round_s
    until = everyone_s + seconds
    ended: list[Watched] = []
    others: list[Watched] = []

    async def visit(number: int) -> None:
        visitor = visitors[number]
        await asyncio.sleep(round_s * number / at_once)
        while time.monotonic() < until:
            seen = await _battle(visitor, protocol, path)
            (ended if everyone_s <= time.monotonic() < until else others).append(seen)
            if reading:
                await asyncio.sleep(reading * random.uniform(0.5, 1.5))

    async def measured_cpu_s() -> float:
        await asyncio.sleep(everyone_s - time.monotonic())
        before = process.cpu_s()
        await asyncio.sleep(until - time.monotonic())
        return process.cpu_s() - before

    measuring = asyncio.create_task(measured_cpu_s())
    await asyncio.gather(*(visit(number) for number in range(at_once)))
    for visitor in visitors:
        visitor.leave()
    return Row(ended, others, seconds, await measuring)


async def _battle(visitor: Visitor, protocol: Protocol, path: str) -> Watched:
    """One battle and its vote, as far as they came."""
    seen = Watched()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await visitor.fight(protocol, path, seen)
        if not path:
            await visitor.vote(protocol, seen)
    return seen


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def measure(what: str, process: Measured, at_once: int, given: argparse.Namespace, path: str = "") -> None:
    """Run one row of the table and print it."""
    battle_s = (FIRST_TICKS + given.tokens) * TICK_S
    row = asyncio.run(stream(process, at_once, given.seconds, battle_s, path, given.reading))
    seen, every = row.ended, [*row.ended, *row.others]
    share = row.cpu_s / row.seconds
    added = [(w.first_text - FIRST_TICKS * TICK_S) * 1000 for w in seen if w.first_text is not None]
    rates = [w.frames / w.shown for w in seen if w.shown]
    votes = [w.vote * 1000 for w in seen if w.vote is not None]
    failed = sum(not (w.complete and w.first_text) for w in every)
    failed += 0 if path else sum(w.vote is None for w in every if w.complete and w.first_text)
    gap = max((w.longest_gap for w in seen), default=0.0)
    size = sum(w.size for w in seen) / max(1, sum(w.frames + 1 for w in seen))
    print(
        f"{what:<16}{at_once:>7}  {len(seen) / row.seconds:>6.1f} ({at_once / (battle_s + given.reading):>5.1f})  "
        f"{percentile(added, 0.5):>7.0f}  {percentile(added, 0.99):>7.0f}   "
        f"{percentile(rates, 0.5):>7.1f} {percentile(rates, 0.01):>4.1f}  {gap:>6.2f}  "
        f"{failed:>5}/{len(every):<5} {percentile(votes, 0.5):>5.0f} {percentile(votes, 0.99):>5.0f}  "
        f"{share:>6.0%}  {process.memory_mb():>8.0f} {size:>7.0f}",
        flush=True,
    )


async def open_sessions(process: Measured, count: int) -> None:
    """Open so many pages, keep them open, and tell what each takes."""
    protocol = await Visitor(process.port).open()
    before, held = process.memory_mb(), []
    for start in range(0, count, _TOGETHER):
        visitors = [Visitor(process.port) for _ in range(min(_TOGETHER, count - start))]
        await asyncio.gather(*(visitor.settle(protocol) for visitor in visitors))
        held += await asyncio.gather(*(visitor.hold() for visitor in visitors))
    after = process.memory_mb()
    each = (after - before) * 1024 / count
    print(f"{count} open pages: {before:.0f} MB before, {after:.0f} MB after: {each:.0f} kB each")
    for writer in held:
        writer.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 10, 50, 100, 200])
    parser.add_argument("--seconds", type=float, default=15, help="how long each row lasts")
    parser.add_argument("--tokens", type=int, default=300, help="tokens of an answer, 60 a second")
    parser.add_argument("--platform", choices=["openai", "vertex", "mixed"], default="openai")
    parser.add_argument("--visitors", type=int, help="people who read between battles, instead of --at-once")
    parser.add_argument("--reading", type=float, default=0.0, help="seconds that each reads, on average")
    parser.add_argument("--sessions", type=int, help="measure the memory of so many open pages, and nothing else")
    parser.add_argument("--max-battles", type=int, default=200)
    return parser.parse_args()


def main() -> None:
    """Measure what was asked for."""
    given = _arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    measured_on, others = cores()
    os.sched_setaffinity(0, others)
    print(f"measured on core {measured_on}, everything else on {others}; load average {os.getloadavg()[0]:.1f}")
    settings = {"ARENA_MAX_BATTLES": str(given.max_battles)}
    os.sched_setaffinity(0, measured_on | others)
    with (
        tempfile.TemporaryDirectory() as folder,
        arena(Path(folder), given.platform, given.tokens, settings) as (process, steady),
    ):
        os.sched_setaffinity(0, others)
        if given.sessions:
            asyncio.run(open_sessions(process, given.sessions))
            return
        print(_HEAD)
        rows = [given.visitors] if given.visitors else given.at_once
        port = free_port()
        command = ["-m", "benchmarks.bare_relay", "--port", str(port)]
        floor = running(command, port, "/", measured_on, {"STEADY_PORT": str(steady)})
        with floor as relay:
            for at_once in rows:
                measure("bare relay", relay, at_once, given, "/relay")
                measure(f"arena, {given.platform}", process, at_once, given)


if __name__ == "__main__":
    main()
