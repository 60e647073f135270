"""How often the 95% intervals hold the truth: `python -m benchmarks.coverage [--runs N] [--wmt FILE] [--llmfao FILE]`.

**Simulation.** Arenas with known strengths; the share of models whose interval holds the model's true rating. The true
rating is on the same scale as the estimate: 1000 at the mean weighted by the votes of that run.

**Held-out voters.** Real judgements with the judge's id. Some voters, drawn at random, make the ratings; the others
stand for everybody else. An interval for G voters is right if the next voters agree with it as far as they are sure
themselves: the share of models for which the two ratings differ by less than t sqrt(v1 + v2), with each side's own
variance and its own quantile. Plain: as if each vote were another person's; clustered: as the arena shows it.

    WMT16: github.com/cfedermann/wmt16 (cite the WMT16 findings paper): a CSV, plain or gzip, with pair, judgeID,
    model_a, model_b, winner. LLMFAO: github.com/dustalov/llmfao (CC-BY-4.0), crowd-comparisons.csv.
"""

import argparse
import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from arena.config import prepare_process

prepare_process()

import numpy as np  # noqa: E402 - the number of BLAS threads is read when numpy is imported
from numpy.typing import NDArray  # noqa: E402

from arena.clustering import Clustering, VotesByVoter, clustered  # noqa: E402
from arena.ratings import ELO_MEAN, ELO_PER_LOGIT, Counts, Fit, Inflation, fit, on_scale, rate  # noqa: E402

Floats = NDArray[np.float64]
_POINTS = {"left": 1.0, "model_a": 1.0, "right": 0.0, "model_b": 0.0, "tie": 0.5}


@dataclass(frozen=True, slots=True)
class Judgements:
    """Votes one by one, with their voters."""

    name: str
    models: int
    voter: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    points: Floats


