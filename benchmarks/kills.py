"""Processes killed in the middle of votes: what `python -m benchmarks.faults` does to voters and to the whole app."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from arena.database import open_database
from arena.terminal import progress
from benchmarks.startup import ROOT, free_port
from tests.killing import wrongs
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Script
from tests.vote_loop import THREADS, vote_until_killed

PASSWORD = "a password of this benchmark only, nobody's"
VISITORS = 3
MODELS = 3
START_S = 300.0
"""A start takes seconds; on a machine that does everything else first, minutes."""
LOOK_S = 0.1


def kill_voters(kills: int, rng: random.Random) -> bool:
    """Kill a process that does nothing but vote so often; whether anything was wrong."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/data/arena.db"
        open_database(url).close()
        acknowledged: list[str] = []
        with progress("Killing voters", sys.stderr) as bar:
            for seed in range(kills):
                acknowledged += vote_and_die(url, seed, rng.randint(1, 25))
                bar((seed + 1) / kills)
        found = wrongs_of(url, acknowledged, kills * THREADS)
    report("voting process", kills, began, acknowledged, found)
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
    with tempfile.TemporaryDirectory() as name, ScriptedOpenAI(default=Script("A short answer.")) as llm:
        folder = Path(name)
        models = roster(folder, llm, MODELS)
        with progress("Killing the app", sys.stderr) as bar:
            for number in range(kills):
                acknowledged += play_until_killed(folder, models, rng.uniform(0.05, 1.0))
                bar((number + 1) / kills)
        found = wrongs_of(f"sqlite:///{folder}/data/arena.db", acknowledged, kills * VISITORS)
    report("whole app", kills, began, acknowledged, found)
    return bool(found)


def play_until_killed(folder: Path, models: Path, seconds: float) -> Sequence[str]:
    """Start the app, let visitors play and vote, kill it so long after the first acknowledged vote.

    Returns the battles whose votes were acknowledged.
    """
    acknowledged: list[str] = []
    first = threading.Event()
    with app(folder / "data", models) as (url, process):
        visitors = [threading.Thread(target=play, args=(url, acknowledged, first)) for _ in range(VISITORS)]
        for visitor in visitors:
            visitor.start()
        voted = first.wait(START_S)
        time.sleep(seconds)
        process.kill()
        for visitor in visitors:
            visitor.join()
    if not voted:
        raise SystemExit(f"no visitor could vote within {START_S:.0f} s")
    return acknowledged


@contextmanager
def app(data: Path, models: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The app with short answers and no limits, from when it takes battles; killed at the end if it still runs."""
    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--data", str(data), "--models", str(models)]
    environment = {
        **os.environ,
        "ARENA_BATTLES_PER_MINUTE": "100000",
        "ARENA_PACE_CHARACTERS_PER_S": "20000",
        "ARENA_ADMIN_PASSWORD": PASSWORD,
    }
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            await_start(url, process)
            yield url, process
        finally:
            process.kill()


def await_start(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the app takes battles, leaving the processor to it."""
    deadline = time.monotonic() + START_S
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get("/readyz").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(LOOK_S)
    ended = "still starts" if process.poll() is None else f"ended with status {process.returncode}"
    raise SystemExit(f"the app takes no battles after {START_S:.0f} s: it {ended}")


def play(url: str, acknowledged: list[str], first: threading.Event) -> None:
    """Play and vote until the app is gone; note each battle whose reveal was received whole."""
    try:
        with ScriptedVisitor(url) as visitor:
            while True:
                battle = visitor.fight().battle
                if battle and "Revealed " in visitor.vote(battle):
                    acknowledged.append(battle)
                    first.set()
    except (httpx.HTTPError, json.JSONDecodeError):
        return


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


def wrongs_of(url: str, acknowledged: Sequence[str], unheard: int) -> Sequence[str]:
    """What is wrong with the votes in the database at `url`, `unheard` of which may never have been acknowledged."""
    database = open_database(url)
    found = wrongs(database, acknowledged, len(acknowledged) + unheard)
    database.close()
    return found


def report(what: str, kills: int, began: float, acknowledged: Sequence[str], found: Sequence[str]) -> None:
    """Print one line."""
    took = time.perf_counter() - began
    print(
        f"{what}: {kills} kills in {took:.0f} s, {len(acknowledged):,} votes acknowledged: {told(found)}",
        flush=True,
    )


def told(found: Sequence[str]) -> str:
    """What was found wrong, in words."""
    return "; ".join(found) or "none lost, none doubled, counts right, file sound"
