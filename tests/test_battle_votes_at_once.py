"""Many votes at the same moment, on every database: each battle takes one, and all are counted."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from arena.battle import BattleView
from arena.counts import read_counts, rebuild_counts
from arena.database import Database, open_database
from arena.errors import BattleError
from arena.tables import Battle, BattleState, Side, Vote, Winner
from arena.voters import VoterIdentity
from tests.battle_fixtures import ANNA, MakeWorld, World, count, last, llm, make_world, world

__all__ = ["llm", "make_world", "world"]


async def test_of_many_votes_at_once_one_counts(world: World) -> None:
    view = await world.battle()
    votes = [world.arena.vote(view.battle_id, ANNA, winner) for winner in [*Winner, *Winner]]

    outcomes = await asyncio.gather(*votes, return_exceptions=True)

    assert sum(isinstance(outcome, BattleView) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, BattleError) for outcome in outcomes) == 7
    assert count(world.database, Vote) == 1
    assert read_counts(world.database, ("battle",)).votes == 1


async def test_every_database_takes_a_whole_battle_and_one_of_many_votes(
    make_world: MakeWorld, any_database: Database
) -> None:
    world = await make_world(store=any_database)
    for _ in range(5):
        view = await world.battle("First \U0001f333")
        await last(world.arena.follow_up(view.battle_id, "Second", ANNA))
        votes = [world.arena.vote(view.battle_id, ANNA, winner, {"clarity": "tie"}) for winner in [*Winner, *Winner]]

        outcomes = await asyncio.gather(*votes, return_exceptions=True)

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BattleError"] * 7 + ["BattleView"]
    await world.arena.withdraw(view.battle_id, ANNA)
    await last(world.arena.continue_from(view.battle_id, Side.B, "Third", ANNA))
    assert (await world.arena.restore(ANNA)).view is not None
    assert read_counts(any_database, ("battle",)).votes == 4
    assert rebuild_counts(any_database) == 4
    assert (await world.arena.figures()).completion == 1.0


@pytest.mark.postgres
async def test_a_vote_waits_for_whoever_is_changing_the_battle(
    make_world: MakeWorld, new_postgres_url: Callable[[], str]
) -> None:
    shared = open_database(new_postgres_url())
    world = await make_world(store=shared)
    view = await world.battle()

    def somebody_waits() -> None:
        with shared.engine.connect() as connection:
            while not connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                connection.rollback()

    with shared.write() as session:
        session.get_one(Battle, view.battle_id, with_for_update=True).state = BattleState.RUNNING
        session.flush()
        voting = asyncio.create_task(world.arena.vote(view.battle_id, ANNA, Winner.TIE))
        await asyncio.wait_for(asyncio.to_thread(somebody_waits), 10)

    with pytest.raises(BattleError, match="still being written"):
        await voting
    assert count(shared, Vote) == 0
    await world.arena.drain(0)
    shared.close()


async def test_many_battles_and_votes_at_once_are_all_counted(make_world: MakeWorld, any_database: Database) -> None:
    world = await make_world(store=any_database)

    async def one(number: int) -> None:
        voter = VoterIdentity(f"voter-{number % 5}")
        view = await world.battle(voter=voter)
        await world.arena.vote(view.battle_id, voter, list(Winner)[number % 4])

    await asyncio.gather(*(one(number) for number in range(24)))

    assert read_counts(any_database, ("battle",)).votes == 24
    assert rebuild_counts(any_database) == 24
