"""What stands before a battle: prompts that are refused, limits, the line before a full arena."""

import asyncio
import time

import pytest

from arena.battle import BattleView, Phase
from arena.battle.line import MOST_OF_ONE
from arena.errors import BattleError
from arena.providers.base import Sampling
from arena.tables import Battle
from arena.voters import VoterIdentity
from tests.battle_fixtures import ANIMALS, BEN, STALLED, MakeWorld, count, llm, make_world, only, streaming
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

__all__ = ["llm", "make_world"]


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "Write a challenge first"),
        (" \n\t ", "Write a challenge first"),
        ("x" * 101, "101 characters long; the limit is 100"),
        ("nul\x00", "not text"),
        ("half \ud83d", "not text"),
    ],
)
async def test_a_prompt_that_cannot_be_asked_is_refused_and_leaves_nothing(
    make_world: MakeWorld, llm: ScriptedOpenAI, prompt: str, sentence: str
) -> None:
    world = await make_world(max_prompt_characters=100)

    with pytest.raises(BattleError, match=sentence):
        await world.battle(prompt)

    assert (count(world.database, Battle), len(llm.requests)) == (0, 0)


async def test_a_prompt_of_just_the_greatest_length_is_asked_whole(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(max_prompt_characters=100)

    await world.battle("é" * 100)

    assert llm.requests[0].body["messages"][-1]["content"] == "é" * 100


async def test_one_model_is_no_battle(make_world: MakeWorld) -> None:
    world = await make_world(models=("hare",))

    with pytest.raises(BattleError, match="two models"):
        await world.battle()


async def test_a_voter_is_told_when_to_come_back(make_world: MakeWorld) -> None:
    world = await make_world(battles_per_minute=1)
    await world.battle()

    with pytest.raises(BattleError, match="You can start the next one in"):
        await world.battle()


async def test_who_finds_a_full_arena_waits_in_line_and_is_served_in_turn(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(max_battles=1)
    running, _ = await streaming(world, llm)
    served: list[str] = []

    async def come(name: str) -> list[BattleView]:
        views: list[BattleView] = []
        async for view in world.arena.fight("Me too", VoterIdentity(name)):
            if views and views[-1].phase is Phase.QUEUED and view.phase is not Phase.QUEUED:
                served.append(name)
            views.append(view)
        return views

    visitors = ("ben", "cleo", "dan")
    waiting: list[asyncio.Task[list[BattleView]]] = []
    for name in visitors:
        waiting.append(asyncio.create_task(come(name)))
        while world.arena.waiting < len(waiting):
            await asyncio.sleep(0)
    assert (await world.arena.figures()).running == 1
    assert count(world.database, Battle) == 1  # nothing is stored, nor asked, of who waits
    assert len(llm.requests) == 2
    only(llm, Script())
    await running.aclose()

    first, second, third = await asyncio.gather(*waiting)
    assert served == list(visitors)
    for views, place in ((first, "You are next in line"), (second, "You are 2nd in line"), (third, "3rd in line")):
        assert views[0].phase is Phase.QUEUED
        assert place in (views[0].notice or "")
        assert views[0].turns[0].prompt == "Me too"
        assert views[-1].phase is Phase.VOTABLE
        assert views[-1].notice is None


async def test_who_comes_while_the_processor_cannot_keep_up_waits_in_line_and_is_served_afterwards(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world()
    only(llm, STALLED)

    async def fight(name: str) -> list[BattleView]:
        return [view async for view in world.arena.fight("Hello", VoterIdentity(name))]

    streams = [asyncio.create_task(fight(f"voter {number}")) for number in range(25)]
    await llm.until(lambda server: sum(server.stalled.values()) == 50)
    for _ in range(8):  # whatever else the processor is busy with
        time.sleep(0.25)
        await asyncio.sleep(0)

    latecomer = asyncio.create_task(fight("latecomer"))
    async with asyncio.timeout(10):
        while not world.arena.waiting:
            await asyncio.sleep(0)
    for model in ANIMALS:
        llm.release(model)
    only(llm, Script())

    first, *_, latest = await latecomer
    assert first.phase is Phase.QUEUED
    assert latest.phase is Phase.VOTABLE
    for views in await asyncio.gather(*streams):
        assert views[-1].phase is Phase.VOTABLE


@pytest.mark.parametrize("departs", ["stop", "leave", "close", "drain"])
async def test_who_leaves_the_line_leaves_nothing_behind(
    make_world: MakeWorld, llm: ScriptedOpenAI, departs: str
) -> None:
    world = await make_world(max_battles=1)
    running, _ = await streaming(world, llm)
    waiting = world.arena.fight("Me too", BEN)
    queued = await anext(waiting)
    assert queued.phase is Phase.QUEUED

    match departs:
        case "stop":
            await world.arena.stop(queued.battle_id, BEN)
        case "leave":
            world.arena.leave(BEN.session)
        case "close":
            await waiting.aclose()
        case "drain":
            assert await world.arena.drain(0) == 1

    rest = [view.phase async for view in waiting]
    assert rest == ([] if departs == "close" else [Phase.ABANDONED])
    assert world.arena.waiting == 0
    assert count(world.database, Battle) == 1
    await running.aclose()
    if departs != "drain":
        only(llm, Script())
        assert (await world.battle("And now?", BEN)).phase is Phase.VOTABLE


async def test_the_line_is_bounded_in_all_and_for_each_voter(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(max_battles=1, max_waiting=MOST_OF_ONE + 1, battles_per_minute=MOST_OF_ONE + 1)
    running, _ = await streaming(world, llm)
    bens = [world.arena.fight("Me too", BEN) for _ in range(MOST_OF_ONE)]
    for views in bens:
        await anext(views)

    with pytest.raises(BattleError, match="in line already"):
        await world.battle("Me first", BEN)
    chat = world.arena.chat("Me too", VoterIdentity("cleo"), "hare", Sampling())
    assert "You are 4th in line" in ((await anext(chat)).notice or "")
    with pytest.raises(BattleError, match="so is the line"):
        await world.battle("Me too", VoterIdentity("dan"))

    await chat.aclose()
    await bens.pop(0).aclose()
    again = world.arena.fight("Now me", BEN)  # refusals were not counted against Ben's limit
    assert "3rd" in ((await anext(again)).notice or "")
    for views in (*bens, again, running):
        await views.aclose()