def main() -> None:
    """Print a table for the simulations, and one for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="simulated arenas in each line")
    parser.add_argument("--splits", type=int, default=40, help="random splits of the voters in each line")
    parser.add_argument("--wmt", type=Path)
    parser.add_argument("--llmfao", type=Path)
    given = parser.parse_args()
    print("| simulated | votes | coverage |")
    print("| --- | --: | --: |")
    for name, models, votes, ties, kind in CASES:
        print(f"| {name} | {votes:,} | {simulated(models, votes, ties, kind, given.runs):.3f} |", flush=True)
    print("\n| people with tastes of their own | votes each | plain | clustered now | clustered at half the votes |")
    print("| --: | --: | --: | --: | --: |")
    for voters, each in ((10, 60), (40, 30), (200, 20)):
        plain, fresh, stale = between_looks(voters, each, given.runs)
        print(f"| {voters} | {each} | {plain:.3f} | {fresh:.3f} | {stale:.3f} |", flush=True)
    sets = [*(wmt(given.wmt) if given.wmt else ()), *(llmfao(given.llmfao) if given.llmfao else ())]
    if sets:
        print("\n| held-out voters | models | voters rating | votes each | plain | clustered |")
        print("| --- | --: | --: | --: | --: | --: |")
        results = [held_out(judgements, voters, given.splits) for judgements, voters in sets]
        print(f"\n{sum(result >= 0.9 for result in results)} of {len(results)} at least 0.90")


CASES = (
    ("4 models", 4, 30, 0.0, ""),
    ("4 models", 4, 100, 0.0, ""),
    ("4 models", 4, 300, 0.0, ""),
    ("4 models, a third ties", 4, 30, 0.33, ""),
    ("4 models, a third ties", 4, 300, 0.33, ""),
    ("20 models", 20, 1_000, 0.0, ""),
    ("20 models", 20, 10_000, 0.0, ""),
    ("20 models, a third ties", 20, 10_000, 0.33, ""),
    ("20 models, the new one of 50 votes", 20, 10_000, 0.2, "new"),
    ("4 models, the best one unbeaten", 4, 100, 0.1, "unbeaten"),
)
"""Name, models, votes, share of ties between equals, what is special; of the new model its own interval counts."""


def simulated(models: int, votes: int, ties: float, kind: str, runs: int) -> float:
    """The share of intervals that hold the truth."""
    chance = np.random.default_rng(models * votes)
    held: list[float] = []
    while len(held) < runs:
        strengths = np.sort(chance.normal(0, 0.8, models))
        if kind == "unbeaten":
            strengths[-1] = strengths[-2] + 2.0
        counts = drawn(chance, strengths, votes, ties, new=kind == "new")
        lost = counts[0][:, -1].sum() + counts[1][:, -1].sum()
        if kind == "unbeaten" and lost:
            continue
        rated = rate(*counts)
        weights = (counts[0] + counts[0].T + counts[1]).sum(axis=1)
        truth = ELO_MEAN + ELO_PER_LOGIT * (strengths - np.average(strengths, weights=weights))
        inside = (rated.low <= truth) & (truth <= rated.high)
        held.append(float(inside[-1] if kind == "new" else inside[weights > 0].mean()))
    return float(np.mean(held))


def drawn(
    chance: np.random.Generator, strengths: Floats, votes: int, ties: float, *, new: bool
) -> tuple[Counts, Counts, Counts]:
    """Counts of votes on uniformly drawn pairs; where the last model is `new`, it has 50 of them."""
    n = len(strengths)
    low, high = np.triu_indices(n - new, 1)
    amount = chance.multinomial(votes, np.full(len(low), 1 / len(low)))
    if new:
        low, high = np.append(low, np.arange(n - 1)), np.append(high, np.full(n - 1, n - 1))
        amount = np.append(amount, chance.multinomial(50, np.full(n - 1, 1 / (n - 1))))
    p = 1 / (1 + np.exp(strengths[high] - strengths[low]))
    tied = chance.binomial(amount, ties * 4 * p * (1 - p))
    # Ties take half of each side's wins away, so that the expected score stays p.
    share = ties * 4 * p * (1 - p)
    won = chance.binomial(amount - tied, (p - share / 2) / (1 - share))
    wins, even = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    wins[low, high], wins[high, low] = won, amount - tied - won
    even[low, high] = even[high, low] = tied
    return wins, even, np.zeros((n, n), np.int64)


def held_out(judgements: Judgements, voters: int, splits: int) -> float:
    """Print and return the coverage of other voters by the intervals from so many voters."""
    chance = np.random.default_rng(voters)
    everybody = np.unique(judgements.voter)
    held: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(splits):
        chosen = chance.choice(everybody, voters, replace=False)
        mine = np.isin(judgements.voter, chosen)
        sides = [(judgements, mine), (judgements, ~mine)]
        fits = [(fitted(*side), by_voter(*side)) for side in sides]
        both = np.intersect1d(fits[0][0].estimate.rated, fits[1][0].estimate.rated)
        for with_clusters, shares in held.items():
            shares.append(agreement(fits, both, with_clusters))
    plain, wide = float(np.mean(held[False])), float(np.mean(held[True]))
    each = len(judgements.voter) / len(everybody)
    print(f"| {judgements.name} | {judgements.models} | {voters} | {each:.0f} | {plain:.2f} | {wide:.2f} |", flush=True)
    return wide


def agreement(fits: Sequence[tuple[Fit, VotesByVoter]], both: NDArray[np.intp], with_clusters: bool) -> float:
    """The share of models whose two ratings, centred on the models that both have, differ by less than their noise."""
    ratings, widths = [], []
    for one, votes in fits:
        inflation = inflated(one, votes) if with_clusters else None
        rated = on_scale(one.estimate, inflation)
        ratings.append(rated.rating[both] - rated.rating[both].mean())
        widths.append((rated.high - rated.low)[both] / 2)
    return float((np.abs(ratings[0] - ratings[1]) <= np.hypot(*widths)).mean())


def inflated(one: Fit, votes: VotesByVoter) -> Inflation | None:
    """What clustering adds, as the arena applies it."""
    wide, people = clustered(one, votes)
    keys: list[tuple[int, ...]] = [(place,) for place in range(one.estimate.size)]
    places = {key: key[0] for key in keys}
    return Clustering(places, one.estimate, wide, people).inflation(keys) if people > 1 else None


def between_looks(voters: int, each: int, runs: int) -> tuple[float, float, float]:
    """Coverage where everybody has a taste of their own: plain, clustered now, clustered when half the votes were in.

    The truth is the mean taste, as a great many people's votes would show it.
    """
    chance = np.random.default_rng(voters)
    everybody = tasteful(chance, 3000, 40)
    truth = on_scale(fitted(everybody, np.ones(len(everybody.voter), bool)).estimate).rating
    held: list[list[float]] = [[], [], []]
    for _ in range(runs):
        votes = tasteful(chance, voters, each)
        every = np.ones(len(votes.voter), bool)
        early = every & (chance.random(len(every)) < 0.5)
        now = fitted(votes, every)
        then = inflated(fitted(votes, early), by_voter(votes, early))
        for shares, inflation in zip(held, (None, inflated(now, by_voter(votes, every)), then), strict=True):
            rated = on_scale(now.estimate, inflation)
            shift = rated.rating.mean() - truth.mean()
            shares.append(float(((rated.low <= truth + shift) & (truth + shift <= rated.high)).mean()))
    plain, fresh, stale = (float(np.mean(shares)) for shares in held)
    return plain, fresh, stale


def tasteful(chance: np.random.Generator, voters: int, each: int) -> Judgements:
    """Votes on 6 models by people whose tastes lie 0.6 logits around the common one."""
    n = 6
    taste = np.linspace(-0.6, 0.6, n) + 0.6 * chance.normal(size=(voters, n))
    voter = np.repeat(np.arange(voters), each)
    first = chance.integers(n, size=len(voter))
    second = (first + 1 + chance.integers(n - 1, size=len(voter))) % n
    p = 1 / (1 + np.exp(taste[voter, second] - taste[voter, first]))
    points = np.where(chance.random(len(voter)) < 0.2, 0.5, chance.random(len(voter)) < p)
    return Judgements("simulated", n, voter, first, second, points)


def fitted(judgements: Judgements, mine: NDArray[np.bool_]) -> Fit:
    """The fit of some of the judgements."""
    n = judgements.models
    wins, ties = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    first, second, points = judgements.first[mine], judgements.second[mine], judgements.points[mine]
    np.add.at(wins, (first[points == 1], second[points == 1]), 1)
    np.add.at(wins, (second[points == 0], first[points == 0]), 1)
    np.add.at(ties, (first[points == 0.5], second[points == 0.5]), 1)
    return fit(wins, ties + ties.T, np.zeros((n, n), np.int64))


def by_voter(judgements: Judgements, mine: NDArray[np.bool_]) -> VotesByVoter:
    """Some of the judgements, one by one."""
    return VotesByVoter(
        judgements.voter[mine],
        judgements.first[mine],
        judgements.second[mine],
        judgements.points[mine],
        np.ones(int(mine.sum())),
    )


def wmt(path: Path) -> Iterator[tuple[Judgements, int]]:
    """Each language pair, rated by half of its judges."""
    read = gzip.decompress if path.suffix == ".gz" else bytes
    rows = list(csv.DictReader(read(path.read_bytes()).decode().splitlines()))
    for pair in sorted({row["pair"] for row in rows}):
        mine = [row for row in rows if row["pair"] == pair]
        judgements = gathered(f"WMT16 {pair}", mine, ("judgeID", "model_a", "model_b"))
        yield judgements, len(np.unique(judgements.voter)) // 2


def llmfao(path: Path) -> Iterator[tuple[Judgements, int]]:
    """All models, rated by a growing number of workers."""
    with path.open(encoding="utf-8") as file:
        judgements = gathered("LLMFAO", list(csv.DictReader(file)), ("worker", "left", "right"))
    for voters in (8, 16, 32, 62):
        yield judgements, voters


def gathered(name: str, rows: Sequence[dict[str, str]], columns: tuple[str, str, str]) -> Judgements:
    """Rows as arrays; a model against itself is left out."""
    kept = [row for row in rows if row[columns[1]] != row[columns[2]]]
    voters, first, second = ([row[column] for row in kept] for column in columns)
    models = {model: place for place, model in enumerate(sorted({*first, *second}))}
    numbers = {voter: number for number, voter in enumerate(dict.fromkeys(voters))}
    return Judgements(
        name,
        len(models),
        np.array([numbers[voter] for voter in voters]),
        np.array([models[model] for model in first]),
        np.array([models[model] for model in second]),
        np.array([_POINTS[row["winner"]] for row in kept]),
    )


if __name__ == "__main__":
    main()
