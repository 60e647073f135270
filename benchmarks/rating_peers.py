"""One rating method on one file of votes, timed: started by `benchmarks.ratings`, by a Python that has the method.

Imports nothing of the arena but for the method `arena`. Each method starts from arrays of votes (first model, second
model, outcome: 0 the first won, 1 the second, 2 a tie) and prints its seconds, its peak memory and its ratings as JSON.
The first run is for loading and compiling. Then it runs for half a second, at least once, and the mean is told: by the
clock or by the processor, whichever is less. So a method that uses two processors at once is not charged for both, and
none for waiting while other work has them.
"""

import json
import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Votes = tuple[Any, Any, Any, int]
ENOUGH_S = 0.5
"""The processor's clock may tick in hundredths of a second only."""

POINTS = 400 / math.log(10)


def points_won(first: Any, second: Any, outcome: Any, n: int) -> Any:
    """`[i, j]`: points of i against j, ties half."""
    score = np.array([1.0, 0.0, 0.5])[outcome]
    table = np.bincount(first * n + second, weights=score, minlength=n * n)
    return (table + np.bincount(second * n + first, weights=1 - score, minlength=n * n)).reshape(n, n)


def arena(votes: Votes, _: int) -> Callable[[], Any]:
    """Ratings, intervals and rank intervals from the pair counts, which the arena keeps with each vote."""
    from arena.ratings import rate

    first, second, outcome, n = votes
    wins = np.zeros((n, n), np.int64)
    np.add.at(wins, (first[outcome == 0], second[outcome == 0]), 1)
    np.add.at(wins, (second[outcome == 1], first[outcome == 1]), 1)
    ties = np.zeros((n, n), np.int64)
    np.add.at(ties, (first[outcome == 2], second[outcome == 2]), 1)
    return lambda: rate(wins, ties + ties.T, np.zeros((n, n), np.int64)).rating


def fastchat(votes: Votes, rounds: int) -> Callable[[], Any]:
    """Maximum likelihood by logistic regression on the table of wins, and the same on resampled votes.

    Rewritten from the published formula, the tables made by numpy: rather quicker than with data frames.
    """
    from sklearn.linear_model import LogisticRegression

    first, second, outcome, n = votes
    i, j = (index.ravel() for index in np.nonzero(~np.eye(n, dtype=bool)))
    rows = np.zeros((len(i), n))
    rows[np.arange(len(i)), i], rows[np.arange(len(i)), j] = math.log(10), -math.log(10)
    design, label = np.concatenate([rows, rows]), np.repeat([1, 0], len(i))

    def once(pick: Any) -> Any:
        won = 2 * points_won(first[pick], second[pick], outcome[pick], n)
        weights = np.concatenate([won[i, j], won[j, i]])
        some = weights > 0
        model = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-6)
        return 400 * model.fit(design[some], label[some], sample_weight=weights[some]).coef_[0]

    def run() -> Any:
        chance = np.random.default_rng(0)
        samples = [once(chance.integers(len(first), size=len(first))) for _ in range(rounds)]
        np.quantile(samples, [0.025, 0.975], axis=0)
        return once(slice(None))

    return run


def arena_rank(votes: Votes, _: int) -> Callable[[], Any]:
    """arena-rank as its users call it: a data frame of votes to ratings with intervals."""
    import pandas as pd
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    first, second, outcome, n = votes
    words = np.array(["model_a", "model_b", "tie"])[outcome]
    frame = pd.DataFrame({"model_a": first, "model_b": second, "winner": words})

    def run() -> Any:
        data = PairDataset.from_pandas(frame)
        result = BradleyTerry(n, hessian_reg=0.0).compute_ratings_and_cis(data)
        return np.array(result["ratings"])

    return run


def evalica(votes: Votes, _: int) -> Callable[[], Any]:
    """Bradley-Terry scores as evalica finds them; no intervals."""
    import evalica as peer

    first, second, outcome, n = votes
    words = [peer.Winner.X, peer.Winner.Y, peer.Winner.Draw]
    xs, ys, winners = first.tolist(), second.tolist(), [words[o] for o in outcome]

    def run() -> Any:
        scores = peer.bradley_terry(xs, ys, winners, limit=10_000).scores
        return POINTS * np.log(scores.reindex(range(n)).to_numpy())

    return run


def choix(votes: Votes, _: int) -> Callable[[], Any]:
    """What choix makes of the list of votes, each twice, a tie once each way; no intervals."""
    import choix as peer

    first, second, outcome, n = votes
    winner, loser = np.where(outcome == 1, second, first), np.where(outcome == 1, first, second)
    tied = outcome == 2
    doubled = np.stack(
        [
            np.concatenate([winner, np.where(tied, loser, winner)]),
            np.concatenate([loser, np.where(tied, winner, loser)]),
        ],
        axis=1,
    )
    data = [tuple(pair) for pair in doubled.tolist()]
    return lambda: POINTS * peer.ilsr_pairwise(n, data, tol=1e-6)


METHODS = {"arena": arena, "fastchat": fastchat, "arena-rank": arena_rank, "evalica": evalica, "choix": choix}


def main() -> None:
    """`METHOD FILE ROUNDS`."""
    name, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with np.load(path) as file:
        votes: Votes = (file["first"], file["second"], file["outcome"], int(file["models"]))
    quick = 2 if name == "fastchat" else rounds
    METHODS[name](votes, quick)()
    run = METHODS[name](votes, rounds)
    times, began, used = 0, time.perf_counter(), time.process_time()
    seconds = 0.0
    while seconds < ENOUGH_S:
        rating = run()
        times += 1
        seconds = min(time.perf_counter() - began, time.process_time() - used)
    weights = np.bincount(np.concatenate([votes[0], votes[1]]), minlength=votes[3])
    voted = weights > 0
    rating = np.asarray(rating) - np.average(np.asarray(rating)[voted], weights=weights[voted])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds / times, "peak_mb": peak, "rating": rating.tolist()}))


if __name__ == "__main__":
    main()
