"""Unlikely voters: found soon where they are, and hardly anybody else; by simulation with fixed seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from arena.side_bias import side_bias
from arena.usual_votes import VoteTable
from arena.voter_patterns import CheckState, Pattern, check_voters

STRENGTHS = np.array([0.9, 0.3, -0.3, -0.9])
"""310 points from the best of four models to the last."""

Choice = Callable[[np.random.Generator, int, int, float], float]
"""How a voter scores a battle of two models, given the honest chance of the first."""


def _honest(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    return 0.5 if rng.random() < 0.15 else float(rng.random() < chance)


def _hesitant(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    return 0.5 if rng.random() < 0.45 else float(rng.random() < chance)


def _left(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    return 1.0


def _fan(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    """Votes for model 2 whenever it plays."""
    return 1.0 if a == 2 else 0.0 if b == 2 else _honest(rng, a, b, chance)


def _foe(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    """Votes against model 1 whenever it plays."""
    return 0.0 if a == 1 else 1.0 if b == 1 else _honest(rng, a, b, chance)


def _inverted(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    return _honest(rng, a, b, 1 - chance)


def _undecided(rng: np.random.Generator, a: int, b: int, chance: float) -> float:
    return 0.5


def _table(
    choices: Sequence[tuple[Choice, int]], seed: int, strengths: NDArray[np.float64] = STRENGTHS, leaning: float = 0.0
) -> VoteTable:
    """Votes of one voter after the other, each with a way to choose and a number of votes."""
    rng = np.random.default_rng(seed)
    strong, models = strengths.tolist(), len(strengths)
    rows = []
    for voter, (choose, votes) in enumerate(choices):
        for _ in range(votes):
            a = int(rng.integers(models))
            b = (a + int(rng.integers(1, models))) % models
            chance = 1 / (1 + math.exp(strong[b] - strong[a] - leaning))
            rows.append((voter, a, b, choose(rng, a, b, chance)))
    voter_of, a_side, b_side, score = zip(*rows, strict=True)
    return VoteTable(
        voter=np.array(voter_of),
        a=np.array(a_side),
        b=np.array(b_side),
        score=np.array(score),
        counted=np.ones(len(rows), dtype=bool),
        voters=len(choices),
        models=models,
    )


def _found(choose: Choice, votes: int = 20) -> tuple[float, set[Pattern | None]]:
    """The share of 20 such voters that is flagged among 40 honest ones, one at a time, and as what."""
    flagged = [check_voters(_table([(_honest, 20)] * 40 + [(choose, votes)], seed))[-1] for seed in range(20)]
    return float(np.mean([check.state is CheckState.FLAGGED for check in flagged])), {c.pattern for c in flagged}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choose", "share", "pattern"),
    [
        (_left, 1.0, Pattern.SIDE_A),
        (_fan, 0.75, Pattern.MODEL),
        (_foe, 0.75, Pattern.AGAINST),
        (_inverted, 0.6, Pattern.INVERTED),
        (_undecided, 1.0, Pattern.TIE),
    ],
)
def test_twenty_votes_give_an_unlikely_voter_away(choose: Choice, share: float, pattern: Pattern) -> None:
    found, patterns = _found(choose)

    assert found >= share
    assert pattern in patterns


@pytest.mark.parametrize("choose", [_honest, _hesitant])
@pytest.mark.parametrize("leaning", [0.0, 0.4])
def test_at_most_one_honest_voter_in_twenty_is_flagged(choose: Choice, leaning: float) -> None:
    """Also where everybody leans to one side, and where voters call a tie three times as often as usual."""
    checks = [c for seed in range(6) for c in check_voters(_table([(choose, 30)] * 60, seed, leaning=leaning))]

    assert np.mean([check.state is CheckState.FLAGGED for check in checks]) <= 0.05


def test_few_votes_of_others_do_not_make_honest_voters_suspicious() -> None:
    checks = [check for seed in range(60) for check in check_voters(_table([(_honest, 15)] * 4, seed))]

    assert {check.state for check in checks} <= {CheckState.PASSED, CheckState.FLAGGED}
    assert np.mean([check.state is CheckState.FLAGGED for check in checks]) <= 0.05


def test_the_busiest_voter_is_held_against_the_others_and_not_against_itself() -> None:
    """Half of all votes are a side-voter's: everybody else looks odd beside it, at the first look."""
    table = _table([(_honest, 25)] * 12 + [(_left, 300)], seed=2)

    checks = check_voters(table)

    assert checks[-1].pattern is Pattern.SIDE_A
    assert sum(check.state is CheckState.FLAGGED for check in checks[:-1]) <= 1


