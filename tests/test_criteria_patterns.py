"""Which criterion goes with the overall vote, and whether one impression colours all criteria, on simulated voters."""

import numpy as np
import pytest

from arena.criteria_patterns import NOT_RATED, CriteriaVotes, associations, halo, share, wilson


def votes_of(overall: list[int], *rows: list[int], voters: list[int] | None = None) -> CriteriaVotes:
    """One vote a row; each of `rows` holds a vote's verdicts on the criteria."""
    own = voters or list(range(len(overall)))
    return CriteriaVotes(np.array(own), np.array(overall), np.array(rows), np.ones(len(overall), np.int64))


def test_a_criterion_goes_with_the_vote_another_against_it_and_a_third_is_open() -> None:
    rng = np.random.default_rng(3)
    overall = rng.choice([1, -1], 200)
    agreeing = np.where(rng.random(200) < 0.8, overall, -overall)
    opposing = np.where(rng.random(200) < 0.3, overall, -overall)
    votes = CriteriaVotes(
        np.arange(200), overall, np.stack([agreeing, opposing, rng.choice([1, -1], 200)], axis=1), np.ones(200, int)
    )

    with_it, against, neither = (found.sentence for found in associations(votes))

    assert with_it.startswith("Goes with the overall vote")
    assert against.startswith("Goes against the overall vote")
    assert neither.startswith("It is open")


def test_what_was_not_rated_or_is_even_is_not_taken_for_a_side() -> None:
    votes = votes_of([1, 1, 0, -1], [1, NOT_RATED], [0, NOT_RATED], [1, NOT_RATED], [-1, 1])

    first, second = associations(votes)

    assert first.same is not None
    assert (first.rated, first.same.votes, first.same.value) == (4, 2, 1.0)
    assert (second.rated, second.same and second.same.value) == (1, 0.0)
    assert first.sentence.startswith("Too few votes")


def test_a_voter_who_gives_all_criteria_to_one_side_is_told_from_one_who_weighs_each() -> None:
    rng = np.random.default_rng(4)
    side = rng.choice([1, -1], 60)
    coloured = CriteriaVotes(np.zeros(60, int), side, np.repeat(side[:, None], 4, axis=1), np.ones(60, int))
    weighed = CriteriaVotes(np.zeros(60, int), side, rng.choice([1, -1], (60, 4)), np.ones(60, int))

    assert halo(coloured).sentence.startswith("Criteria hang together: all criteria name the same side in 100%")
    assert halo(coloured).independent == pytest.approx(0.125, abs=0.02)
    assert halo(weighed).sentence.startswith("No halo shows")


def test_who_always_picks_one_side_shows_no_halo_beyond_that_side() -> None:
    left = CriteriaVotes(np.zeros(1, int), np.ones(1, int), np.ones((1, 4), int), np.array([40]))

    assert halo(left).independent == pytest.approx(0.95, abs=0.02)


def test_many_votes_of_few_people_make_a_wider_interval() -> None:
    happened = np.repeat([True, False], 50)
    alone = share(happened, np.arange(100), np.ones(100, np.int64))
    grouped = share(happened, np.repeat(np.arange(10), 10), np.ones(100, np.int64))

    assert alone is not None
    assert grouped is not None
    assert (alone.low, alone.high) == pytest.approx((0.404, 0.596), abs=1e-3)
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)
    assert share(happened[:0], np.zeros(0, np.int64), np.zeros(0, np.int64)) is None


def test_wilsons_interval_is_the_published_one() -> None:
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe, Stat. Med. 17, 1998
