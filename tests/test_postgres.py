"""The whole way of a vote on both databases: battles, races, the board, and a database that is not there."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from arena.battle import Phase
from arena.config import SHIPPED_DIR
from arena.counts import read_counts, rebuild_counts
from arena.database import Database, open_database
from arena.errors import ArenaError, BattleError, ConfigError
from arena.leaderboard import Leaderboard
from arena.stamps import latest_sequence
from arena.tables import Vote, VoteState, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote
from tests.battle_fixtures import ANNA, BEN, MakeWorld, World, llm, make_world

__all__ = ["llm", "make_world"]


@pytest.fixture
async def stored_world(make_world: MakeWorld, any_database: Database) -> World:
    """An arena of four models on each kind of database."""
    made: World = await make_world(store=any_database)
    return made


def votes_of(database: Database) -> Sequence[Vote]:
    with database.read() as session:
        return session.scalars(select(Vote).order_by(Vote.sequence)).all()


@pytest.mark.postgres
def test_a_reader_whose_connections_the_server_has_closed_gets_new_ones(new_postgres_url: Callable[[], str]) -> None:
    database = open_database(new_postgres_url())
    heron, wren = add_models(database, "heron", "wren")
    board = Leaderboard(database)
    assert board.standings().votes == 0
    add_vote(database, heron, wren, Winner.MODEL_A)
    with database.read() as session:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        ended = session.scalars(text(others + "current_database()")).all()

    standings = board.standings()

    assert ended
    assert standings.votes == 1
    database.close()


def test_an_error_tells_nothing_of_what_a_statement_was_to_look_up(any_database: Database) -> None:
    wrong, given = text("SELECT :what FROM no_such_table"), {"what": "a visitor's own"}

    with pytest.raises(SQLAlchemyError) as glanced:
        any_database.glance(lambda connection: connection.execute(wrong, given))
    with any_database.read() as session, pytest.raises(SQLAlchemyError) as read:
        session.execute(wrong, given)

    assert "no_such_table" in str(glanced.value)
    assert "visitor's own" not in str(glanced.value) + str(read.value)


async def test_a_battle_is_fought_voted_on_and_on_the_board(stored_world: World) -> None:
    view = await stored_world.battle()
    assert view.phase is Phase.VOTABLE

    revealed = await stored_world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)

    assert revealed.reveal is not None
    winner = revealed.reveal.sides[0]
    standings = stored_world.leaderboard.standings()
    assert (standings.votes, standings.people, standings.rows[0].model_id) == (1, 1, winner.model_id)
    assert winner.rating_after == standings.rows[0].rating


async def test_of_many_simultaneous_votes_on_one_battle_one_counts(stored_world: World) -> None:
    view = await stored_world.battle()

    clicks = await asyncio.gather(
        *(stored_world.arena.vote(view.battle_id, ANNA, winner) for winner in [*Winner] * 4), return_exceptions=True
    )

    accepted = [click for click in clicks if not isinstance(click, BaseException)]
    assert len(accepted) == 1
    assert {type(click) for click in clicks if isinstance(click, BaseException)} == {BattleError}
    database = stored_world.database
    assert len(votes_of(database)) == read_counts(database, ["battle"]).votes == 1


async def test_votes_of_many_visitors_at_once_are_all_counted_in_commit_order(stored_world: World) -> None:
    views = [await stored_world.battle(voter=voter) for voter in (ANNA, BEN) * 6]
    voters = (ANNA, BEN) * 6

    await asyncio.gather(
        *(
            stored_world.arena.vote(view.battle_id, voter, winner)
            for view, voter, winner in zip(views, voters, [*Winner] * 3, strict=True)
        )
    )

    database = stored_world.database
    votes = votes_of(database)
    assert [vote.sequence for vote in votes] == list(range(1, 13))
    kept = read_counts(database, ["battle"])
    assert kept.votes == 12
    assert rebuild_counts(database) == 12
    assert (read_counts(database, ["battle"]).wins == kept.wins).all()


async def test_a_withdrawn_vote_leaves_the_board(stored_world: World) -> None:
    view = await stored_world.battle()
    await stored_world.arena.vote(view.battle_id, ANNA, Winner.TIE)

    await stored_world.arena.withdraw(view.battle_id, ANNA)

    assert [vote.state for vote in votes_of(stored_world.database)] == [VoteState.WITHDRAWN]
    assert stored_world.leaderboard.standings().votes == 0


def test_votes_withdrawals_and_readers_at_once_end_with_counts_that_equal_the_votes(any_database: Database) -> None:
    revisions = add_models(any_database, "heron", "wren", "swift")
    pairs = [(a, b) for a in revisions for b in revisions if a != b]
    board = Leaderboard(any_database)
    at_once = threading.Barrier(6)

    def work(worker: int) -> None:
        at_once.wait(10)
        for turn in range(8):
            first, second = pairs[(worker + turn) % len(pairs)]
            winner = [*Winner][(worker * turn) % 4]
            vote = add_vote(any_database, first, second, winner, voter=f"voter {worker}")
            if turn % 3 == 0:
                withdraw_vote(any_database, vote)
            board.standings()

    with ThreadPoolExecutor(6) as workers:
        list(workers.map(work, range(6)))

    standings = board.refresh()
    kept = read_counts(any_database, ["battle"])
    assert standings.votes == kept.votes == 6 * 5
    assert standings.people == 6
    assert latest_sequence(any_database) == 6 * 8 + 6 * 3
    assert rebuild_counts(any_database) == kept.votes
    rebuilt = read_counts(any_database, ["battle"])
    for name in ("wins", "ties", "both_bad"):
        assert (getattr(rebuilt, name) == getattr(kept, name)).all()


def test_a_forged_id_that_no_text_may_hold_is_found_nowhere(any_database: Database) -> None:
    forged = select(Vote.battle_id).where(Vote.battle_id == "\x00")

    with any_database.read() as session:
        assert session.get(Vote, "\x00") is None
    assert any_database.glance(lambda connection: connection.execute(forged).all()) == []


@pytest.mark.postgres
def test_a_second_arena_on_the_same_postgresql_database_sees_each_vote(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url()
    first, second = open_database(url), open_database(url)
    try:
        heron, wren = add_models(first, "heron", "wren")
        board = Leaderboard(second)
        assert board.standings().votes == 0

        add_vote(first, heron, wren, Winner.MODEL_A)

        assert board.standings().votes == 1
    finally:
        first.close()
        second.close()


@pytest.mark.postgres
def test_arenas_that_start_at_once_on_an_empty_database_make_its_tables_once(
    new_postgres_url: Callable[[], str],
) -> None:
    url = new_postgres_url()
    program = f"import alembic.command, arena.database as d; input('ready\\n'); d.open_database({url!r}).close()"
    arenas = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=SHIPPED_DIR,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    assert [arena.stdout.readline() for arena in arenas if arena.stdout] == ["ready\n"] * 2

    for arena in arenas:
        print(file=arena.stdin, flush=True)

    assert [arena.communicate(timeout=60)[1] for arena in arenas] == [""] * 2
    database = open_database(url)
    try:
        assert votes_of(database) == []
    finally:
        database.close()


@pytest.mark.postgres
def test_a_postgresql_server_that_does_not_answer_is_told_in_one_sentence(new_postgres_url: Callable[[], str]) -> None:
    url = new_postgres_url().replace("arena@", "arena:secret-word@").replace("host=/", "host=/nowhere/")

    with pytest.raises(ConfigError, match="cannot be opened") as told:
        open_database(url)

    assert isinstance(told.value, ArenaError)
    assert "secret-word" not in str(told.value)


@pytest.mark.postgres
def test_the_server_of_these_tests_is_private(new_postgres_url: Callable[[], str]) -> None:
    database = open_database(new_postgres_url())
    try:
        with database.read() as session:
            assert session.scalar(text("SHOW listen_addresses")) == ""
    finally:
        database.close()