def test_a_check_that_could_not_run_is_neither_passed_nor_flagged() -> None:
    newcomer = check_voters(_table([(_honest, 20)] * 10 + [(_left, 4)], seed=1))[-1]
    alone = check_voters(_table([(_left, 40)], seed=1))[0]

    assert newcomer.state is alone.state is CheckState.UNCHECKED
    assert newcomer.reason == "fewer than 5 votes"
    assert alone.reason == "fewer than 30 decided votes of other people to compare with"


def test_held_votes_are_checked_but_say_nothing_about_usual_votes() -> None:
    table = _table([(_honest, 20)] * 30 + [(_fan, 40)], seed=4)
    held = replace(table, counted=table.voter < 30)

    check = check_voters(held)[-1]

    assert (check.state, check.pattern, check.model) == (CheckState.FLAGGED, Pattern.MODEL, 2)
    assert check.votes == 40
    assert side_bias(held).votes == int((table.score[table.voter < 30] != 0.5).sum())


def test_a_model_that_others_hardly_judged_is_no_reason_to_flag() -> None:
    """It lost the five battles that somebody else saw; the last voter, on random seats, finds it better each time."""
    rng = np.random.default_rng(5)
    table = _table([(_honest, 5), *[(_honest, 20)] * 30, (_honest, 20)], seed=5)
    first, last = table.voter == 0, table.voter == 31
    seat = rng.random(len(table.voter)) < 0.5
    rare = first | last
    new = replace(
        table,
        a=np.where(rare, np.where(seat, 4, 1), table.a),
        b=np.where(rare, np.where(seat, 1, 4), table.b),
        score=np.where(first, ~seat, np.where(last, seat, table.score)),
        models=5,
    )

    assert check_voters(new)[-1].state is CheckState.PASSED


def test_half_of_all_votes_do_not_make_their_voter_usual() -> None:
    """An inverter with as many votes as all others: strengths that held its own votes would hide it."""
    found = [check_voters(_table([(_honest, 10)] * 6 + [(_inverted, 60)], seed))[-1] for seed in range(16)]

    assert np.mean([check.state is CheckState.FLAGGED for check in found]) >= 0.75


def test_the_leaning_of_the_arena_is_measured_with_an_interval_that_holds_it() -> None:
    leaning = 0.3
    truth = 1 / (1 + np.exp(-leaning))

    estimates = [side_bias(_table([(_honest, 20)] * 30, seed, leaning=leaning)) for seed in range(60)]

    assert np.mean([estimate.share for estimate in estimates]) == pytest.approx(truth, abs=0.01)
    assert np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]) >= 0.88


def test_one_persons_leaning_is_not_the_arenas() -> None:
    """A single side-voter with a fifth of the votes widens the interval instead of proving a leaning."""
    bias = side_bias(_table([(_honest, 20)] * 20 + [(_left, 100)], seed=3))

    assert bias.low < 0.5 < bias.share
    assert "no leaning shows" in bias.sentence


def test_an_empty_arena_has_no_leaning_and_nobody_to_check() -> None:
    none = np.zeros(0, np.int64)
    table = VoteTable(none, none, none, np.zeros(0), np.zeros(0, dtype=bool), voters=0, models=0)

    assert check_voters(table) == []
    assert (side_bias(table).low, side_bias(table).high) == (0.0, 1.0)
    assert "nothing is known" in side_bias(table).sentence
