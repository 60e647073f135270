"""Style control: what answers look like, what looks are worth, and standings with looks held equal."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, select

from arena.answer_style import AnswerLook, measure
from arena.battle.verdicts import withdraw
from arena.database import Database
from arena.ratings import ELO_PER_LOGIT, rate
from arena.stamps import latest_sequence
from arena.strengths import ANCHOR_VOTES
from arena.style import PORTION, StyleControl
from arena.style_control import rate_by_style
from arena.style_votes import FEATURES, StyleVotes, arrange, together
from arena.tables import AnswerStyle, Mode, Vote, VoterVerdict, Winner
from arena.voter_decisions import decide
from benchmarks.style import TRUE, Votes, arranged, coverage, part_of, simulate
from tests.arena_facts import add_models, add_vote

LONG = "# Heron\n\n- **grey**\n- patient\n\n" + "It stands in shallow water and waits for a fish. " * 20
SHORT = "A heron."
WORDY = "A heron that stands in shallow water and waits for a fish. " * 10


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("", (0, 0, 0, 0)),
        ("  Plain words.\n", (12, 0, 0, 0)),
        ("# One\n## Two\n#no heading\n    # code", (35, 2, 0, 0)),
        ("- a\n* b\n+ c\n  1. d\n2) e\n-no\n* \n> - quoted", (41, 0, 6, 0)),
        ("**bold** and __bold__, not ** this ** nor 2**3**4 = x", (53, 0, 0, 3)),
        ("say `**no**` and **yes**", (24, 0, 0, 1)),
        ("```md\n# no\n- no\n**no**\n```\n# yes", (32, 1, 0, 0)),
        ("~~~\n```\n# no\n~~~ \n- yes", (23, 0, 1, 0)),
        ("# yes\n````\n```\n# never closed", (29, 1, 0, 0)),
    ],
)
def test_an_answer_is_measured_by_its_markdown_outside_code(text: str, look: tuple[int, int, int, int]) -> None:
    assert measure(text) == AnswerLook(*look)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["**", "** a", "__", "`", "```\n", "# ", "- \n", "*a", "1", " ", ">"])
def test_no_text_takes_long_to_measure(piece: str) -> None:
    measure(piece * (100_000 // len(piece)))


def _exact(votes: Votes, models: int) -> tuple[np.ndarray, np.ndarray]:
    """Strengths and coefficients by plain Newton in double precision, one row a vote."""
    difference = ((votes.style_a - votes.style_b) / np.maximum(votes.style_a + votes.style_b, 1)).astype(float)
    difference /= np.sqrt((difference**2).mean(axis=1, keepdims=True))
    design = np.zeros((len(votes.a), models + len(FEATURES)))
    rows = np.arange(len(votes.a))
    design[rows, votes.a], design[rows, votes.b] = 1, -1
    design[:, models:] = difference.T
    parameters = np.zeros(design.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-design @ parameters))
        anchor = 1 / (1 + np.exp(-parameters))
        slope = design.T @ (votes.score - chance) + ANCHOR_VOTES * (0.5 - anchor)
        information = (design.T * (chance * (1 - chance))) @ design + np.diag(ANCHOR_VOTES * anchor * (1 - anchor))
        parameters = parameters + np.linalg.solve(information, slope)
    return parameters[:models], parameters[models:]


@pytest.mark.parametrize("amount", [40, 3_000])
def test_the_fit_is_that_of_newtons_method_on_every_vote(amount: int) -> None:
    votes = simulate(amount, models=5, seed=3)

    fitted = rate_by_style(arranged(votes, 5))

    theta, beta = _exact(votes, 5)
    played = np.bincount(np.r_[votes.a, votes.b], minlength=5)
    expected = 1000 + ELO_PER_LOGIT * (theta - theta @ played / played.sum())
    np.testing.assert_allclose(fitted.rating, expected, atol=0.01)
    np.testing.assert_allclose([effect.coefficient for effect in fitted.effects], beta, atol=1e-4)


@pytest.mark.parametrize("amount", [3, 6, 12])
def test_a_handful_of_votes_in_which_style_explains_more_than_all_is_fitted_too(amount: int) -> None:
    for seed in range(15):
        votes = simulate(amount, models=4, seed=seed, true=(9.0, 0.0, 0.0, 0.0))

        fitted = rate_by_style(arranged(votes, 4))

        theta, _ = _exact(votes, 4)
        played = np.bincount(np.r_[votes.a, votes.b], minlength=4)
        expected = 1000 + ELO_PER_LOGIT * (theta - theta @ played / played.sum())
        np.testing.assert_allclose(fitted.rating[played > 0], expected[played > 0], atol=0.01)


def test_a_large_arena_begun_on_a_sample_ends_at_the_same_fit() -> None:
    votes = simulate(120_000, models=6, seed=4)

    fitted = rate_by_style(arranged(votes, 6))

    theta, beta = _exact(votes, 6)
    np.testing.assert_allclose(fitted.rating - fitted.rating[0], ELO_PER_LOGIT * (theta - theta[0]), atol=0.02)
    np.testing.assert_allclose([effect.coefficient for effect in fitted.effects], beta, atol=1e-4)


def test_true_coefficients_are_recovered_and_nine_in_ten_or_more_lie_in_their_intervals() -> None:
    runs = [rate_by_style(arranged(simulate(4_000, models=6, seed=seed), 6)).effects for seed in range(50)]

    means = np.mean([[effect.coefficient for effect in effects] for effects in runs], axis=0)
    held = np.mean([[e.low <= t <= e.high for e, t in zip(effects, TRUE, strict=True)] for effects in runs])
    np.testing.assert_allclose(means, TRUE, atol=0.03)
    assert 0.9 <= held <= 0.99


@pytest.mark.slow
def test_few_people_with_tastes_of_their_own_widen_the_intervals_until_they_hold_what_everybody_thinks() -> None:
    coefficients, ratings, plain = coverage(people=25, each=40, taste=0.6, runs=40)

    assert 0.9 <= coefficients <= 0.99
    assert 0.9 <= ratings <= 0.99
    assert plain < 0.85


@pytest.mark.parametrize("unknown", [False, True])
def test_a_voters_votes_count_as_one_persons_and_unknown_ones_as_many(unknown: bool) -> None:
    """Five people each say ten times the same; the same votes of nobody in particular are fifty people's."""
    votes = simulate(300, models=4, seed=5, people=30)
    tenfold = replace(
        votes,
        **{name: np.repeat(getattr(votes, name), 10, axis=-1) for name in ("a", "b", "score", "style_a", "style_b")},
        voter=np.full(3_000, -1) if unknown else np.repeat(votes.voter, 10),
    )

    once, repeated = (rate_by_style(arranged(given, 4)) for given in (votes, tenfold))

    ratio = np.mean((repeated.high - repeated.low) / (once.high - once.low))
    assert ratio < 0.4 if unknown else 0.8 < ratio < 1.2


