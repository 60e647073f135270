"""Ratings beside those of other programs: `python -m benchmarks.ratings --peers PYTHON [--votes N …] [--models K …]`.

Measures ratings with intervals from the same votes: time, peak memory of the process, largest difference in a rating
after both are centred. Our figure starts from the pair counts, since the arena keeps them with each vote; the others
start from the votes, since that is what they take. Methods take turns in one run, so that a busy moment of the machine
hits all.

The peers are no dependencies of the arena. Give them an environment of their own:

    python -m venv peers && peers/bin/pip install arena-rank evalica scikit-learn choix
    python -m benchmarks.ratings --peers peers/bin/python

`--data FILE` takes real votes instead: a CSV with `model_a`, `model_b`, `winner`, such as the human votes of
lmsys/chatbot_arena_conversations (huggingface.co; prompts CC-BY-4.0).
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORKER = Path(__file__).with_name("rating_peers.py")
ROOT = WORKER.parent.parent
PEERS = ("fastchat", "arena-rank", "evalica", "choix")
_OUTCOMES = {"model_a": 0, "model_b": 1, "tie": 2, "both_bad": 2, "tie (bothbad)": 2}


@dataclass(frozen=True, slots=True)
class Result:
    """What one method needed and found; `seconds` NaN where it did not finish."""

    seconds: float
    peak_mb: float
    rating: NDArray[np.float64]


def main() -> None:
    """Print a table: one line for each method, number of models and number of votes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python that has arena-rank, evalica, scikit-learn and choix")
    parser.add_argument("--votes", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--models", type=int, nargs="+", default=[4, 20])
    parser.add_argument("--methods", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--bootstrap", type=int, default=10, help="rounds of FastChat's that are run, of 100")
    parser.add_argument("--limit", type=int, default=200, help="the processor's seconds for one method on one set")
    parser.add_argument("--data", type=Path, help="real votes instead of drawn ones")
    given = parser.parse_args()
    print("| models | votes | method | seconds | times ours | peak MB | largest difference, points |")
    print("| --: | --: | --- | --: | --: | --: | --: |")
    methods = given.methods if given.peers else ()
    with tempfile.TemporaryDirectory() as folder:
        for path, models, votes in files(Path(folder), given.data, given.models, given.votes):
            ours = run("arena", sys.executable, path, given)
            show("arena", ours, ours, models, votes)
            for name in methods:
                theirs = run(name, given.peers, path, given)
                again = run("arena", sys.executable, path, given)
                show(name, theirs, again, models, votes)


def files(
    folder: Path, data: Path | None, models: Sequence[int], votes: Sequence[int]
) -> Iterator[tuple[Path, int, int]]:
    """Each set of votes as a file, with its number of models and of votes."""
    path = folder / "votes.npz"
    if data:
        with data.open(encoding="utf-8", newline="") as file:
            rows = [(row["model_a"], row["model_b"], _OUTCOMES[row["winner"]]) for row in csv.DictReader(file)]
        names = sorted({name for row in rows for name in row[:2]})
        first, second = (np.array([names.index(row[side]) for row in rows]) for side in (0, 1))
        np.savez(path, first=first, second=second, outcome=np.array([row[2] for row in rows]), models=len(names))
        yield path, len(names), len(rows)
        return
    for n in models:
        for total in votes:
            np.savez(path, **draw(n, total), models=n)  # type: ignore[arg-type]
            yield path, n, total


def draw(models: int, votes: int) -> dict[str, NDArray[np.int64]]:
    """Votes on uniformly drawn pairs of models whose strengths spread as on public boards; a fifth are ties."""
    chance = np.random.default_rng(models)
    strength = chance.normal(0, 0.8, models)
    first = chance.integers(models, size=votes)
    second = (first + 1 + chance.integers(models - 1, size=votes)) % models
    lost = chance.random(votes) > 1 / (1 + np.exp(strength[second] - strength[first]))
    return {"first": first, "second": second, "outcome": np.where(chance.random(votes) < 0.2, 2, lost.astype(np.int64))}


def run(name: str, python: str, path: Path, given: argparse.Namespace) -> Result:
    """One method in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    command = [python, str(WORKER), name, str(path), str(given.bootstrap)]
    limited = partial(resource.setrlimit, resource.RLIMIT_CPU, (given.limit, given.limit))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=limited)
    if done.returncode:
        print(name, *done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return Result(np.nan, np.nan, np.zeros(0))
    found = json.loads(done.stdout.strip().splitlines()[-1])
    seconds = found["seconds"] * (100 / given.bootstrap if name == "fastchat" else 1)
    return Result(seconds, found["peak_mb"], np.array(found["rating"]))


def show(name: str, result: Result, ours: Result, models: int, votes: int) -> None:
    """One line of the table."""
    if np.isnan(result.seconds):
        print(f"| {models} | {votes:,} | {name} | – | – | – | – |", flush=True)
        return
    difference = np.nanmax(np.abs(result.rating - ours.rating))
    print(
        f"| {models} | {votes:,} | {name} | {result.seconds:.4g} | {result.seconds / ours.seconds:,.0f} | "
        f"{result.peak_mb:.0f} | {difference:.2g} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
