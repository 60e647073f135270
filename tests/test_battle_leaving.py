"""Visitors who leave, stop or reload in the middle of a battle."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from arena.battle import BattleView, Phase
from arena.tables import Battle, BattleState, Prompt, Winner, now
from tests.battle_fixtures import (
    ANNA,
    BEN,
    STALLED,
    MakeWorld,
    World,
    count,
    every,
    hung_up,
    last,
    llm,
    make_world,
    only,
    streaming,
    world,
)
from tests.scripted_openai import ScriptedOpenAI

__all__ = ["llm", "make_world", "world"]


async def _closes(world: World, battle_id: str, views: AsyncGenerator[BattleView]) -> None:
    await views.aclose()


async def _stops(world: World, battle_id: str, views: AsyncGenerator[BattleView]) -> None:
    await world.arena.stop(battle_id, ANNA)


async def _leaves(world: World, battle_id: str, views: AsyncGenerator[BattleView]) -> None:
    world.arena.leave("annas-page")


async def _leaves_from_a_thread(world: World, battle_id: str, views: AsyncGenerator[BattleView]) -> None:
    await asyncio.to_thread(world.arena.leave, "annas-page")


@pytest.mark.parametrize("departs", [_closes, _stops, _leaves, _leaves_from_a_thread])
async def test_whoever_goes_stops_both_streams_within_a_tenth_of_a_second(
    world: World, llm: ScriptedOpenAI, departs: Callable[..., Any]
) -> None:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    while len(took) < 3 and min(took, default=1.0) >= 0.1:  # another process may have had the processor
        views, battle_id = await streaming(world, llm)
        started = loop.time()
        departing = asyncio.create_task(departs(world, battle_id, views))
        await llm.until(hung_up(2 * (len(took) + 1)))
        took.append(loop.time() - started)
        await departing

    assert min(took) < 0.1
    await world.arena.drain(1)
    battle = world.stored(battle_id)
    assert battle.state is BattleState.ABANDONED
    assert battle.closed_at is not None
    assert all(answer.text and answer.finish_reason is None for answer in world.answers(battle_id))
    assert (await world.arena.figures()).completion is None


async def test_a_cancelled_handler_leaves_nothing_running(world: World, llm: ScriptedOpenAI) -> None:
    only(llm, STALLED)

    async def handle() -> None:
        async with aclosing(world.arena.fight("Hello", ANNA)) as views:
            async for _ in views:
                pass

    handler = asyncio.create_task(handle())
    await llm.until(lambda server: sum(server.stalled.values()) == 2)
    handler.cancel()
    await asyncio.wait({handler})

    await llm.until(lambda server: len(server.hung_up) == 2)
    assert count(world.database, Battle, Battle.state == BattleState.ABANDONED) == 1


async def test_a_handler_cancelled_while_the_battle_is_being_stored_leaves_no_running_battle(world: World) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO battles"):
            reached.set()
            go_on.wait(5)

    event.listen(world.database.engine, "before_cursor_execute", hold)
    handler = asyncio.create_task(every(world.arena.fight("Hello", ANNA)))
    await asyncio.to_thread(reached.wait, 5)
    handler.cancel()
    go_on.set()
    await asyncio.wait({handler})
    await world.arena.drain(1)

    assert count(world.database, Battle, Battle.state == BattleState.ABANDONED) == 1


async def test_stop_gives_a_last_view_and_keeps_what_was_shown(world: World, llm: ScriptedOpenAI) -> None:
    views, battle_id = await streaming(world, llm)

    await world.arena.stop(battle_id, BEN)
    assert world.stored(battle_id).state is BattleState.RUNNING
    await world.arena.stop(battle_id, ANNA)

    *_, final = await every(views)
    assert final.phase is Phase.ABANDONED
    assert all(final.turns[0].answers)
    assert final.waiting == (False, False)


async def test_stopping_a_battle_whose_answers_are_both_there_opens_the_vote(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(pace_characters_per_s=20)
    views = world.arena.fight("Hello", ANNA)
    first = await anext(views)
    await anext(views)
    await llm.until(lambda server: len(server.told) == 2)
    while (await anext(views)).phase is not Phase.STREAMING:
        pass

    await world.arena.stop(first.battle_id, ANNA)
    final = await last(views)

    assert final.phase is Phase.VOTABLE
    assert all(answer.endswith("what you want.") for answer in final.turns[0].answers)
    await world.arena.vote(first.battle_id, ANNA, Winner.TIE)


async def test_another_pages_departure_stops_nothing(world: World, llm: ScriptedOpenAI) -> None:
    views, battle_id = await streaming(world, llm)

    world.arena.leave("bens-page")
    world.arena.leave("")

    assert world.stored(battle_id).state is BattleState.RUNNING
    assert sum(llm.stalled.values()) == 2
    await views.aclose()


async def test_leaving_a_finished_battle_keeps_it_votable(world: World) -> None:
    view = await world.battle()

    world.arena.leave("annas-page")

    restored = await world.arena.restore(ANNA)
    assert restored.view == view
    assert (await world.arena.vote(view.battle_id, ANNA, Winner.TIE)).phase is Phase.REVEALED
    assert (await world.arena.restore(ANNA)).view is None


async def test_a_reloaded_page_gets_the_prompt_of_an_interrupted_battle_back_for_an_hour(
    world: World, llm: ScriptedOpenAI
) -> None:
    views, _ = await streaming(world, llm, "  My long  prompt ")
    while_streaming = await world.arena.restore(ANNA)
    await views.aclose()
    afterwards = await world.arena.restore(ANNA)
    with world.database.write() as session:
        session.execute(update(Prompt).values(created_at=now() - timedelta(minutes=61)))

    assert while_streaming.prompt == afterwards.prompt == "  My long  prompt "
    assert (while_streaming.view, afterwards.view) == (None, None)
    assert (await world.arena.restore(ANNA)).prompt == ""
    assert (await world.arena.restore(BEN)).prompt == ""
