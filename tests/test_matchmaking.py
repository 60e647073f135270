import asyncio
import math
import random
import threading
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from sqlalchemy import event

from arena.battle.beside import Beside
from arena.battle.casting import Casting
from arena.database import Database
from arena.draw_forecast import foretell
from arena.errors import BattleError
from arena.evidence import VoteEvidence, read_evidence
from arena.fleet import Fleet
from arena.matchmaking import (
    EVEN_SHARE,
    FEW_VOTES,
    TARGET_BOOST,
    Evidence,
    PairChances,
    Rules,
    Strategy,
    draw_replacement,
    pair_chances,
    seat_pair,
)
from arena.providers.demo import demo_roster
from arena.providers.factory import build_providers
from arena.ratings import ELO_PER_LOGIT, rate
from arena.tables import Mode, Winner
from tests.arena_facts import add_models, add_vote
from tests.conftest import SettingsFactory

FOUR = {"tortoise": 1.0, "hare": 1.0, "fox": 1.0, "heron": 1.0}
DRAWS = 24_000


def _chances(
    weights: dict[str, float],
    targets: dict[str, tuple[str, ...]] | None = None,
    excludes: dict[str, tuple[str, ...]] | None = None,
    *,
    strategy: Strategy = "uniform",
    evidence: Evidence | None = None,
) -> PairChances:
    return pair_chances(strategy, evidence or Evidence(), Rules(weights, targets or {}, excludes or {}))


def _counts(chances: PairChances) -> Counter[tuple[str, str]]:
    rng = random.Random(7)
    return Counter(seat_pair(chances, rng) for _ in range(DRAWS))


def _of(chances: PairChances, a: str, b: str) -> float:
    """The chance of one pair, 0 where it cannot meet."""
    pairs = zip(chances.first, chances.second, chances.chance, strict=True)
    return sum(float(c) for i, j, c in pairs if {chances.models[i], chances.models[j]} == {a, b})


def _off(count: int, share: float) -> float:
    """How many standard deviations a count lies from what its share promises."""
    return abs(count - DRAWS * share) / math.sqrt(DRAWS * share * (1 - share))


def _evidence(models: dict[str, float], votes: int, spread: float = 10.0) -> Evidence:
    """Ratings known to `spread` points each, every pair having met `votes` times."""
    n = len(models)
    met = np.full((n, n), votes) - votes * np.eye(n, dtype=np.int64)
    return Evidence(tuple(models), met, met.sum(axis=1), np.array(list(models.values())), np.eye(n) * spread**2)


def test_every_pair_and_every_seating_is_equally_likely() -> None:
    counts = _counts(_chances(FOUR))

    assert set(counts) == set(permutations(FOUR, 2))
    assert max(_off(count, 1 / 12) for count in counts.values()) < 4


def test_a_pair_is_drawn_as_often_as_its_weights_say() -> None:
    chances = _chances({"tortoise": 2.0, "hare": 1.0, "fox": 1.0})

    assert _of(chances, "tortoise", "hare") == pytest.approx(2 / 5)
    assert _of(chances, "hare", "fox") == pytest.approx(1 / 5)


def test_a_retired_model_is_never_drawn() -> None:
    counts = _counts(_chances({**FOUR, "fox": 0.0}))

    assert all("fox" not in pair for pair in counts)


@pytest.mark.parametrize("strategy", ["uniform", "separate", "leader"])
def test_models_that_exclude_each_other_never_meet_whoever_says_so(strategy: Strategy) -> None:
    even = _evidence(dict.fromkeys(FOUR, 1000.0), votes=50)

    counts = _counts(_chances(FOUR, excludes={"hare": ("tortoise",)}, strategy=strategy, evidence=even))

    assert all(set(pair) != {"hare", "tortoise"} for pair in counts)
    assert len(counts) == 10


