"""Verdicts: as sure as the intervals, as many further votes as are really needed, in words that can be quoted."""

import numpy as np
import pytest

from arena.comparisons import compare, compare_all, compare_platforms, further_votes
from arena.fragility import fragility
from arena.ratings import ELO_PER_LOGIT, Fit, Inflation, fit, on_scale, rate
from tests.test_ratings import draw_votes, lmsys, verdicts

NAMES = ("Heron", "Wren", "Ibis", "Swift")


def fit_of(*pairs: tuple[int, int, int, int, int, int], n: int = 4) -> Fit:
    return fit(*verdicts(n, *pairs))


def test_a_verdict_is_settled_exactly_where_the_interval_leaves_zero_out() -> None:
    models, counts = lmsys()
    fitted = fit(*counts)
    ratings = on_scale(fitted.estimate)

    for row in compare_all(fitted, models):
        for verdict in row:
            if verdict:
                assert verdict.settled == (verdict.low > 0 or verdict.high < 0)
    leader = compare(fitted, models, models.index("gpt-4"), models.index("claude-v1"))
    assert leader.points == pytest.approx(
        ratings.rating[models.index("gpt-4")] - ratings.rating[models.index("claude-v1")]
    )
    assert leader.settled
    assert leader.probability > 0.975


def test_the_matrix_mirrors_and_leaves_out_the_diagonal_and_models_without_votes() -> None:
    fitted = fit_of((0, 1, 30, 12, 4, 0), (0, 2, 10, 12, 0, 2))
    matrix = compare_all(fitted, NAMES)

    assert [[verdict is None for verdict in row] for row in matrix] == [
        [True, False, False, True],
        [False, True, False, True],
        [False, False, True, True],
        [True, True, True, True],
    ]
    forward, back = matrix[0][1], matrix[1][0]
    assert forward is not None
    assert back is not None
    assert back.points == -forward.points
    assert (back.low, back.high) == (-forward.high, -forward.low)
    assert forward.probability + back.probability == pytest.approx(1)
    assert forward.win_rate + back.win_rate == pytest.approx(1)
    assert forward.votes == 46


def test_the_win_rate_is_what_the_difference_means() -> None:
    verdict = compare(fit_of((0, 1, 7_500_000, 2_500_000, 0, 0), n=2), NAMES, 0, 1)

    assert verdict.win_rate == pytest.approx(0.75, abs=1e-4)
    assert verdict.win_rate_low < 0.75 < verdict.win_rate_high
    assert verdict.points == pytest.approx(np.log(3) * ELO_PER_LOGIT, abs=0.01)


def test_one_cannot_be_compared_with_itself_or_without_votes() -> None:
    fitted = fit_of((0, 1, 3, 1, 0, 0))

    for first, second in ((0, 0), (0, 2), (3, 1)):
        with pytest.raises(ValueError, match="with votes"):
            compare(fitted, NAMES, first, second)


def test_further_votes_are_those_after_which_a_refit_has_that_variance() -> None:
    """The formula changes A and B by one pair; so does adding votes that fall as the model expects."""
    counts = verdicts(3, (0, 1, 520_000, 480_000, 0, 0), (1, 2, 500_000, 400_000, 0, 0), (0, 2, 10_000, 9_000, 0, 0))
    fitted = fit(*counts)
    contrast = np.array([1.0, -1.0, 0.0])
    told, varied = contrast @ fitted.inverse @ contrast, contrast @ fitted.estimate.covariance @ contrast
    chance = 1 / (1 + np.exp(fitted.estimate.strengths[1] - fitted.estimate.strengths[0]))
    q, w, m = chance * (1 - chance), fitted.vote_variance[0, 1], 400_000
    predicted = (varied + m * w * told**2) / (1 + m * q * told) ** 2

    counts[0][0, 1] += round(m * chance)
    counts[0][1, 0] += m - round(m * chance)

    after = fit(*counts).estimate.covariance
    assert contrast @ after @ contrast == pytest.approx(predicted, rel=1e-4)


def test_further_votes_solve_for_the_power_they_promise() -> None:
    needed = further_votes(0.1, 0.02, 0.02, (0.25, 0.2), 0.0)
    more = further_votes(0.1, 0.02, 0.02, (0.25, 0.2), 0.8416)

    assert needed is not None
    assert more is not None
    for votes, wanted in ((needed, 1.96), (more, 1.96 + 0.8416)):
        at, before = ((0.02 + m * 0.2 * 0.02**2) / (1 + m * 0.25 * 0.02) ** 2 for m in (votes, votes - 1))
        assert 0.1 / np.sqrt(at) >= wanted - 1e-4
        assert 0.1 / np.sqrt(before) < wanted + 1e-4


@pytest.mark.slow
def test_as_many_further_votes_as_promised_separate_half_and_four_fifths_of_the_time() -> None:
    chance = np.random.default_rng(3)
    truth = np.array([0.2, -0.2])
    start = fit_of((0, 1, 24, 16, 0, 0), n=2)  # the difference it shows is the truth: log(24.5 / 16.5) = 0.4
    verdict = compare(start, NAMES, 0, 1)
    assert verdict.further_votes is not None
    assert verdict.further_votes_80 is not None
    for further, power in ((verdict.further_votes, 0.5), (verdict.further_votes_80, 0.8)):
        separated = [rate(*draw_votes(chance, truth, 40 + further, 0.0)).rank_high[0] == 1 for _ in range(600)]
        assert np.mean(separated) == pytest.approx(power, abs=0.07)


def test_a_settled_pair_needs_no_further_votes_and_equals_never_have_enough() -> None:
    settled = compare(fit_of((0, 1, 90, 10, 0, 0), n=2), NAMES, 0, 1)
    equal = compare(fit_of((0, 1, 50, 50, 0, 0), n=2), NAMES, 0, 1)

    assert (settled.further_votes, settled.further_votes_80) == (0, 0)
    assert (equal.further_votes, equal.further_votes_80) == (None, None)


