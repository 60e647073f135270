"""Each vote as one closed file: what is read back is what was stored, once, however often and in whatever order."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from arena.battle.verdicts import withdraw
from arena.counts import rebuild_counts
from arena.database import Database, open_database
from arena.tables import Answer, Battle, PairCount, Prompt, Seat, Vote, VoteState, Winner, now
from arena.vote_log import VoteLog
from tests.arena_facts import add_models, add_vote
from tests.databases import sqlite_in


@pytest.fixture
def vote_log(tmp_path: Path) -> VoteLog:
    return VoteLog(tmp_path / "votes")


def empty(folder: Path) -> Database:
    return open_database(sqlite_in(folder / "after"))


def facts(database: Database) -> tuple[object, ...]:
    """Everything about the votes that must survive, without the numbers that only order commits."""
    with database.read() as session:
        votes = session.execute(
            select(Vote.battle_id, Vote.winner, Vote.state, Vote.rated, Vote.criteria, Vote.created_at).order_by(
                Vote.battle_id
            )
        ).all()
        counts = session.execute(
            select(PairCount.scope, PairCount.criterion, *(PairCount.wins_low, PairCount.wins_high, PairCount.ties))
        ).all()
        texts = session.execute(
            select(Prompt.text, Answer.text, Seat.side)
            .join(Battle, Battle.conversation_id == Prompt.conversation_id)
            .join(Seat, (Seat.battle_id == Battle.id) & (Seat.turn == Prompt.turn))
            .join(Answer, Answer.id == Seat.answer_id)
            .order_by(Prompt.text, Seat.side, Seat.turn)
        ).all()
    return sorted(map(tuple, votes), key=str), sorted(map(tuple, counts)), [tuple(text) for text in texts]


def test_votes_that_were_logged_come_back_into_an_empty_database_once(
    database: Database, vote_log: VoteLog, tmp_path: Path
) -> None:
    heron, wren, stork = add_models(database, "heron", "wren", "stork")
    turns = (("One?", "1", "uno"), ("Two?", "2", "dos"))
    battles = [
        add_vote(database, heron, wren, Winner.MODEL_A, criteria={"tension": "model_b"}, turns=turns),
        add_vote(database, wren, stork, Winner.TIE, voter="other"),
        add_vote(database, heron, stork, Winner.BOTH_BAD, rated=False),
    ]
    for battle in battles:
        vote_log.write(database, battle)

    after = empty(tmp_path)
    replayed, again = vote_log.replay(after), vote_log.replay(after)

    assert (replayed.added, again.added, again.known) == (3, 0, 3)
    assert facts(after) == facts(database)
    before = facts(after)
    rebuild_counts(after)
    assert facts(after) == before
    after.close()


def test_a_withdrawal_is_logged_too_and_the_latest_form_holds_in_any_order(
    database: Database, vote_log: VoteLog, tmp_path: Path
) -> None:
    heron, wren = add_models(database, "heron", "wren")
    battle = add_vote(database, heron, wren, Winner.MODEL_A)
    first = vote_log.write(database, battle)
    withdraw(database, battle, "someone")
    second = vote_log.write(database, battle)
    first.rename(first.with_name(f"9{first.name}"))  # read after the withdrawal
    assert vote_log.objects()[0] == second

    after = empty(tmp_path)
    vote_log.replay(after)

    with after.read() as session:
        assert session.scalars(select(Vote.state)).one() is VoteState.WITHDRAWN
        assert session.scalar(select(func.sum(PairCount.wins_low + PairCount.wins_high))) in (None, 0)
    after.close()


def test_a_vote_given_after_the_backup_joins_the_battle_that_the_backup_knows(
    database: Database, vote_log: VoteLog, tmp_path: Path
) -> None:
    heron, wren = add_models(database, "heron", "wren")
    after = empty(tmp_path)
    add_models(after, "someone-else", "wren-of-old")
    add_vote(after, 1, 2, Winner.MODEL_B)
    vote_log.write(database, add_vote(database, heron, wren, Winner.MODEL_A))

    assert vote_log.replay(after).added == 1

    with after.read() as session:
        assert session.scalar(select(func.count()).select_from(PairCount)) == 2
        assert session.scalar(select(func.max(Vote.sequence))) == 2
    after.close()


@pytest.mark.parametrize("keep", [0, 10, -3])
def test_an_object_that_was_cut_off_is_skipped_and_named(
    database: Database, vote_log: VoteLog, tmp_path: Path, keep: int
) -> None:
    heron, wren = add_models(database, "heron", "wren")
    whole = vote_log.write(database, add_vote(database, heron, wren, Winner.MODEL_A))
    cut = vote_log.write(database, add_vote(database, heron, wren, Winner.MODEL_A))
    cut.write_bytes(cut.read_bytes()[:keep])

    after = empty(tmp_path)
    replayed = vote_log.replay(after)

    assert (replayed.added, replayed.unreadable) == (1, [cut.name])
    assert whole.exists()
    after.close()


def test_objects_that_a_backup_holds_are_forgotten_and_who_was_forgotten_is_not(
    database: Database, vote_log: VoteLog, tmp_path: Path
) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for voter in ("anna", "ben"):
        vote_log.write(database, add_vote(database, heron, wren, Winner.MODEL_A, voter=voter))
    told = vote_log.forget("anna", "deleted")
    backed_up = now() + timedelta(hours=2)

    after = empty(tmp_path)
    replayed = vote_log.replay(after, since=backed_up)
    after.close()

    assert (replayed.added, replayed.forgotten) == (1, 1)
    assert vote_log.forget_before(now()) == 0  # clocks may differ
    assert vote_log.forget_before(backed_up) == 2
    assert vote_log.objects() == [told]
    assert "anna" not in told.name + told.read_text()