def test_ratings_are_those_of_equal_looks_where_plain_ratings_reward_length() -> None:
    """Two equally good models; one writes four times as much, and length wins votes."""
    rng = np.random.default_rng(2)
    amount = 4_000
    lengths = np.zeros((2, 4, amount), np.float32)
    lengths[:, 0] = [[1200], [300]] * rng.lognormal(0, 0.5, (2, amount))
    a, b = np.zeros(amount, np.int64), np.ones(amount, np.int64)
    relative = (lengths[0, 0] - lengths[1, 0]) / (lengths[0, 0] + lengths[1, 0])
    score = (rng.random(amount) < 1 / (1 + np.exp(-1.5 * relative))).astype(np.float32)

    fitted = rate_by_style(arrange(2, a, b, score, lengths[0], lengths[1], np.arange(amount)))
    wins = np.array([[0, int(score.sum())], [amount - int(score.sum()), 0]])
    plain = rate(wins, np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64))

    assert plain.rating[0] - plain.rating[1] > 100
    assert fitted.low[0] < fitted.rating[1] < fitted.high[0]
    assert fitted.effects[0].points == pytest.approx(ELO_PER_LOGIT * 1.5 / 3, rel=0.25)
    assert fitted.effects[0].sentence.startswith(
        f"An answer twice as long is worth +{fitted.effects[0].points:.0f} points"
    )
    assert fitted.effects[1].sentence == "Twice as many headings: no votes on answers that differ in this yet."


