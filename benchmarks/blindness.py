"""What somebody with a script can tell before the vote: `python -m benchmarks.blindness [--battles 120]`.

Two models of very different rhythm fight through the real pages. A guesser notes everything that the server sends for a
battle (sizes, times, order and number of events, header sizes), learns from half of the battles which side the quick
model sat on, and guesses the other half. Shown are its hits, and how many a coin reaches once in ten thousand times.

- same text, common pace: what the arena promises to hide;
- same text, live pace: the same guesser where nothing is hidden;
- either text half as long, by turns, common pace: what remains. Once the shorter answer is shown to its end, the rest
  of the longer one is held until its stream has ended: a pause there tells that it was still being written. A second
  guesser looks at nothing else than which answer went on, and the longest pause.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from app import build_app
from arena.config import load_settings
from arena.tables import Battle, ModelRevision
from tests.guessing import Features, features, hits, surely_more_than_chance
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import Overheard, ScriptedVisitor
from tests.scripting import Script
from tests.serving import served

TEXT = "See what you want, look at what is, and take the step between. " * 4
QUICK: Mapping[str, Any] = {"chunk_characters": 90}
SLOW: Mapping[str, Any] = {"chunk_characters": 4, "first_delay_s": 0.2, "chunk_delay_s": 0.006}
SHORT = len(TEXT) // 2
VISITORS = 8
CASES: Sequence[tuple[str, str, int, int]] = (
    ("same text, common pace", "common", len(TEXT), len(TEXT)),
    ("same text, live pace", "live", len(TEXT), len(TEXT)),
    ("either text half as long, common pace", "common", 0, 0),
)
"""Name, pace, length of the quick and of the slow model's text; 0 and 0: either one is cut, by turns."""


def main() -> None:
    """Play every case and print its hits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--battles", type=int, default=120, help="for each case; half are learned from")
    parser.add_argument("--case", type=int, choices=range(1, len(CASES) + 1), help="only this one")
    given = parser.parse_args()
    battles = given.battles // (2 * VISITORS) * 2 * VISITORS
    logging.disable(logging.ERROR)
    print(
        f"{battles // 2} battles guessed; a coin reaches {surely_more_than_chance(battles // 2)} once in 10,000 times"
    )
    for name, pace, quick, slow in CASES if given.case is None else CASES[given.case - 1 : given.case]:
        with tempfile.TemporaryDirectory() as folder:
            seen, truth = play(Path(folder), pace, quick, slow, battles)
        half = battles // 2
        right = hits(seen[:half], truth[:half], seen[half:], truth[half:])
        by_pause = hits(seen[:half, -1:], truth[:half], seen[half:, -1:], truth[half:])
        print(f"{name}: {right} of {half} ({right / half:.0%}); by the pause alone {by_pause}", flush=True)


def play(folder: Path, pace: str, quick: int, slow: int, battles: int) -> tuple[Features, np.ndarray]:
    """What is received in so many battles, and whether the quick model sat on side A."""
    with ScriptedOpenAI(scripts(quick, slow)) as llm:
        entry = {"api_type": "openai", "api_base": llm.url, "api_key": "none"}
        roster = folder / "roster.json"
        roster.write_text(json.dumps({name: {**entry, "model_name": name} for name in ("quick", "slow")}))
        settings = load_settings(
            data_dir=folder / "data", models=roster, pace=pace, battles_per_minute=1_000_000, frames_per_s=20
        )
        app = build_app(settings)
        with served(app) as url:
            with ScriptedVisitor(url) as first:
                config, panes = first.config, first.panes()

            def visit(count: int) -> list[Overheard]:
                with ScriptedVisitor(url, config) as visitor:
                    return [visitor.fight(f"Challenge {number}") for number in range(count)]

            with ThreadPoolExecutor(VISITORS) as visitors:
                heard = [battle for some in visitors.map(visit, [battles // VISITORS] * VISITORS) for battle in some]
            with app.state.parts.database.read() as session:
                seated = [session.get_one(Battle, battle.battle).revision_a for battle in heard]
                truth = [session.get_one(ModelRevision, revision).model_id == "quick" for revision in seated]
    order = np.random.default_rng(0).permutation(len(heard))
    return np.array([features(battle, panes) for battle in heard])[order], np.array(truth)[order]


def scripts(quick: int, slow: int) -> Mapping[str, Any]:
    """How both models answer; where either text is cut, the challenge's number says which."""
    if quick and slow:
        return {"quick": Script(TEXT[:quick], **QUICK), "slow": Script(TEXT[:slow], **SLOW)}

    def cut(turn: int) -> Any:
        return lambda prompt: TEXT[:SHORT] if int(prompt.split()[-1]) % 2 == turn else TEXT

    return {"quick": Script(cut(0), **QUICK), "slow": Script(cut(1), **SLOW)}


if __name__ == "__main__":
    main()
