"""Ratings: right against independent methods and published figures, calm where votes are few or one-sided."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from arena.ratings import ELO_MEAN, ELO_PER_LOGIT, Inflation, Ratings, combine, fit, groups, on_scale, rate

DATA = Path(__file__).parent / "data"

PUBLISHED = {
    "gpt-4": 1227,
    "claude-v1": 1178,
    "claude-instant-v1": 1156,
    "gpt-3.5-turbo": 1130,
    "vicuna-13b": 1061,
    "koala-13b": 992,
    "dolly-v2-12b": 850,
    "llama-13b": 826,
}
"""Elo ratings of lm-sys.org's blog of 2023-06-22, from 42 thousand votes of which ours are a part."""

Counts = NDArray[np.int64]


def verdicts(n: int, *pairs: tuple[int, int, int, int, int, int]) -> tuple[Counts, Counts, Counts]:
    """Matrices from (i, j, wins of i, wins of j, ties, both bad)."""
    wins, ties, both_bad = (np.zeros((n, n), np.int64) for _ in range(3))
    for i, j, i_won, j_won, tied, bad in pairs:
        wins[i, j] += i_won
        wins[j, i] += j_won
        ties[[i, j], [j, i]] += tied
        both_bad[[i, j], [j, i]] += bad
    return wins, ties, both_bad


def read_rows(name: str) -> list[dict[str, str]]:
    """Rows of a data file, its origin left out."""
    with (DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def read_pairs(name: str) -> tuple[list[str], tuple[Counts, Counts, Counts]]:
    """Real votes: the models and their counts."""
    rows = read_rows(name)
    models = sorted({name for row in rows for name in (row["first"], row["second"])})
    pairs = [
        (
            models.index(row["first"]),
            models.index(row["second"]),
            *(int(row[name]) for name in ("wins_first", "wins_second", "ties", "both_bad")),
        )
        for row in rows
    ]
    return models, verdicts(len(models), *pairs)  # type: ignore[arg-type]


def lmsys() -> tuple[list[str], tuple[Counts, Counts, Counts]]:
    """26 thousand votes on 20 models."""
    return read_pairs("lmsys_2023_pair_counts.csv")


def without_anchor(counts: tuple[Counts, Counts, Counts]) -> tuple[Counts, Counts, Counts]:
    """So many times the same votes that half a win against the anchor weighs nothing."""
    wins, ties, both_bad = (matrix * 1_000_000 for matrix in counts)
    return wins, ties, both_bad


def by_maximum_likelihood(wins: Counts, ties: Counts, both_bad: Counts, anchor: float) -> NDArray[np.float64]:
    """The same estimate by another road: a general minimiser on the log-likelihood."""
    won = wins + (ties + both_bad) / 2

    def loss(theta: NDArray[np.float64]) -> float:
        pairs = (won * np.logaddexp(0, theta[None, :] - theta[:, None])).sum()
        against_anchor = anchor / 2 * (np.logaddexp(0, theta) + np.logaddexp(0, -theta)).sum()
        return float(pairs + against_anchor)

    theta = minimize(loss, np.zeros(len(wins)), method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9}).x
    weights = (won + won.T).sum(axis=1)
    return np.asarray(ELO_MEAN + ELO_PER_LOGIT * (theta - np.average(theta, weights=weights)))


def draw_votes(
    chance: np.random.Generator, strengths: NDArray[np.float64], per_pair: int, tie_share: float
) -> tuple[Counts, Counts, Counts]:
    """Votes of an arena whose truth is known; ties are likeliest between equals."""
    pairs = []
    for i, j in zip(*np.triu_indices(len(strengths), 1), strict=True):
        p = 1 / (1 + np.exp(strengths[j] - strengths[i]))
        tied = tie_share * 4 * p * (1 - p)
        drawn = chance.multinomial(per_pair, [p - tied / 2, 1 - p - tied / 2, tied])
        pairs.append((int(i), int(j), int(drawn[0]), int(drawn[1]), int(drawn[2]), 0))
    return verdicts(len(strengths), *pairs)


def test_wikipedia_worked_example() -> None:
    """https://en.wikipedia.org/wiki/Bradley-Terry_model: strengths .640, 1.043, .660, 2.270."""
    pairs = [(0, 1, 2, 3), (0, 3, 1, 4), (1, 2, 5, 3), (2, 3, 1, 3)]

    rated = rate(*without_anchor(verdicts(4, *((i, j, a, b, 0, 0) for i, j, a, b in pairs))))

    strengths = np.exp((rated.rating - ELO_MEAN) / ELO_PER_LOGIT)
    strengths /= np.exp(np.log(strengths).mean())
    np.testing.assert_allclose(strengths, [0.640, 1.043, 0.660, 2.270], rtol=1e-3)