def test_clustering_makes_a_verdict_less_sure_and_asks_for_more_votes() -> None:
    fitted = fit_of((0, 1, 60, 45, 0, 0), n=2)
    plain = compare(fitted, NAMES, 0, 1)
    wide = compare(fitted, NAMES, 0, 1, Inflation(np.full(2, 3.0), np.full((2, 2), 3.0)))

    assert 0.5 < wide.probability < plain.probability
    assert wide.further_votes is not None
    assert plain.further_votes is not None
    assert wide.further_votes > 3 * plain.further_votes


def test_a_verdict_can_be_quoted() -> None:
    settled = compare(fit_of((1, 0, 70, 30, 0, 0), n=2), NAMES, 0, 1).sentence
    open_ = compare(fit_of((0, 1, 12, 10, 0, 0), n=2), NAMES, 0, 1).sentence
    equal = compare(fit_of((0, 1, 50, 50, 0, 0), n=2), NAMES, 0, 1).sentence

    assert settled.startswith(
        "Wren is better than Heron (more than 99.9% sure): ahead by 146 points (95% interval +72 to +220)"
    )
    assert "expected to win 70% of their battles" in settled
    assert open_.startswith("Between Heron and Wren nothing is settled: Heron is ahead by ")
    assert "(95% interval −" in open_
    assert "further votes between them have an even chance to show it" in open_
    assert equal.endswith("no reasonable number of votes would tell them apart.")


def test_platforms_are_compared_by_their_models_strengths_and_not_by_who_met_whom() -> None:
    """Equal platforms. The strong model of the first met mostly the weak one of the second."""
    platforms = ("OpenAI", "OpenAI", "Vertex AI", "Vertex AI")  # strong, weak, strong, weak
    fitted = fit_of((0, 3, 7500, 2500, 0, 0), (1, 2, 250, 750, 0, 0), (0, 2, 500, 500, 0, 0), (1, 3, 500, 500, 0, 0))

    verdict = compare_platforms(fitted, platforms, "OpenAI", "Vertex AI")

    assert verdict is not None
    assert verdict.observed_rate == pytest.approx(8750 / 13000)
    assert verdict.expected_rate == pytest.approx(verdict.observed_rate, abs=0.01)
    assert abs(verdict.comparison.points) < 1
    assert not verdict.comparison.settled
    assert verdict.comparison.votes == 13000


def test_a_model_new_to_a_platform_does_not_make_the_whole_platform_uncertain() -> None:
    platforms = ("OpenAI", "Vertex AI", "Vertex AI")
    before = compare_platforms(fit_of((0, 1, 700, 500, 0, 0), n=3), platforms, "OpenAI", "Vertex AI")
    after = compare_platforms(fit_of((0, 1, 700, 500, 0, 0), (0, 2, 0, 2, 0, 0), n=3), platforms, "OpenAI", "Vertex AI")

    assert before is not None
    assert after is not None
    assert after.comparison.points == pytest.approx(before.comparison.points, abs=1)
    assert after.comparison.settled


@pytest.mark.slow
def test_a_platform_verdict_holds_the_truth_95_percent_of_the_time() -> None:
    chance = np.random.default_rng(9)
    truth = np.array([0.4, -0.1, 0.2, -0.3])
    platforms = ("OpenAI", "OpenAI", "Vertex AI", "Vertex AI")
    difference = ((truth[0] + truth[1]) - (truth[2] + truth[3])) / 2 * ELO_PER_LOGIT
    held = 0
    for _ in range(300):
        verdict = compare_platforms(fit(*draw_votes(chance, truth, 25, 0.2)), platforms, "OpenAI", "Vertex AI")
        assert verdict is not None
        held += verdict.comparison.low <= difference <= verdict.comparison.high

    assert 0.925 <= held / 300 <= 0.985


def test_platforms_that_have_not_met_have_no_verdict() -> None:
    fitted = fit_of((0, 1, 3, 1, 0, 0))

    assert compare_platforms(fitted, ("OpenAI", "OpenAI", "Vertex AI", "Demo"), "OpenAI", "Vertex AI") is None


def test_without_the_votes_that_hold_it_up_the_leader_no_longer_leads() -> None:
    models, counts = lmsys()

    found = fragility(*counts)

    assert found is not None
    assert models[found.leader] == "gpt-4"
    assert models[found.challenger] in ("claude-v1", "claude-instant-v1")
    assert found.votes == sum(removal.votes for removal in found.removals)
    assert 0 < found.share < 0.02
    wins, ties, both_bad = (matrix.copy() for matrix in counts)
    for removal in found.removals:
        matrix = {"wins": wins, "ties": ties, "both_bad": both_bad}[removal.kind]
        matrix[removal.first, removal.second] -= removal.votes
        if removal.kind != "wins":
            matrix[removal.second, removal.first] -= removal.votes
    assert min(wins.min(), ties.min(), both_bad.min()) >= 0
    assert np.argmax(rate(wins, ties, both_bad).rating) == found.challenger


def test_one_vote_ahead_is_undone_by_two() -> None:
    found = fragility(*verdicts(2, (0, 1, 11, 10, 0, 0)))

    assert found is not None
    assert (found.leader, found.challenger, found.votes) == (0, 1, 2)
    assert [(r.first, r.second, r.kind) for r in found.removals] == [(0, 1, "wins")]


def test_a_leader_nobody_can_replace_is_not_fragile() -> None:
    assert fragility(*verdicts(3)) is None
    assert fragility(*verdicts(2, (0, 1, 5, 0, 0, 0))) is None
