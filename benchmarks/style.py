"""How long style control takes to fit, and how often its intervals hold: `python -m benchmarks.style [--rounds N]`.

Votes of 20 models are simulated with known coefficients, ties among them. Measured: arranging all votes by pair and the
exact fit of strengths and style on them, with intervals, as after a restart; then, as after a thousandth of new votes,
putting these among the others and fitting all again. Beside what came out. One BLAS thread, as in the arena. Then
simulated arenas of few people with tastes of their own: how often the intervals hold what everybody thinks.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from arena.config import prepare_process

prepare_process()

import numpy as np  # noqa: E402 - after the threads of its libraries are set

from arena.ratings import ELO_PER_LOGIT, rate  # noqa: E402
from arena.style_control import rate_by_style  # noqa: E402
from arena.style_votes import FEATURES, StyleVotes, arrange, together  # noqa: E402

TRUE = (0.45, 0.1, -0.2, 0.0)
"""Log-odds for each standard deviation of difference in characters, headings, lists, bold."""

TASTE = 0.6
"""How far, in logits, people's liking of each model and each feature lies from the common one."""


@dataclass(frozen=True)
class Votes:
    """A simulated arena."""

    theta: np.ndarray
    a: np.ndarray
    b: np.ndarray
    score: np.ndarray
    style_a: np.ndarray
    style_b: np.ndarray
    voter: np.ndarray


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--runs", type=int, default=200, help="simulated arenas for each line of the coverage")
    given = parser.parse_args()
    warm_up()
    print(f"{'from nothing':>27}{'after a thousandth of new votes':>36}")
    true = ", ".join(f"{beta:+.2f}" for beta in TRUE)
    print(f"    votes  arrange      fit       add    refit  in all   coefficients (true: {true})")
    for amount in (1_000, 10_000, 100_000, 1_000_000):
        report(amount, given.models, given.rounds)
    print("\npeople  votes each  coefficients held  ratings held  both, each vote taken for another person's")
    for people, each in ((10, 60), (40, 30), (200, 20)):
        worth, ratings, plain = coverage(people, each, TASTE, given.runs)
        print(f"{people:6}  {each:10}  {worth:17.3f}  {ratings:12.3f}  {plain:10.3f}")