def test_without_differences_in_style_the_ratings_are_the_plain_ones() -> None:
    votes = simulate(600, models=4, seed=8)
    same, zero = np.ones_like(votes.style_a), np.zeros_like(votes.voter)  # one person: nothing to cluster
    decided = votes.score != 0.5
    wins, ties = np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int64)
    won = votes.score == 1
    np.add.at(wins, (np.where(won, votes.a, votes.b)[decided], np.where(won, votes.b, votes.a)[decided]), 1)
    np.add.at(ties, (votes.a[~decided], votes.b[~decided]), 1)

    fitted = rate_by_style(arrange(4, votes.a, votes.b, votes.score, same, same, zero))

    plain = rate(wins, ties + ties.T, np.zeros_like(ties))
    np.testing.assert_allclose(fitted.rating, plain.rating, atol=0.01)
    np.testing.assert_allclose(fitted.high - fitted.low, plain.high - plain.low, rtol=0.1)


def test_which_side_is_called_a_changes_nothing() -> None:
    votes = simulate(500, models=4, seed=6)

    one = rate_by_style(arranged(votes, 4))
    other = rate_by_style(arrange(4, votes.b, votes.a, 1 - votes.score, votes.style_b, votes.style_a, votes.voter))

    np.testing.assert_allclose(one.rating, other.rating, atol=1e-3)


def test_votes_put_among_others_are_fitted_as_all_of_them_at_once() -> None:
    votes = simulate(900, models=6, seed=4)
    whole = rate_by_style(arranged(votes, 6))
    # Model 5 comes with the newest votes only.
    early = (votes.a < 5) & (votes.b < 5) & (np.arange(900) < 700)
    old, new = (part_of(votes, some) for some in (early, ~early))

    both = together(arranged(old, 5), arranged(new, 6))

    fitted = rate_by_style(both, rate_by_style(arranged(old, 6)))
    np.testing.assert_allclose(fitted.rating, whole.rating, atol=1e-3)
    np.testing.assert_allclose(fitted.high, whole.high, atol=1e-2)
    assert [e.points for e in fitted.effects] == pytest.approx([e.points for e in whole.effects], abs=1e-2)
    assert rate_by_style(together(both, arranged(old, 5))).votes == 900 + len(old.a)


def test_a_few_votes_that_all_went_to_the_longer_answer_give_a_finite_and_modest_effect() -> None:
    zero, one = np.zeros(3, np.int64), np.ones(3, np.int64)
    long = np.full((4, 3), 9, np.float32)

    fitted = rate_by_style(arrange(3, zero, one, np.ones(3, np.float32), long, long / np.float32(9), zero))

    assert 0 < fitted.effects[0].coefficient < 3
    assert fitted.effects[0].points_low < 0
    assert "may be nothing" in fitted.effects[0].sentence
    assert np.isnan(fitted.rating).tolist() == [False, False, True]


def test_an_arena_without_votes_has_no_ratings() -> None:
    none = np.zeros(0, np.int64)
    empty = np.zeros(0, np.float32)

    fitted = rate_by_style(arrange(2, none, none, empty, empty.reshape(4, 0), empty.reshape(4, 0), none))

    assert np.isnan(fitted.rating).all()
    assert not any(effect.seen for effect in fitted.effects)
    assert isinstance(arranged(simulate(5, 3, 1), 3), StyleVotes)


@pytest.fixture
def control(any_database: Database) -> Iterator[StyleControl]:
    style = StyleControl(any_database)
    yield style
    style.close()


def _styles(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(AnswerStyle)) or 0