def test_real_votes_get_the_maximum_likelihood_ratings() -> None:
    _, counts = lmsys()

    rating = rate(*counts).rating

    np.testing.assert_allclose(rating, by_maximum_likelihood(*counts, anchor=1.0), atol=0.01)
    np.testing.assert_allclose(rating, by_maximum_likelihood(*counts, anchor=0.0), atol=0.2)


def test_real_votes_without_the_anchor_are_as_those_of_arena_rank_and_of_maximum_likelihood() -> None:
    """arena-rank 0.1.1 with hessian_reg=0; the scale's mean is ours."""
    models, counts = lmsys()
    peer = {row["model"]: float(row["rating"]) for row in read_rows("lmsys_2023_arena_rank.csv")}

    rating = rate(*without_anchor(counts)).rating

    gap = rating - np.array([peer[model] for model in models])
    assert np.ptp(gap) < 0.5
    assert [models[i] for i in np.argsort(-rating)] == sorted(models, key=lambda model: -peer[model])
    np.testing.assert_allclose(rating, by_maximum_likelihood(*counts, anchor=0.0), atol=0.01)


def test_golden_scores_of_llmfao_are_reproduced() -> None:
    models, counts = read_pairs("llmfao_pair_counts.csv")
    golden = {row["model"]: float(row["score"]) for row in read_rows("llmfao_bradley_terry.csv")}

    strengths = rate(*without_anchor(counts)).rating / ELO_PER_LOGIT

    expected = np.log([golden[model] for model in models])
    np.testing.assert_allclose(strengths - strengths.mean(), expected - expected.mean(), atol=1e-7)


def test_golden_scores_of_food_are_reproduced() -> None:
    """As evalica 0.4.2 gives them at a tolerance of 1e-13, ties half a win."""
    dishes, counts = read_pairs("food_pair_counts.csv")

    scores = np.exp(rate(*without_anchor(counts)).rating / ELO_PER_LOGIT)

    assert dishes == ["Burger", "Pasta", "Pizza", "Sushi", "Tacos"]
    np.testing.assert_allclose(scores / scores.sum(), [0.147977, 0.128153, 0.09898, 0.1906, 0.43429], atol=1e-6)


def test_real_votes_agree_with_the_published_ratings() -> None:
    models, counts = lmsys()

    rating = dict(zip(models, rate(*counts).rating, strict=True))

    for model, published in PUBLISHED.items():
        assert rating[model] == pytest.approx(published, abs=20)
    assert sorted(PUBLISHED, key=lambda model: -rating[model]) == list(PUBLISHED)


def test_real_votes_order_the_leaders_and_leave_close_ranks_open() -> None:
    models, counts = lmsys()
    rated = rate(*counts)
    ranks = {m: (rated.rank_low[i], rated.rank_high[i]) for i, m in enumerate(models)}

    assert [ranks[m] for m in ("gpt-4", "claude-v1", "claude-instant-v1", "gpt-3.5-turbo")] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
    ]
    assert ranks["vicuna-13b"] == ranks["wizardlm-13b"] == (7, 8)


def test_the_vote_weighted_mean_of_the_rated_models_is_1000() -> None:
    _, counts = lmsys()
    wins, ties, both_bad = counts
    votes = (wins + wins.T + ties + both_bad).sum(axis=1)

    assert np.average(rate(*counts).rating, weights=votes) == pytest.approx(1000)


def test_400_points_are_odds_of_ten_to_one() -> None:
    rated = rate(*verdicts(2, (0, 1, 10_000_000, 1_000_000, 0, 0)))

    assert rated.rating[0] - rated.rating[1] == pytest.approx(400, abs=0.01)


def test_no_models_and_no_votes_are_no_error() -> None:
    assert rate(*verdicts(0)).rating.shape == (0,)
    rated = rate(*verdicts(3))
    assert np.isnan(rated.rating).all()
    assert np.isnan(rated.covariance).all()
    assert rated.rank_low.tolist() == rated.rank_high.tolist() == [0, 0, 0]
    assert np.isnan(rate(*verdicts(1)).rating).all()


def test_one_vote_moves_both_models_alike_and_proves_nothing() -> None:
    rated = rate(*verdicts(3, (0, 2, 1, 0, 0, 0)))

    assert rated.rating[0] - 1000 == pytest.approx(1000 - rated.rating[2])
    assert 50 < rated.rating[0] - 1000 < 200
    assert np.isnan(rated.rating[1])
    assert rated.low[0] < 1000 < rated.high[0]
    assert rated.rank_low.tolist() == [1, 0, 1]
    assert rated.rank_high.tolist() == [2, 0, 2]


