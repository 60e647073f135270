"""What is lost when things go wrong: `python -m benchmarks.faults [--kills 1000] [--app-kills 20] [--battles 300]`.

1. A process that does nothing but vote, in three threads, is killed again and again in the middle of it.
2. The whole app is killed again and again while visitors play and vote through its pages.
3. One model of the roster fails three requests in ten, in seven ways: how many battles still get both answers.

Exits with 1 if an acknowledged vote was lost or doubled, or fewer than 98% of the battles were completed.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from app import build_parts
from arena.battle import Phase
from arena.config import load_settings
from arena.database import open_database
from arena.terminal import progress
from arena.voters import VoterIdentity
from benchmarks.startup import ROOT, free_port
from tests.killing import wrongs
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Fault, Recorded, Script
from tests.vote_loop import THREADS, vote_until_killed

FAULTS: list[Fault | int] = [500, 429, 503, Fault.STALL_HEADERS, Fault.STALL_FIRST, Fault.EMPTY, Fault.CUT]
VISITORS = 3
TARGET = 0.98


def main() -> int:
    """Run all three and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--app-kills", type=int, default=20)
    parser.add_argument("--battles", type=int, default=300, help="battles for each roster")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    rng = random.Random(given.seed)
    failed = kill_voters(given.kills, rng) if given.kills else False
    failed = (kill_app(given.app_kills, rng) if given.app_kills else False) or failed
    for models in (2, 3, 4) if given.battles else ():
        failed = asyncio.run(disturb(models, given.battles, rng)) or failed
    return int(failed)


def kill_voters(kills: int, rng: random.Random) -> bool:
    """Kill a voting process so often; whether anything was wrong."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/data/arena.db"
        open_database(url).close()
        acknowledged: list[str] = []
        with progress("Killing voters", sys.stderr) as bar:
            for seed in range(kills):
                acknowledged += vote_and_die(url, seed, rng.randint(1, 25))
                bar((seed + 1) / kills)
        database = open_database(url)
        found = wrongs(database, acknowledged, len(acknowledged) + kills * THREADS)
        database.close()
    took = time.perf_counter() - began
    print(f"voting process: {kills} kills in {took:.0f} s, {len(acknowledged):,} votes acknowledged: {told(found)}")
    return bool(found)


def vote_and_die(url: str, seed: int, votes: int) -> list[str]:
    """Let a child process vote until so many votes were acknowledged, kill it, and return all that were."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        vote_until_killed(url, seed)
        signal.pause()
    os.close(writing)
    with open(reading, encoding="utf-8") as acknowledged:
        lines = [acknowledged.readline() for _ in range(votes)]
        os.kill(child, signal.SIGKILL)
        lines += acknowledged.readlines()
    os.waitpid(child, 0)
    return [line.strip() for line in lines if line.endswith("\n")]


def kill_app(kills: int, rng: random.Random) -> bool:
    """Kill the whole app so often, under votes through its pages; whether anything was wrong."""
    began = time.perf_counter()
    acknowledged: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ScriptedOpenAI(default=Script("A short answer.")) as llm:
        roster(Path(folder), llm, 3)
        with progress("Killing the app", sys.stderr) as bar:
            for number in range(kills):
                play_until_killed(Path(folder), acknowledged, rng.uniform(0.05, 1.0))
                bar((number + 1) / kills)
        database = open_database(f"sqlite:///{folder}/data/arena.db")
        found = wrongs(database, acknowledged, len(acknowledged) + kills * VISITORS)
        database.close()
    took = time.perf_counter() - began
    print(f"whole app: {kills} kills in {took:.0f} s, {len(acknowledged):,} votes acknowledged: {told(found)}")
    return bool(found)


def play_until_killed(folder: Path, acknowledged: list[str], seconds: float) -> None:
    """Start the app, let visitors play and vote, and kill it so long after the first acknowledged vote."""
    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--data", str(folder / "data")]
    environment = {**os.environ, "ARENA_BATTLES_PER_MINUTE": "100000", "ARENA_PACE_CHARACTERS_PER_S": "20000"}
    process = subprocess.Popen(
        [*command, "--models", str(folder / "roster.json")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    await_start(url, process)
    first = threading.Event()
    visitors = [threading.Thread(target=play, args=(url, acknowledged, first)) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    first.wait(60)
    time.sleep(seconds)
    process.kill()
    process.wait()
    for visitor in visitors:
        visitor.join()


def await_start(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the app takes battles."""
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"the app ended with status {process.returncode} before it took battles")


def play(url: str, acknowledged: list[str], first: threading.Event) -> None:
    """Play and vote until the app is gone; note each battle whose reveal was received whole."""
    try:
        with ScriptedVisitor(url) as visitor:
            while True:
                battle = visitor.fight().battle
                if battle and "Revealed " in visitor.vote(battle):
                    acknowledged.append(battle)
                    first.set()
    except (httpx.TransportError, json.JSONDecodeError):
        return


async def disturb(models: int, battles: int, rng: random.Random) -> bool:
    """Play battles while the first model fails three requests in ten; whether too few were completed."""

    def unsteady(_: Recorded) -> Script:
        return Script("A short answer.", fault=rng.choice(FAULTS) if rng.random() < 0.3 else None, fault_after=0)

    with tempfile.TemporaryDirectory() as folder, ScriptedOpenAI(default=Script("A short answer.")) as llm:
        llm.scripts["api-0"] = unsteady
        quick = {"first_token_s": 0.5, "first_text_s": 5, "rest_s": 3, "pace_characters_per_s": 20_000}
        settings = load_settings(
            data_dir=Path(folder) / "data",
            models=roster(Path(folder), llm, models),
            battles_per_minute=1_000_000,
            **quick,
        )
        parts = build_parts(settings)
        await parts.fleet.prepare()
        refused, views = 0, []
        queue = iter(range(battles))

        async def visit(name: int) -> None:
            nonlocal refused
            for _ in queue:
                while (view := await fight(parts.arena, f"visitor-{name}")) is None:
                    refused += 1
                    await asyncio.sleep(0.2)
                views.append(view)

        await asyncio.gather(*(visit(name) for name in range(10)))
        failures = sum(sum(status.failures.values()) for status in parts.fleet.statuses())
        await parts.arena.drain(5)
        await parts.aclose()
    completed = sum(view.phase is Phase.VOTABLE for view in views) / len(views)
    print(
        f"{models} models, one failing 30%: {len(views)} battles, {failures} failed attempts, "
        f"{completed:.1%} completed, asked to wait {refused} times"
    )
    return completed < TARGET


async def fight(arena: Any, voter: str) -> Any:
    """The last view of a battle, or `None` where the arena refused it."""
    from arena.errors import BattleError

    last = None
    try:
        async for view in arena.fight("What shall I make?", VoterIdentity(voter)):
            last = view
    except BattleError:
        return None
    return last


def roster(folder: Path, llm: ScriptedOpenAI, models: int) -> Path:
    """A roster of so many models of one scripted server."""
    entries = {
        f"model-{number}": {
            "api_type": "openai",
            "api_base": llm.url,
            "api_key": "none",
            "model_name": f"api-{number}",
            "display_name": f"Revealed {number}",
        }
        for number in range(models)
    }
    file = folder / "roster.json"
    file.write_text(json.dumps(entries), encoding="utf-8")
    return file


def told(found: list[str]) -> str:
    """What was found wrong, in words."""
    return "; ".join(found) or "none lost, none doubled, counts right, file sound"


if __name__ == "__main__":
    raise SystemExit(main())
