"""Battles that an arena leaves unfinished: as it stops, and as the next one starts."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import event

from arena.battle import Phase, recover_interrupted
from arena.database import open_database
from arena.errors import BattleError
from arena.tables import BattleState
from tests.battle_fixtures import (
    ANIMALS,
    ANNA,
    BEN,
    STALLED,
    MakeWorld,
    World,
    grow_old,
    llm,
    make_world,
    only,
    streaming,
    world,
)
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

__all__ = ["llm", "make_world", "world"]


async def test_battles_that_a_stopped_process_left_running_are_closed_at_the_next_start(
    make_world: MakeWorld, world: World, llm: ScriptedOpenAI
) -> None:
    finished = await world.battle("First")
    only(llm, STALLED)
    views = world.arena.follow_up(finished.battle_id, "Second", ANNA)
    async for view in views:
        if view.phase is Phase.STREAMING:
            break
    await llm.until(lambda server: sum(server.stalled.values()) == 2)  # else the next battle's are counted with them
    _, fresh = await streaming(world, llm)

    grow_old(world.database)
    assert recover_interrupted(world.database) == 2

    assert world.stored(fresh).state is BattleState.ABANDONED
    assert world.stored(finished.battle_id).state is BattleState.VOTABLE
    assert world.stored(finished.battle_id).turn == 1
    assert recover_interrupted(world.database) == 0
    await views.aclose()
    assert world.stored(finished.battle_id).state is BattleState.VOTABLE


@pytest.mark.postgres
async def test_a_process_that_starts_leaves_the_battles_of_the_others_alone(
    make_world: MakeWorld, llm: ScriptedOpenAI, new_postgres_url: Callable[[], str]
) -> None:
    shared = open_database(new_postgres_url())
    world = await make_world(store=shared)
    views, battle_id = await streaming(world, llm)

    assert recover_interrupted(shared) == 0
    grow_old(shared)
    assert recover_interrupted(shared) == 1

    assert world.stored(battle_id).state is BattleState.ABANDONED
    await views.aclose()
    await world.arena.drain(0)
    shared.close()


async def test_draining_refuses_new_battles_and_lets_running_ones_finish(world: World, llm: ScriptedOpenAI) -> None:
    only(llm, Script(fault=Fault.STALL_FIRST))
    fighting = asyncio.create_task(world.battle())
    await llm.until(lambda server: sum(server.stalled.values()) == 2)
    draining = asyncio.create_task(world.arena.drain(5))
    await asyncio.sleep(0)

    with pytest.raises(BattleError, match="restart"):
        await world.battle("Too late", BEN)
    for name in ANIMALS:
        llm.release(name)

    assert (await fighting).phase is Phase.VOTABLE
    assert await draining == 0


async def test_draining_cuts_what_does_not_finish(world: World, llm: ScriptedOpenAI) -> None:
    _, battle_id = await streaming(world, llm)

    assert await world.arena.drain(0.05) == 1

    battle = world.stored(battle_id)
    assert (battle.state, battle.state_reason) == (BattleState.ABANDONED, "the arena was stopped")
    assert len(llm.hung_up) <= 2


async def test_a_database_that_fails_at_the_end_leaves_nothing_streaming_and_a_battle_to_recover(
    world: World, llm: ScriptedOpenAI
) -> None:
    views, battle_id = await streaming(world, llm)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    event.listen(world.database.engine, "commit", fail)
    with pytest.raises(OSError, match="no space left"):
        await views.aclose()
    event.remove(world.database.engine, "commit", fail)

    await llm.until(lambda server: len(server.hung_up) == 2)
    assert (await world.arena.figures()).running == 0
    assert world.stored(battle_id).state is BattleState.RUNNING
    grow_old(world.database)
    assert recover_interrupted(world.database) == 1
    assert world.stored(battle_id).state is BattleState.ABANDONED