def test_ten_votes_seven_won_are_still_no_proof_but_twenty_of_twenty_are() -> None:
    few = rate(*verdicts(2, (0, 1, 7, 3, 0, 0)))
    clear = rate(*verdicts(2, (0, 1, 20, 0, 0, 0)))

    assert few.rating[0] > few.rating[1]
    assert few.rank_high[0] == 2
    assert (clear.rank_low[0], clear.rank_high[0], clear.rank_low[1]) == (1, 1, 2)


def test_an_unbeaten_model_has_a_finite_rating_with_a_wide_interval() -> None:
    rated = rate(*verdicts(3, (0, 1, 30, 0, 0, 0), (0, 2, 30, 0, 0, 0), (1, 2, 15, 15, 0, 0)))

    assert np.isfinite(rated.rating).all()
    assert rated.rating[0] == max(rated.rating)
    assert rated.high[0] - rated.low[0] > 300
    assert rated.high[1] - rated.low[1] < rated.high[0] - rated.low[0]


def test_groups_that_never_met_are_rated_but_not_ranked_against_each_other() -> None:
    counts = verdicts(5, (0, 1, 40, 10, 0, 0), (2, 3, 40, 10, 0, 0))
    rated = rate(*counts)

    assert len(groups(*counts)) == 2
    assert np.isfinite(rated.rating[:4]).all()
    assert rated.rating[0] == pytest.approx(rated.rating[2])
    assert rated.rank_low[0] == rated.rank_low[2] == 1
    assert rated.rank_high[0] == 3  # surely better than the one it met, and only than that
    assert rated.rank_low[1] == 2


def test_groups_count_actual_meetings() -> None:
    assert len(groups(*verdicts(3))) == 0
    assert [group.tolist() for group in groups(*verdicts(3, (0, 1, 1, 0, 0, 0)))] == [[0, 1]]
    apart = groups(*verdicts(5, (0, 1, 1, 0, 0, 0), (2, 3, 0, 0, 0, 1), (3, 4, 0, 0, 1, 0)))
    assert [group.tolist() for group in apart] == [[2, 3, 4], [0, 1]]
    chain = [(i, i + 1, 0, 0, 1, 0) for i in range(39)]
    assert len(groups(*verdicts(40, *chain))) == 1


def test_a_tie_and_both_bad_rate_alike_and_pull_together() -> None:
    won = verdicts(2, (0, 1, 8, 2, 0, 0))
    tied = verdicts(2, (0, 1, 8, 2, 10, 0))
    bad = verdicts(2, (0, 1, 8, 2, 0, 10))

    np.testing.assert_allclose(rate(*tied).rating, rate(*bad).rating)
    np.testing.assert_allclose(rate(*tied).covariance, rate(*bad).covariance)
    assert rate(*tied).rating[0] < rate(*won).rating[0]


def test_ties_narrow_the_interval_more_than_as_many_split_wins() -> None:
    tied = rate(*verdicts(2, (0, 1, 30, 30, 40, 0)))
    split = rate(*verdicts(2, (0, 1, 50, 50, 0, 0)))

    assert tied.high[0] - tied.low[0] < 0.9 * (split.high[0] - split.low[0])


def test_exchanging_wins_for_losses_mirrors_the_board() -> None:
    wins, ties, both_bad = lmsys()[1]

    upright, mirrored = rate(wins, ties, both_bad), rate(wins.T, ties, both_bad)

    np.testing.assert_allclose(upright.rating - 1000, 1000 - mirrored.rating, atol=1e-6)
    np.testing.assert_allclose(upright.covariance, mirrored.covariance, rtol=1e-6)
    n = len(wins)
    np.testing.assert_array_equal(upright.rank_low, n + 1 - mirrored.rank_high)


def test_the_order_of_the_models_does_not_matter() -> None:
    counts = lmsys()[1]
    order = np.random.default_rng(3).permutation(len(counts[0]))
    shuffled = [matrix[np.ix_(order, order)] for matrix in counts]

    rated, permuted = rate(*counts), rate(shuffled[0], shuffled[1], shuffled[2])

    np.testing.assert_allclose(permuted.rating, rated.rating[order], atol=1e-6)
    np.testing.assert_array_equal(permuted.rank_low, rated.rank_low[order])


