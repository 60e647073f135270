"""A disk that is really full: `python -m benchmarks.full_disk`, on Linux, where `unshare` lets people mount one.

The app keeps its data on a small disk of its own. Visitors play and vote until that is full, are told so, and go on
once there is space again. Exit status 1 if anything was not as `docs/faults.md` says.
"""

import argparse
import errno
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from arena.outages import ADVICE, Trouble
from benchmarks.kills import PASSWORD, app, roster, wrongs_of
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Script

DISK_MB = 400
"""The arena starts where a quarter of a gigabyte is free."""
_ALONE = "--on-a-disk-of-its-own"
_SENTENCE = "The arena cannot reach its records at the moment. Please try again in a minute."


def main() -> int:
    """Fill a disk of this process's own; where none can be mounted, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(_ALONE, action="store_true", dest="alone", help=argparse.SUPPRESS)
    if parser.parse_args().alone:
        return int(fill_disk())
    return int(fill_disk_apart())


def fill_disk_apart() -> bool:
    """Do what `fill_disk` does in a process that may mount a disk; whether anything was wrong."""
    command = ["unshare", "--map-root-user", "--mount"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        print("full disk: not tried, this machine lets nobody mount one", flush=True)
        return False
    return subprocess.run([*command, sys.executable, "-m", "benchmarks.full_disk", _ALONE]).returncode != 0


def fill_disk() -> bool:
    """Mount a small disk, fill it under votes, and free it; prints what was wrong, and returns whether anything was."""
    with (
        tempfile.TemporaryDirectory() as name,
        small_disk(Path(name)) as disk,
        ScriptedOpenAI(default=Script("A short answer.")) as llm,
    ):
        models = roster(disk, llm, 3)
        with app(disk / "data", models) as (url, _), ScriptedVisitor(url) as visitor:
            told, acknowledged = play_on_it(visitor, disk)
        told += wrongs_of(f"sqlite:///{disk}/data/arena.db", acknowledged, 0)
    outcome = "; ".join(told) or "votes refused with a sentence, the operator told, all went on by itself; none lost"
    print(f"full disk: {outcome}", flush=True)
    return bool(told)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of so many megabytes, mounted there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "small", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def play_on_it(visitor: ScriptedVisitor, disk: Path) -> tuple[list[str], list[str]]:
    """Vote before, while and after the disk is full; what was not as it should be, and the battles acknowledged."""
    with httpx.Client(base_url=visitor.url, timeout=60, trust_env=False) as operator:
        operator.post("/login", data={"password": PASSWORD})
        voted, waiting = visitor.fight().battle, visitor.fight().battle
        acknowledged = [battle for battle in (voted,) if "Revealed " in visitor.vote(battle)]
        filler = fill(disk)
        refused = visitor.vote(waiting)
        new = json.dumps([heard.event for heard in visitor.fight("Nor a new one").events])
        page, ready = visitor.client.get("/"), operator.get("/readyz")
        figures = operator.get("/metrics").text
        filler.unlink()
        again = visitor.vote(waiting)
        recovered = operator.get("/readyz")
        after = visitor.fight().battle
    acknowledged += [battle for battle, said in ((waiting, again), (after, visitor.vote(after))) if "Revealed " in said]
    expected = {
        "a vote was not refused with its sentence": _SENTENCE in refused,
        "a new battle was not refused with its sentence": _SENTENCE in new,
        "the page was not served": page.status_code == httpx.codes.OK,
        "the arena said that it was ready": ready.status_code == httpx.codes.SERVICE_UNAVAILABLE,
        "the operator was not told what to do": ready.json()["database"] == ADVICE[Trouble.FULL],
        "the figures do not tell": "arena_database_works 0.0" in figures
        and re.search(r'arena_database_failures_total\{kind="full"\} [1-9]', figures) is not None,
        "the arena was not ready afterwards": recovered.status_code == httpx.codes.OK,
        "a vote was not taken afterwards": len(acknowledged) == 3,
    }
    return [wrong for wrong, right in expected.items() if not right], acknowledged


def fill(disk: Path) -> Path:
    """Write a file until nothing more can be written there."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1_000_000, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filler


if __name__ == "__main__":
    raise SystemExit(main())
