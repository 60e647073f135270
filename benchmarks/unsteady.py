"""One model of the roster fails three requests in ten: how many battles still get both answers.

    python -m benchmarks.unsteady [--battles 300] [--seed 1]

First in a mixture of seven ways, with rosters of 2, 3 and 4 models. Then in every way that a platform can fail in, one
after the other: before the first text, when another try or another model can mend it unseen, and after some text, when
nothing can. Exits with 1 if fewer than 98% of the battles of a mixture, or of those mendable, were completed.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arena.battle import Arena, BattleView, Phase
from arena.config import load_settings
from arena.errors import BattleError
from arena.parts import build_parts
from arena.terminal import progress
from arena.voters import VoterIdentity
from benchmarks.kills import roster
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Recorded, Script

SHARE = 0.3
TARGET = 0.98
MIXED: Sequence[Fault | int] = (500, 429, 503, Fault.STALL_HEADERS, Fault.STALL_FIRST, Fault.EMPTY, Fault.CUT)
IN_MID_STREAM = (Fault.STALL_MIDWAY, Fault.CUT, Fault.DROP, Fault.BAD_JSON, Fault.BAD_UTF8, Fault.ERROR_EVENT)
EVERY: Sequence[Fault | int] = (400, 401, 403, 404, 429, 500, 503, *Fault)
TEXT = "A short answer in a dozen words, so that a stream can break in it."
VISITORS = 10
WORDS_BEFORE = 4
QUICK = {
    "first_token_s": 0.5,
    "first_text_s": 5,
    "silence_s": 2.5,
    "rest_s": 3,
    "pace_characters_per_s": 20_000,
    "battles_per_minute": 1_000_000,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the battles."""

    views: Sequence[BattleView]
    failures: int
    """Failed attempts."""
    refused: int
    """How often a visitor was asked to come back later, because too few models were left."""

    @property
    def completed(self) -> float:
        """Share of the battles that can be voted on."""
        return sum(view.phase is Phase.VOTABLE for view in self.views) / len(self.views)


def disturb(battles: int, rng: random.Random) -> bool:
    """Do all of it, with so many battles a mixture; whether too few were completed."""
    poor = False
    for models in (2, 3, 4):
        outcome = asyncio.run(play(models, battles, lambda: Script(TEXT, fault=rng.choice(MIXED), fault_after=0), rng))
        poor = poor or outcome.completed < TARGET
        print(
            f"{models} models, one failing 30%: {len(outcome.views)} battles, {outcome.failures} failed attempts, "
            f"{outcome.completed:.1%} completed, asked to wait {outcome.refused} times",
            flush=True,
        )
    return one_by_one(max(10, battles // 10), rng) or poor


def one_by_one(battles: int, rng: random.Random) -> bool:
    """Every way to fail, with so many battles each; whether too few of the mendable ones were completed."""
    mended: dict[str, Outcome] = {}
    shown: dict[str, Outcome] = {}
    ways = [(fault, 0, mended) for fault in EVERY] + [(fault, WORDS_BEFORE, shown) for fault in IN_MID_STREAM]
    with progress("Every fault", sys.stderr) as bar:
        for number, (fault, after, kept) in enumerate(ways):
            script = Script(TEXT, fault=fault, fault_after=after, chunk_delay_s=0.01 if after else 0)
            kept[str(fault)] = asyncio.run(play(3, battles, lambda script=script: script, rng))  # type: ignore[misc]
            bar((number + 1) / len(ways))
    whole = all_of(mended)
    print(f"each of {len(mended)} faults before the first text, 3 models: {whole:.1%} of {battles} each completed")
    print(f"    {told(mended)}")
    print(f"each of {len(shown)} faults after some text, where a battle may end void: {all_of(shown):.1%} completed")
    print(f"    {told(shown)}", flush=True)
    return whole < TARGET


def all_of(outcomes: dict[str, Outcome]) -> float:
    """The share completed of all, which are equally many of each."""
    return sum(outcome.completed for outcome in outcomes.values()) / len(outcomes)


def told(outcomes: dict[str, Outcome]) -> str:
    """Each fault with its share completed."""
    return ", ".join(f"{fault} {outcome.completed:.0%}" for fault, outcome in outcomes.items())


async def play(models: int, battles: int, failing: Callable[[], Script], rng: random.Random) -> Outcome:
    """Play battles of several visitors while the first model answers three requests in ten as `failing` says."""

    def unsteady(_: Recorded) -> Script:
        return failing() if rng.random() < SHARE else Script(TEXT)

    with tempfile.TemporaryDirectory() as name, ScriptedOpenAI(default=Script(TEXT)) as llm:
        folder = Path(name)
        parts = build_parts(load_settings(data_dir=folder / "data", models=roster(folder, llm, models), **QUICK))
        await parts.fleet.prepare()
        llm.scripts["api-0"] = unsteady
        refused, views = 0, []
        queue = iter(range(battles))

        async def visit(voter: VoterIdentity) -> None:
            nonlocal refused
            for _ in queue:
                while (view := await fight(parts.arena, voter)) is None:
                    refused += 1
                    await asyncio.sleep(0.2)
                views.append(view)

        await asyncio.gather(*(visit(VoterIdentity(f"visitor-{number}")) for number in range(VISITORS)))
        failures = sum(sum(status.failures.values()) for status in parts.fleet.statuses())
        await parts.arena.drain(5)
        await parts.aclose()
    return Outcome(views, failures, refused)


async def fight(arena: Arena, voter: VoterIdentity) -> BattleView | None:
    """The last view of a battle, or `None` where the arena refused it."""
    last = None
    try:
        async for view in arena.fight("What shall I make?", voter):
            last = view
    except BattleError:
        return None
    return last


def main() -> int:
    """Disturb; exit status 1 if too few battles were completed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--battles", type=int, default=300, help="battles for each roster; a tenth for each fault")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    return int(disturb(given.battles, random.Random(given.seed)))


if __name__ == "__main__":
    raise SystemExit(main())
