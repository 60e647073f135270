"""Clustering by voter: one person's hundred votes are not a hundred people's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from arena.clustering import Clustering, VotesByVoter, clustered
from arena.ratings import Z95, Fit, Inflation, differences, fit, on_scale

Floats = NDArray[np.float64]


def vote(chance: np.random.Generator, n: int, voters: int, each: int, lean: float) -> tuple[VotesByVoter, Floats]:
    """Votes of people each of whom has a taste of their own, `lean` logits wide; and the points won, row on column."""
    truth = np.linspace(-0.5, 0.5, n)
    voter = np.repeat(np.arange(voters), each)
    first = chance.integers(n, size=len(voter))
    second = (first + chance.integers(1, n, size=len(voter))) % n
    taste = truth + lean * chance.normal(size=(voters, n))
    gap = taste[voter, first] - taste[voter, second]
    points = (chance.random(len(voter)) < 1 / (1 + np.exp(-gap))).astype(np.float64)
    won = np.zeros((n, n))
    np.add.at(won, (first, second), points)
    np.add.at(won, (second, first), 1 - points)
    return VotesByVoter(voter, first, second, points, np.ones(len(voter))), won


def fitted(won: Floats) -> Fit:
    zero = np.zeros(won.shape, np.int64)
    return fit(won.astype(np.int64), zero, zero)


def clustering(fit: Fit, votes: VotesByVoter) -> Clustering:
    wide, voters = clustered(fit, votes)
    return Clustering({(n,): n for n in range(fit.estimate.size)}, fit.estimate, wide, voters)


def keys(n: int) -> list[tuple[int, ...]]:
    return [(place,) for place in range(n)]


def test_the_covariance_is_that_of_leaving_each_voter_out_in_turn() -> None:
    """The jackknife, by real refits; two of the twelve voters have half of the votes."""
    votes, _ = vote(np.random.default_rng(1), 4, 12, 40, 0.8)
    kept = (votes.voter < 2) | (np.arange(len(votes.voter)) % 5 == 0)
    votes = VotesByVoter(
        votes.voter[kept], votes.first[kept], votes.second[kept], votes.points[kept], votes.games[kept]
    )

    def refit(mine: NDArray[np.bool_]) -> Fit:
        won = np.zeros((4, 4))
        np.add.at(won, (votes.first[mine], votes.second[mine]), votes.points[mine])
        np.add.at(won, (votes.second[mine], votes.first[mine]), 1 - votes.points[mine])
        return fitted(won)

    whole = refit(votes.voter >= 0)
    moved = np.array([refit(votes.voter != v).estimate.strengths - whole.estimate.strengths for v in range(12)])
    jackknife = moved.T @ moved * 11 / 12

    wide, voters = clustered(whole, votes)

    assert voters == 12
    assert np.sqrt(differences(wide))[0, 1:] == pytest.approx(np.sqrt(differences(jackknife))[0, 1:], rel=0.1)


def test_votes_of_a_pair_together_or_one_by_one_are_the_same() -> None:
    votes = VotesByVoter(
        np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([1, 1, 0, 1]), np.array([1.0, 0.5, 1, 1]), np.ones(4)
    )
    together = VotesByVoter(
        np.array([0, 1]), np.array([0, 0]), np.array([1, 1]), np.array([1.5, 1.0]), np.array([2.0, 2.0])
    )
    fit = fitted(np.array([[0.0, 5], [3, 0]]))

    np.testing.assert_allclose(clustered(fit, votes)[0], clustered(fit, together)[0])


def test_people_with_tastes_of_their_own_widen_the_intervals_and_many_alike_do_not() -> None:
    chance = np.random.default_rng(4)
    votes, won = vote(chance, 4, 15, 100, 1.0)
    alike, won_alike = vote(chance, 4, 1500, 1, 0.0)

    opinionated = clustering(fitted(won), votes).inflation(keys(4))
    independent = clustering(fitted(won_alike), alike).inflation(keys(4))

    assert opinionated.contrast[0, 3] > 3
    assert 1 <= independent.contrast[0, 3] < 1.15


def test_a_variance_never_shrinks_and_few_voters_pay_for_being_few() -> None:
    votes, won = vote(np.random.default_rng(4), 3, 3, 50, 0.0)

    inflation = clustering(fitted(won), votes).inflation(keys(3))

    least = (student.ppf(0.975, 2) / Z95) ** 2
    assert inflation.single.min() >= least - 1e-9
    assert inflation.contrast.min() >= least - 1e-9


def test_unknown_voters_count_as_one_person_a_vote() -> None:
    votes, won = vote(np.random.default_rng(4), 3, 300, 1, 0.0)
    unknown = VotesByVoter(np.full(300, -1), votes.first, votes.second, votes.points, votes.games)
    fit = fitted(won)

    wide, voters = clustered(fit, unknown)

    assert voters == 300
    plain = fit.estimate.covariance
    contrast = np.array([1.0, 0, -1])
    # The anchor's share is not in the clustered part; besides that both are the same sandwich.
    assert contrast @ wide @ contrast == pytest.approx(contrast @ plain @ contrast * 300 / 299, rel=0.02)


def test_a_model_new_since_the_last_look_gets_the_mean_and_the_others_keep_theirs() -> None:
    votes, won = vote(np.random.default_rng(4), 3, 8, 30, 0.5)
    then = clustering(fitted(won), votes)

    later = then.inflation([(0,), (9,), (1,), (2,)])

    before = then.inflation(keys(3))
    np.testing.assert_allclose(later.single[[0, 2, 3]], before.single)
    assert later.single[1] == pytest.approx(before.single.mean())
    assert later.contrast[0, 3] == pytest.approx(before.contrast[0, 2])


def test_the_widening_of_a_plain_difference_is_that_of_the_pair() -> None:
    votes, won = vote(np.random.default_rng(4), 3, 8, 30, 0.5)
    then = clustering(fitted(won), votes)

    assert then.widening(keys(3), np.array([1.0, -1.0, 0.0])) == pytest.approx(then.inflation(keys(3)).contrast[0, 1])


def test_votes_on_models_that_are_not_rated_are_left_out() -> None:
    votes, won = vote(np.random.default_rng(4), 3, 8, 30, 0.5)
    fit = fitted(np.pad(won, (0, 1)))
    stray = VotesByVoter(
        np.append(votes.voter, 99),
        np.append(votes.first, 3),
        np.append(votes.second, 0),
        np.append(votes.points, 1.0),
        np.append(votes.games, 1.0),
    )

    assert clustered(fit, stray)[1] == 8


@pytest.mark.slow
def test_clustered_intervals_hold_what_new_people_say_and_plain_ones_do_not() -> None:
    """The truth is the mean over all people; twenty of them vote 60 times each, with tastes of their own."""
    chance = np.random.default_rng(8)
    _, everybody = vote(chance, 4, 4000, 30, 0.7)
    truth = on_scale(fitted(everybody).estimate).rating
    truth = truth - truth.mean()
    held: dict[str, list[float]] = {"plain": [], "clustered": []}
    for _ in range(150):
        votes, won = vote(chance, 4, 20, 60, 0.7)
        fit = fitted(won)
        given: dict[str, Inflation | None] = {"plain": None, "clustered": clustering(fit, votes).inflation(keys(4))}
        for name, inflation in given.items():
            rated = on_scale(fit.estimate, inflation)
            middle = rated.rating.mean()
            held[name].append(float(((rated.low - middle <= truth) & (truth <= rated.high - middle)).mean()))

    assert np.mean(held["plain"]) < 0.85
    assert 0.92 <= np.mean(held["clustered"]) <= 0.99
