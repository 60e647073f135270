import math
import random
from collections import Counter
from itertools import permutations

import pytest

from arena.errors import BattleError
from arena.matchmaking import TARGET_BOOST, draw_pair, draw_replacement

FOUR = {"tortoise": 1.0, "hare": 1.0, "fox": 1.0, "heron": 1.0}
DRAWS = 24_000


def _counts(
    weights: dict[str, float],
    targets: dict[str, tuple[str, ...]] | None = None,
    excludes: dict[str, tuple[str, ...]] | None = None,
) -> Counter[tuple[str, str]]:
    rng = random.Random(7)
    return Counter(draw_pair(weights, targets or {}, excludes or {}, rng) for _ in range(DRAWS))


def _off(count: int, share: float) -> float:
    """How many standard deviations a count lies from what its share promises."""
    return abs(count - DRAWS * share) / math.sqrt(DRAWS * share * (1 - share))


def test_every_pair_and_every_seating_is_equally_likely() -> None:
    counts = _counts(FOUR)

    assert set(counts) == set(permutations(FOUR, 2))
    assert max(_off(count, 1 / 12) for count in counts.values()) < 4


def test_a_pair_is_drawn_as_often_as_its_weights_say() -> None:
    counts = _counts({"tortoise": 2.0, "hare": 1.0, "fox": 1.0})

    pairs = Counter(frozenset(pair) for pair in counts.elements())
    assert _off(pairs[frozenset({"tortoise", "hare"})], 2 / 5) < 4
    assert _off(pairs[frozenset({"hare", "fox"})], 1 / 5) < 4


def test_a_retired_model_is_never_drawn() -> None:
    counts = _counts({**FOUR, "fox": 0.0})

    assert all("fox" not in pair for pair in counts)


def test_models_that_exclude_each_other_never_meet_whoever_says_so() -> None:
    counts = _counts(FOUR, excludes={"hare": ("tortoise",)})

    assert all(set(pair) != {"hare", "tortoise"} for pair in counts)
    assert max(_off(count, 1 / 10) for count in counts.values()) < 4


def test_a_target_is_preferred_whoever_names_it() -> None:
    counts = _counts(FOUR, targets={"fox": ("heron",)})

    pairs = Counter(frozenset(pair) for pair in counts.elements())
    assert _off(pairs[frozenset({"fox", "heron"})], TARGET_BOOST / (TARGET_BOOST + 5)) < 4


@pytest.mark.parametrize("weights", [{}, {"hare": 1.0}, {"hare": 1.0, "fox": 0.0}])
def test_one_model_is_no_battle(weights: dict[str, float]) -> None:
    with pytest.raises(BattleError, match="two models"):
        draw_pair(weights, {}, {}, random.Random(1))


def test_two_models_that_never_meet_are_no_battle() -> None:
    with pytest.raises(BattleError, match="two models"):
        draw_pair({"hare": 1.0, "fox": 1.0}, {}, {"hare": ("fox",)}, random.Random(1))


def test_a_replacement_is_neither_the_opponent_nor_tried_nor_excluded() -> None:
    rng = random.Random(3)
    drawn = {draw_replacement("hare", ["fox"], FOUR, {}, {}, rng) for _ in range(200)}
    barred = draw_replacement("hare", ["fox"], FOUR, {}, {"heron": ("hare",), "tortoise": ("hare",)}, rng)

    assert drawn == {"tortoise", "heron"}
    assert barred is None


def test_nobody_is_left_when_all_were_tried() -> None:
    assert draw_replacement("hare", ["fox", "heron", "tortoise"], FOUR, {}, {}, random.Random(1)) is None