@pytest.mark.parametrize("strategy", ["uniform", "separate"])
def test_a_target_is_preferred_whoever_names_it_and_once_if_both_do(strategy: Strategy) -> None:
    chances = _chances(FOUR, targets={"fox": ("heron",), "heron": ("fox", "nobody")}, strategy=strategy)

    assert _of(chances, "fox", "heron") == pytest.approx(TARGET_BOOST / (TARGET_BOOST + 5))


@pytest.mark.parametrize("weights", [{}, {"hare": 1.0}, {"hare": 1.0, "fox": 0.0}])
def test_one_model_is_no_battle(weights: dict[str, float]) -> None:
    with pytest.raises(BattleError, match="two models"):
        _chances(weights)


def test_two_models_that_never_meet_are_no_battle() -> None:
    with pytest.raises(BattleError, match="two models"):
        _chances({"hare": 1.0, "fox": 1.0}, {}, {"hare": ("fox",)})


def test_a_replacement_is_neither_the_opponent_nor_tried_nor_excluded() -> None:
    rng = random.Random(3)
    drawn = {draw_replacement("hare", ["fox"], FOUR, {}, {}, rng) for _ in range(200)}
    barred = draw_replacement("hare", ["fox"], FOUR, {}, {"heron": ("hare",), "tortoise": ("hare",)}, rng)

    assert drawn == {"tortoise", "heron"}
    assert barred is None


def test_nobody_is_left_when_all_were_tried() -> None:
    assert draw_replacement("hare", ["fox", "heron", "tortoise"], FOUR, {}, {}, random.Random(1)) is None


def test_separate_asks_about_pairs_that_are_not_told_apart_and_keeps_an_eye_on_the_others() -> None:
    known = _evidence({"tortoise": 1200.0, "hare": 1000.0, "fox": 995.0, "heron": 800.0}, votes=50)

    chances = _chances(FOUR, strategy="separate", evidence=known)

    assert chances.open.sum() == 1
    assert _of(chances, "hare", "fox") == pytest.approx(1 - EVEN_SHARE + EVEN_SHARE / 6)
    assert _of(chances, "tortoise", "heron") == pytest.approx(EVEN_SHARE / 6)


def test_separate_draws_evenly_before_there_are_votes_and_when_all_is_settled() -> None:
    settled = _evidence({"tortoise": 1300.0, "hare": 1100.0, "fox": 900.0, "heron": 700.0}, votes=50)

    for evidence in (Evidence(), settled):
        assert _chances(FOUR, strategy="separate", evidence=evidence).chance == pytest.approx(np.full(6, 1 / 6))


def test_a_pair_with_few_votes_is_asked_about_whatever_the_ratings_say() -> None:
    ratings = {"tortoise": 1300.0, "hare": 1100.0, "fox": 900.0, "heron": 700.0}

    young = _chances(FOUR, strategy="separate", evidence=_evidence(ratings, votes=FEW_VOTES - 1))
    older = _chances(FOUR, strategy="separate", evidence=_evidence(ratings, votes=FEW_VOTES))

    assert young.open.all()
    assert not older.open.any()


def test_models_that_many_others_know_need_not_meet_to_be_told_apart() -> None:
    twenty = {f"m{i}": 1000.0 + 50 * i for i in range(20)}
    known = _evidence(twenty, votes=2)

    assert not _chances(dict.fromkeys(twenty, 1.0), strategy="separate", evidence=known).open.any()


@pytest.mark.parametrize("strategy", ["separate", "leader"])
def test_a_newly_added_model_gets_most_of_the_battles_until_it_is_placed(strategy: Strategy) -> None:
    settled = _evidence({"tortoise": 1300.0, "hare": 1100.0, "fox": 900.0, "heron": 700.0}, votes=50)

    counts = _counts(_chances({**FOUR, "newcomer": 1.0}, strategy=strategy, evidence=settled))

    assert sum(count for pair, count in counts.items() if "newcomer" in pair) > 0.9 * DRAWS