def test_a_model_without_votes_changes_nothing_for_the_others() -> None:
    counts = lmsys()[1]
    wider = [np.pad(matrix, (0, 1)) for matrix in counts]

    rated, with_idle = rate(*counts), rate(wider[0], wider[1], wider[2])

    np.testing.assert_allclose(with_idle.rating[:-1], rated.rating)
    np.testing.assert_allclose(with_idle.low[:-1], rated.low)
    assert np.isnan(with_idle.rating[-1])


@pytest.mark.parametrize("strongest", [5.0, 15.0])
def test_lopsided_arenas_of_any_size_are_rated(strongest: float) -> None:
    chance = np.random.default_rng(11)
    for n in (2, 5, 20, 40):
        for per_pair in (1, 1000, 1_000_000):
            rated = rate(*draw_votes(chance, np.linspace(-strongest, strongest, n), per_pair, 0.0))
            assert np.isfinite(rated.rating).all()
            assert (rated.low < rated.rating).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spread", "per_pair", "tie_share"), [(1.0, 10, 0.0), (1.0, 50, 0.35), (4.0, 10, 0.35), (4.0, 50, 0.0)]
)
def test_95_percent_intervals_hold_the_truth_about_95_percent_of_the_time(
    spread: float, per_pair: int, tie_share: float
) -> None:
    chance = np.random.default_rng(5)
    strengths = np.linspace(-spread / 2, spread / 2, 4)
    truth = ELO_MEAN + ELO_PER_LOGIT * strengths  # every pair has as many votes, so the plain mean is the weighted one
    ratings: list[Ratings] = [rate(*draw_votes(chance, strengths, per_pair, tie_share)) for _ in range(300)]

    held = np.mean([(r.low <= truth) & (truth <= r.high) for r in ratings])

    assert 0.93 <= held <= 0.985


def test_from_the_last_fit_or_afresh_is_the_same_to_a_billionth_of_a_point() -> None:
    chance = np.random.default_rng(2)
    for n, per_pair in ((2, 4), (4, 30), (20, 5), (20, 50_000), (60, 2000)):
        wins, ties, both_bad = draw_votes(chance, np.linspace(-2, 2, n), per_pair, 0.2)
        last = fit(wins, ties, both_bad)
        for _ in range(10):
            i, j = chance.choice(n, 2, replace=False)
            wins[i, j] += 1
            last = fit(wins, ties, both_bad, last)
        live, afresh = on_scale(last.estimate), rate(wins, ties, both_bad)
        for name in ("rating", "low", "high"):
            np.testing.assert_allclose(getattr(live, name), getattr(afresh, name), rtol=0, atol=1e-9)
        np.testing.assert_array_equal(live.rank_low, afresh.rank_low)


def test_a_last_fit_that_is_far_away_or_of_other_models_does_no_harm() -> None:
    counts = lmsys()[1]
    far = fit(counts[0].T * 1000, counts[1], counts[2])
    other = fit(*verdicts(len(counts[0]), (0, 1, 3, 1, 0, 0)))

    for start in (far, other):
        np.testing.assert_allclose(rate(*counts, start).rating, rate(*counts).rating, rtol=0, atol=1e-9)


def test_inflation_widens_intervals_and_opens_ranks_without_moving_ratings() -> None:
    counts = verdicts(2, (0, 1, 60, 40, 0, 0))
    inflation = Inflation(np.full(2, 4.0), np.full((2, 2), 4.0))

    plain, wide = rate(*counts), rate(*counts, inflation=inflation)

    np.testing.assert_allclose(wide.rating, plain.rating)
    np.testing.assert_allclose(wide.high - wide.rating, 2 * (plain.high - plain.rating))
    assert (plain.rank_high[0], wide.rank_high[0]) == (1, 2)


def test_a_group_is_as_strong_as_its_members_by_their_weights() -> None:
    counts = lmsys()[1]
    estimate = fit(*counts).estimate
    weights = np.zeros((3, len(counts[0])))
    weights[0, [0, 1]], weights[1, 5] = (0.25, 0.75), 1.0

    grouped = combine(estimate, weights, np.array([10.0, 30.0, 0.0]))

    strengths = estimate.strengths
    np.testing.assert_allclose(grouped.strengths, [strengths[0] / 4 + strengths[1] * 3 / 4, strengths[5]])
    rated = on_scale(grouped)
    assert rated.rating[0] * 10 + rated.rating[1] * 30 == pytest.approx(40_000)
    assert np.isnan(rated.rating[2])


def test_counts_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no counts"):
        rate(*verdicts(3, (0, 1, -30, -30, 0, 0), (0, 2, 50, 50, 0, 0), (1, 2, 50, 50, 0, 0)))