def test_standings_follow_the_votes_whose_answers_are_here(any_database: Database, control: StyleControl) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    empty = control.refresh()
    for turn in range(8):
        winner = Winner.MODEL_A if turn < 6 else Winner.TIE
        add_vote(any_database, heron, wren, winner, turns=(("Name a bird.", WORDY, SHORT),))
        add_vote(any_database, wren, heron, winner, turns=(("One.", WORDY, SHORT), ("Another.", WORDY, SHORT)))
    add_vote(any_database, heron, wren, Winner.MODEL_A, mode=Mode.IMPORTED, turns=())
    add_vote(any_database, heron, wren, Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False)

    full = control.refresh()

    assert empty is not None
    assert (empty.rows, empty.votes) == ([], 0)
    assert full is not None
    assert (full.votes, full.left_out) == (16, 1)
    assert {row.model_id: row.votes for row in full.rows} == {"heron": 16, "wren": 16}
    assert full.rows[0].rating == pytest.approx(full.rows[1].rating, abs=0.1)
    assert full.effects[0].points > 50
    assert full.sequence == latest_sequence(any_database)
    assert full.as_json()["effects"][0]["sentence"].startswith("An answer twice as long is worth +")


def test_answers_are_measured_once_and_only_new_votes_are_read(any_database: Database, control: StyleControl) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    add_vote(any_database, heron, wren, Winner.MODEL_A, turns=(("?", LONG, SHORT),))
    first = control.refresh()
    again = control.refresh()
    with any_database.write() as session:
        for style in session.scalars(select(AnswerStyle)):
            style.characters = 7_000_000  # a second measurement would undo this
    add_vote(any_database, heron, wren, Winner.MODEL_B, turns=(("?", SHORT, SHORT),))

    kept = control.refresh()
    restarted = StyleControl(any_database)
    fresh = restarted.refresh()

    assert again is first
    assert kept is not None
    assert kept.votes == 2
    assert _styles(any_database) == 4
    assert fresh is not None
    assert fresh.votes == 2
    with any_database.read() as session:
        assert session.scalar(select(func.max(AnswerStyle.characters))) == 7_000_000
    restarted.close()


def test_a_vote_that_no_longer_counts_leaves_the_fit_and_comes_back(
    any_database: Database, control: StyleControl
) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    battles = [add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna") for _ in range(3)]
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="ben")
    votes = [control.refresh()]

    withdraw(any_database, battles[0], "anna")
    votes.append(control.refresh())
    decide(any_database, "anna", VoterVerdict.HOLD, "reason")
    add_vote(any_database, heron, wren, Winner.MODEL_B, voter="ben")
    votes.append(control.refresh())
    decide(any_database, "anna", VoterVerdict.COUNT, "reason")
    votes.append(control.refresh())

    assert [standings.votes for standings in votes if standings] == [4, 3, 2, 4]


def test_a_stopped_measurement_goes_on_where_it_was(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    amount = 3
    turns = tuple(("?", LONG, SHORT) for _ in range(PORTION // 4))
    for _ in range(amount):
        add_vote(any_database, heron, wren, Winner.MODEL_A, turns=turns)
    stopped = StyleControl(any_database)
    stopped.close()
    assert stopped.refresh() is None
    assert stopped.standings() is None

    whole = StyleControl(any_database)
    standings = whole.refresh()

    assert standings is not None
    assert standings.votes == amount
    assert _styles(any_database) == 2 * amount * len(turns) > PORTION
    whole.close()


def test_whoever_looks_gets_the_latest_at_once_and_starts_the_next(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A)
    style = StyleControl(database)

    assert style.standings() is None
    running = [thread for thread in threading.enumerate() if thread.name == "style"]
    for thread in running:
        thread.join(20)

    assert len(running) == 1
    latest = style.standings()
    assert latest is not None
    assert latest.votes == 1
    style.close()


def test_two_processes_may_measure_the_same_answers(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    for _ in range(20):
        add_vote(any_database, heron, wren, Winner.TIE, turns=(("?", LONG, SHORT),))
    styles = [StyleControl(any_database) for _ in range(3)]
    threads = [threading.Thread(target=style.refresh) for style in styles]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert _styles(any_database) == 40
    assert [style.standings() is not None for style in styles] == [True] * 3
    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Vote)) == 20
    for style in styles:
        style.close()