def test_leader_draws_the_best_against_those_it_does_not_surely_beat() -> None:
    known = _evidence({"tortoise": 1000.0, "hare": 1035.0, "fox": 1035.5, "heron": 900.0}, votes=50)

    chances = _chances(FOUR, strategy="leader", evidence=known)

    assert chances.leader == "fox"
    assert chances.open.sum() == 2  # 35 points are 2.5 standard errors, which settle no lead
    assert _of(chances, "fox", "tortoise") == pytest.approx((1 - EVEN_SHARE) / 2 + EVEN_SHARE / 6)
    assert _of(chances, "fox", "heron") == pytest.approx(EVEN_SHARE / 6)


def test_the_forecast_says_what_is_open_and_what_comes_next() -> None:
    known = _evidence({"tortoise": 1200.0, "hare": 1000.0, "fox": 995.0, "heron": 800.0}, votes=50)
    names = {"hare": "The Hare", "fox": "The Fox"}

    plain = Rules(FOUR, {}, {})
    separate = foretell(_chances(FOUR, strategy="separate", evidence=known), plain, names)
    leader = foretell(_chances(FOUR, strategy="leader", evidence=known), plain, names)
    uniform = foretell(_chances(FOUR), plain, names, most=1)

    assert separate.sentence.startswith(
        "1 of 6 pairs are not separated yet; next likely: The Hare vs The Fox 92%, tortoise vs The Hare 2%"
    )
    assert leader.sentence.startswith("tortoise leads surely: drawn from all 6 pairs by weight")
    assert uniform.sentence == "Drawn from all 6 pairs by weight; next likely: tortoise vs The Hare 17%."
    assert uniform.rules == []


def test_a_forecast_tells_what_the_roster_does_to_the_draw() -> None:
    weights = {**FOUR, "fox": 2.5, "heron": 0.0}
    rules = Rules(weights, {"fox": ["hare"], "hare": ["fox"]}, {"tortoise": ["fox", "heron"]})

    forecast = foretell(pair_chances("uniform", _evidence({}, votes=0), rules), rules, {"hare": "The Hare"})

    assert forecast.rules == [
        "Weights other than 1: fox 2.5.",
        "Drawn 4 times as often, as targets: fox and The Hare.",
        "Excluded, never drawn: fox and tortoise.",
    ]


def _votes_until_separated(strategy: Strategy, seed: int) -> tuple[int, np.ndarray]:
    """Votes until all pairs of four models pass the 95% test, and their ratings then."""
    rng = np.random.default_rng(seed)
    chance = random.Random(seed)
    truth = np.array([240.0, 80.0, 0.0, -80.0]) / ELO_PER_LOGIT
    wins = np.zeros((4, 4), np.int64)
    none = np.zeros_like(wins)
    names = list(FOUR)
    chances = _chances(FOUR, strategy=strategy, evidence=Evidence())
    for votes in range(1, 4000):
        a, b = (names.index(name) for name in seat_pair(chances, chance))
        won = rng.random() < 1 / (1 + np.exp(truth[b] - truth[a]))
        wins[(a, b) if won else (b, a)] += 1
        if votes % 20:
            continue
        rated = rate(wins, none, none)
        met = wins + wins.T
        evidence = Evidence(names, met, met.sum(axis=1), rated.rating, rated.covariance)
        chances = _chances(FOUR, strategy=strategy, evidence=evidence)
        if (met[~np.eye(4, dtype=bool)] >= FEW_VOTES).all() and not _chances(
            FOUR, strategy="separate", evidence=evidence
        ).open.any():
            return votes, rated.rating
    raise AssertionError("never separated")


@pytest.mark.slow
def test_separate_tells_four_models_apart_with_far_fewer_votes_and_leaves_the_ratings_alone() -> None:
    """Gaps of 160, 80 and 80 points: the close pairs need most of the votes."""
    separate = [_votes_until_separated("separate", seed) for seed in range(12)]
    uniform = [_votes_until_separated("uniform", seed) for seed in range(12)]

    assert sum(votes for votes, _ in separate) < 0.8 * sum(votes for votes, _ in uniform)


