"""Pair counts: added with each vote, read as arrays, and always what the votes say, on every supported database."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from arena import counts
from arena.counts import LiveCounts, PairCounts, add_verdict, next_sequence, read_counts, rebuild_counts, verdicts_of
from arena.database import Database, open_database
from arena.stamps import latest_sequence
from arena.tables import Mode, PairCount, VoteState, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote
from tests.databases import database_of


def test_an_empty_arena_has_no_counts(any_database: Database) -> None:
    counts = read_counts(any_database, ["battle"])

    assert list(counts.revisions) == []
    assert counts.wins.shape == (0, 0)
    assert counts.votes == counts.sequence == latest_sequence(any_database) == 0


def test_a_win_counts_for_the_model_that_won_whichever_side_it_sat_on(any_database: Database) -> None:
    first, second = add_models(any_database, "heron", "wren")

    add_vote(any_database, first, second, Winner.MODEL_A)
    add_vote(any_database, second, first, Winner.MODEL_B)
    add_vote(any_database, second, first, Winner.MODEL_A)

    counts = read_counts(any_database, ["battle"])
    assert list(counts.revisions) == [first, second]
    assert counts.wins.tolist() == [[0, 2], [1, 0]]


def test_ties_and_both_bad_stay_apart_and_are_symmetric(any_database: Database) -> None:
    first, second = add_models(any_database, "heron", "wren")

    add_vote(any_database, first, second, Winner.TIE)
    add_vote(any_database, second, first, Winner.BOTH_BAD)
    add_vote(any_database, second, first, Winner.BOTH_BAD)

    counts = read_counts(any_database, ["battle"])
    assert counts.wins.sum() == 0
    assert counts.ties.tolist() == [[0, 1], [1, 0]]
    assert counts.both_bad.tolist() == [[0, 2], [2, 0]]
    assert counts.votes == 3


def test_scopes_are_added_together_or_read_apart(any_database: Database) -> None:
    first, second = add_models(any_database, "heron", "wren")
    add_vote(any_database, first, second, Winner.MODEL_A)
    add_vote(any_database, first, second, Winner.MODEL_A, mode=Mode.IMPORTED)

    assert read_counts(any_database, ["battle"]).votes == 1
    assert read_counts(any_database, ["battle", "imported"]).wins.tolist() == [[0, 2], [0, 0]]


def test_a_criterion_has_counts_of_its_own(any_database: Database) -> None:
    first, second = add_models(any_database, "heron", "wren")

    add_vote(any_database, first, second, Winner.MODEL_A, criteria={"clarity": "model_b"})

    assert read_counts(any_database, ["battle"]).wins.tolist() == [[0, 1], [0, 0]]
    assert read_counts(any_database, ["battle"], "clarity").wins.tolist() == [[0, 0], [1, 0]]
    assert read_counts(any_database, ["battle"], "warmth").votes == 0


def test_a_withdrawn_vote_is_taken_back(any_database: Database) -> None:
    first, second = add_models(any_database, "heron", "wren")
    vote = add_vote(any_database, first, second, Winner.TIE)
    add_vote(any_database, first, second, Winner.MODEL_B)

    withdraw_vote(any_database, vote)

    counts = read_counts(any_database, ["battle"])
    assert counts.ties.sum() == 0
    assert counts.votes == 1
    assert counts.sequence == latest_sequence(any_database) == 3


def test_numbers_are_given_in_commit_order_and_a_rolled_back_one_is_given_again(any_database: Database) -> None:
    with any_database.write() as session:
        assert next_sequence(session) == 1
    with pytest.raises(RuntimeError), any_database.write() as session:
        assert next_sequence(session) == 2
        raise RuntimeError
    with any_database.write() as session:
        assert next_sequence(session) == 2
    assert latest_sequence(any_database) == 2


def test_verdicts_added_from_many_threads_are_all_there(any_database: Database) -> None:
    revisions = add_models(any_database, "heron", "wren", "swift")
    pairs = [(a, b) for a in revisions for b in revisions if a != b]
    at_once = threading.Barrier(8)

    def add(worker: int) -> Sequence[int]:
        at_once.wait(10)
        numbers = []
        for turn in range(12):
            a, b = pairs[(worker + turn) % len(pairs)]
            with any_database.write() as session:
                numbers.append(next_sequence(session))
                add_verdict(
                    session, scope="battle", revision_a=a, revision_b=b, winner=Winner.MODEL_A, sequence=numbers[-1]
                )
        return numbers

    with ThreadPoolExecutor(8) as workers:
        numbers = [number for given in workers.map(add, range(8)) for number in given]

    assert sorted(numbers) == list(range(1, 97))
    counts = read_counts(any_database, ["battle"])
    assert counts.votes == counts.wins.sum() == 96
    assert counts.sequence == latest_sequence(any_database) == 96


def test_rebuilt_counts_equal_those_kept_with_each_vote(any_database: Database) -> None:
    chance = random.Random(7)
    revisions = add_models(any_database, "heron", "wren", "swift", "ibis")
    for _ in range(60):
        a, b = chance.sample(revisions, 2)
        vote = add_vote(
            any_database,
            a,
            b,
            chance.choice(list(Winner)),
            mode=chance.choice([Mode.BATTLE, Mode.IMPORTED]),
            criteria={"clarity": chance.choice(["model_a", "model_b", "tie"])} if chance.random() < 0.5 else {},
        )
        if chance.random() < 0.2:
            withdraw_vote(any_database, vote)
    add_vote(any_database, revisions[0], revisions[1], Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False)
    add_vote(any_database, revisions[0], revisions[1], Winner.MODEL_A, rated=False, state=VoteState.EXCLUDED)
    views = [(["battle"], ""), (["imported"], ""), (["battle", "imported"], "clarity")]
    kept = [read_counts(any_database, *view) for view in views]

    shares: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "_TOLD_EVERY", 10)
        assert rebuild_counts(any_database, shares.append) == kept[0].votes + kept[1].votes
    assert shares == sorted(shares) != []
    assert 0 < shares[0] < shares[-1] <= 1

    for before, view in zip(kept, views, strict=True):
        after = read_counts(any_database, *view)
        assert list(after.revisions) == list(before.revisions)
        for name in ("wins", "ties", "both_bad"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
        assert after.sequence == latest_sequence(any_database) > before.sequence


def test_a_misspelt_criterion_word_is_refused_and_never_a_tie() -> None:
    with pytest.raises(ValueError, match="left"):
        verdicts_of(Mode.BATTLE, 1, 2, Winner.MODEL_A, {"clarity": "left"})


def read_live(live: LiveCounts, database: Database) -> PairCounts:
    database.glance(live.catch_up)
    return live.together()


def assert_same(live: PairCounts, afresh: PairCounts) -> None:
    voted = [place for place, row in enumerate(live.wins + live.wins.T + live.ties + live.both_bad) if row.any()]
    kept = [place for place, row in enumerate(afresh.wins + afresh.wins.T + afresh.ties + afresh.both_bad) if row.any()]
    assert [live.revisions[place] for place in voted] == [afresh.revisions[place] for place in kept]
    for name in ("wins", "ties", "both_bad"):
        np.testing.assert_array_equal(
            getattr(live, name)[np.ix_(voted, voted)], getattr(afresh, name)[np.ix_(kept, kept)]
        )
    assert live.sequence == afresh.sequence


def test_live_counts_follow_every_change_by_its_own_rows_alone(any_database: Database) -> None:
    chance = random.Random(3)
    live = LiveCounts(["battle", "imported"])
    revisions = list(add_models(any_database, "heron", "wren", "swift"))
    votes = []
    for step in range(40):
        if step == 20:
            revisions = [*add_models(any_database, "ibis"), *revisions]
        a, b = chance.sample(revisions, 2)
        mode = chance.choice([Mode.BATTLE, Mode.IMPORTED, Mode.CAMPAIGN])
        votes.append(add_vote(any_database, a, b, chance.choice(list(Winner)), mode=mode, criteria={"clarity": "tie"}))
        if step % 5 == 4:
            withdraw_vote(any_database, votes.pop(chance.randrange(len(votes))))
        if step % 3 == 0:
            assert_same(read_live(live, any_database), read_counts(any_database, ["battle", "imported"]))
    assert_same(read_live(live, any_database), read_counts(any_database, ["battle", "imported"]))


def test_live_counts_read_only_what_is_newer(any_database: Database) -> None:
    heron, wren, ibis = add_models(any_database, "heron", "wren", "ibis")
    live = LiveCounts(["battle"])
    add_vote(any_database, heron, wren, Winner.MODEL_A)
    add_vote(any_database, wren, ibis, Winner.MODEL_A)
    read_live(live, any_database)
    with any_database.write() as session:  # a second look at this row would show what its number does not tell of
        session.execute(update(PairCount).where(PairCount.revision_low == heron).values(wins_low=900))

    assert read_live(live, any_database).votes == 2
    add_vote(any_database, wren, ibis, Winner.TIE)

    assert read_live(live, any_database).votes == 3
    assert read_counts(any_database, ["battle"]).votes == 902


def test_live_counts_forget_what_a_rebuild_took_away(any_database: Database) -> None:
    heron, wren, ibis = add_models(any_database, "heron", "wren", "ibis")
    add_vote(any_database, heron, ibis, Winner.MODEL_A)
    with any_database.write() as session:  # a count that no vote stands behind
        number = next_sequence(session)
        add_verdict(
            session, scope="battle", revision_a=heron, revision_b=wren, winner=Winner.MODEL_A, sequence=number, amount=5
        )
    live = LiveCounts(["battle"])
    assert read_live(live, any_database).votes == 6

    rebuild_counts(any_database)

    assert read_live(live, any_database).votes == 1
    assert_same(read_live(live, any_database), read_counts(any_database, ["battle"]))


def test_live_counts_start_again_where_an_older_copy_was_restored(any_database: Database, tmp_path: Path) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    add_vote(any_database, heron, wren, Winner.MODEL_A)
    live = LiveCounts(["battle"])
    for _ in range(3):
        add_vote(any_database, heron, wren, Winner.MODEL_A)
    assert read_live(live, any_database).votes == 4
    older = open_database(database_of(tmp_path / "older"))
    heron, wren = add_models(older, "heron", "wren")
    add_vote(older, heron, wren, Winner.TIE)

    assert read_live(live, older).ties.tolist() == [[0, 1], [1, 0]]
    assert read_live(live, older).votes == 1
    older.close()