def report(amount: int, models: int, rounds: int) -> None:
    """Print one line."""
    votes = simulate(amount, models, seed=1)
    ready = arranged(votes, models)
    most = arranged(part_of(votes, slice(amount // 1000, None)), models)
    newest = arranged(part_of(votes, slice(amount // 1000)), models)
    before = rate_by_style(most)
    arranging = median_ms(rounds, lambda: arranged(votes, models))
    fit = median_ms(rounds, lambda: rate_by_style(ready))
    add = median_ms(rounds, lambda: together(most, newest))
    refit = median_ms(rounds, lambda: rate_by_style(ready, before))
    found = rate_by_style(ready)
    coefficients = ", ".join(f"{effect.coefficient:+.3f}" for effect in found.effects)
    truth = votes.theta - np.average(votes.theta, weights=votes_of_each(votes))
    worst = np.abs((found.rating - 1000) - ELO_PER_LOGIT * truth).max()
    print(
        f"{amount:9,} {arranging:6.1f} ms {fit:6.1f} ms {add:6.1f} ms {refit:6.1f} ms {add + refit:4.0f} ms  "
        f"{coefficients}; largest error {worst:.1f} points",
        flush=True,
    )


def simulate(
    amount: int,
    models: int,
    seed: int,
    true: tuple[float, ...] = TRUE,
    people: int = 0,
    taste: float = 0.0,
    world: int | None = None,
) -> Votes:
    """Answers of which each model has a length and a manner of its own, and votes that depend on both.

    The votes are by `people` (0: a tenth as many as votes), each of whom likes models and style otherwise by `taste`
    logits. The same `world` has the same models.
    """
    makers = np.random.default_rng(seed if world is None else world)
    theta = makers.normal(0, 0.6, models)
    theta -= theta.mean()
    manner = makers.lognormal(0, 0.5, (len(FEATURES), models)) * np.array([[1500], [3], [8], [5]])
    rng = np.random.default_rng([seed, people])
    a = rng.integers(0, models, amount)
    b = (a + rng.integers(1, models, amount)) % models
    style_a, style_b = (
        np.floor(manner[:, side] * rng.lognormal(0, 0.7, (len(FEATURES), amount))).astype(np.float32) for side in (a, b)
    )
    difference = (style_a - style_b) / np.maximum(style_a + style_b, 1)
    difference /= np.sqrt((difference**2).mean(axis=1, keepdims=True))
    people = people or max(amount // 10, 1)
    voter = rng.integers(0, people, amount)
    liked, leaning = (taste * rng.normal(size=(people, width)) for width in (models, len(FEATURES)))
    gap = theta[a] - theta[b] + liked[voter, a] - liked[voter, b]
    chance = 1 / (1 + np.exp(-(gap + ((np.array(true) + leaning[voter]).T * difference).sum(axis=0))))
    tie = 0.5 * np.minimum(chance, 1 - chance)  # of which each side would have won half
    drawn = rng.random(amount)
    score = np.where(drawn < chance - tie / 2, 1.0, np.where(drawn < chance + tie / 2, 0.5, 0.0)).astype(np.float32)
    return Votes(theta, a, b, score, style_a, style_b, voter)


def coverage(people: int, each: int, taste: float, runs: int, models: int = 5) -> tuple[float, float, float]:
    """How often the 95% intervals hold what a great many people would say: of coefficients, ratings; of both, plain.

    `plain` takes each vote for another person's.
    """
    many = simulate(400_000, models, 1_000_000, people=100_000, taste=taste, world=1)
    crowd = rate_by_style(arranged(many, models))
    held: list[list[bool]] = [[], [], []]
    for seed in range(runs):
        votes = simulate(people * each, models, seed, people=people, taste=taste, world=1)
        for clustered in (True, False):
            voter = votes.voter if clustered else np.arange(len(votes.a))
            found = rate_by_style(arranged(replace(votes, voter=voter), models))
            worth = [e.low <= t.coefficient <= e.high for e, t in zip(found.effects, crowd.effects, strict=True)]
            truth = crowd.rating + np.average(found.rating - crowd.rating, weights=votes_of_each(votes))
            ratings = ((found.low <= truth) & (truth <= found.high)).tolist()
            if clustered:
                held[0] += worth
                held[1] += ratings
            else:
                held[2] += worth + ratings
    return tuple(float(np.mean(part)) for part in held)  # type: ignore[return-value]


def arranged(votes: Votes, models: int) -> StyleVotes:
    """The votes by pair."""
    return arrange(models, votes.a, votes.b, votes.score, votes.style_a, votes.style_b, votes.voter)


def part_of(votes: Votes, some: slice | np.ndarray) -> Votes:
    """Some of the votes."""
    return replace(
        votes,
        a=votes.a[some],
        b=votes.b[some],
        score=votes.score[some],
        style_a=votes.style_a[:, some],
        style_b=votes.style_b[:, some],
        voter=votes.voter[some],
    )


def votes_of_each(votes: Votes) -> np.ndarray:
    """How many votes each model took part in."""
    return np.bincount(np.r_[votes.a, votes.b], minlength=len(votes.theta))


def warm_up() -> None:
    """Have choix imported before the clock starts."""
    rate(np.array([[0, 1], [1, 0]]), np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64))


def median_ms(rounds: int, work: Callable[[], object]) -> float:
    """Median of the processor's milliseconds: all of this runs in one thread, and other work's share is left out."""
    took = []
    for _ in range(rounds):
        started = time.thread_time()
        work()
        took.append((time.thread_time() - started) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    main()