@pytest.mark.slow
def test_separate_does_not_bend_the_ratings() -> None:
    """After 400 votes each, drawn by `separate`, the mean estimate of each model is its true rating."""
    truth = np.array([150.0, 20.0, 0.0, -170.0])
    estimates = np.array([_rated_after(400, truth, seed) for seed in range(40)])

    off = estimates.mean(axis=0) - truth
    noise = estimates.std(axis=0) / math.sqrt(len(estimates))
    assert (np.abs(off) < 4 * noise).all()


def _rated_after(votes: int, truth: np.ndarray, seed: int) -> np.ndarray:
    """Estimates on the scale of the truth, after votes drawn by `separate`."""
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    names = list(FOUR)
    wins = np.zeros((4, 4), np.int64)
    none = np.zeros_like(wins)
    evidence = Evidence()
    for _ in range(votes // 20):
        chances = _chances(FOUR, strategy="separate", evidence=evidence)
        for _ in range(20):
            a, b = (names.index(name) for name in seat_pair(chances, chance))
            won = rng.random() < 1 / (1 + 10 ** ((truth[b] - truth[a]) / 400))
            wins[(a, b) if won else (b, a)] += 1
        rated = rate(wins, none, none)
        met = wins + wins.T
        evidence = Evidence(names, met, met.sum(axis=1), rated.rating, rated.covariance)
    return np.asarray(rated.rating - rated.rating.mean() + truth.mean())


def test_the_evidence_is_that_of_each_models_newest_revision(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    for _ in range(3):
        add_vote(any_database, heron, wren, Winner.MODEL_A)
    (renewed,) = add_models(any_database, "heron")
    add_models(any_database, "wren", platform="imported")
    add_vote(any_database, renewed, wren, Winner.TIE)
    add_vote(any_database, heron, wren, Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False)

    evidence = read_evidence(any_database)

    assert sorted(evidence.models) == ["heron", "wren"]
    assert evidence.votes.sum() == 2
    assert dict(zip(evidence.models, evidence.known, strict=True)) == {"heron": 1, "wren": 4}


def test_evidence_is_read_again_after_a_vote_and_only_then(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    known = VoteEvidence(database)
    assert len(known.latest.models) == 0

    add_vote(database, heron, wren, Winner.MODEL_A)
    known.refresh()
    first = known.latest
    known.refresh()

    assert first.votes.sum() == 2
    assert known.latest is first
    add_vote(database, heron, wren, Winner.MODEL_A)
    known.refresh()
    assert known.latest.votes.sum() == 4


async def test_many_votes_are_learnt_of_together_and_none_is_overlooked(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    known = VoteEvidence(database)
    beside = Beside(database, known, learns=True)
    reads = 0

    @event.listens_for(database.engine, "checkout")
    def note(*_: object) -> None:
        nonlocal reads
        reads += threading.current_thread().name.startswith("database")

    for _ in range(10):
        add_vote(database, heron, wren, Winner.MODEL_A)
        beside.learn()
        await asyncio.sleep(0)
    await beside.finish()

    assert known.latest.votes.sum() == 20
    assert reads <= 2 + 1  # twice the votes, once the models


async def test_casting_follows_the_evidence_and_forecasts_what_it_draws(make_settings: SettingsFactory) -> None:
    settings = make_settings(demo=True)
    roster = demo_roster()
    fleet = Fleet(roster, build_providers(settings, roster), settings)
    await fleet.prepare()
    first, second, third = sorted(fleet.drawable())
    known = Evidence()
    casting = Casting(fleet, random.Random(1), "separate", lambda: known)
    drawn_before = {frozenset(casting.pair()) for _ in range(100)}

    known = _evidence({first: 1200.0, second: 1000.0, third: 1000.0}, votes=50)
    drawn = Counter(frozenset(casting.pair()) for _ in range(200))

    assert drawn_before == {frozenset(pair) for pair in combinations((first, second, third), 2)}
    assert drawn[frozenset({second, third})] > 160
    assert casting.forecast().open == 1
    await fleet.aclose()
