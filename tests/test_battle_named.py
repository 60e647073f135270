"""Models that the visitor names: side by side, and in a chat."""

import pytest

from arena.errors import BattleError, FailureKind
from arena.providers.base import Sampling
from arena.tables import Answer, Battle, Mode, PairCount, Seat, Winner
from tests.battle_fixtures import ANNA, BEN, World, count, last, llm, make_world, world
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

__all__ = ["llm", "make_world", "world"]


async def test_side_by_side_is_stored_apart_and_never_rated(world: World, llm: ScriptedOpenAI) -> None:
    view = await last(world.arena.fight_named("Hello", ANNA, ("hare", "fox"), Sampling(0.1, 0.5, 77)))
    reveal = (await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)).reveal

    assert reveal is not None
    assert [side.model_id for side in reveal.sides] == ["hare", "fox"]
    assert (reveal.rated, reveal.sides[0].rating_after) == (False, None)
    assert "knew the models" in (reveal.unrated_reason or "")
    assert world.stored(view.battle_id).mode is Mode.SIDE_BY_SIDE
    assert count(world.database, PairCount) == 0
    for request in llm.requests:
        assert (request.body["temperature"], request.body["top_p"]) == (0.1, 0.5)
    assert (await world.arena.restore(ANNA)).view is None


async def test_a_further_turn_side_by_side_keeps_the_visitors_sampling(world: World, llm: ScriptedOpenAI) -> None:
    view = await last(world.arena.fight_named("Hello", ANNA, ("hare", "fox"), Sampling(0.1, 0.5, 77)))

    await last(world.arena.follow_up(view.battle_id, "More", ANNA))

    assert {request.body["temperature"] for request in llm.requests} == {0.1}


@pytest.mark.parametrize(
    ("models", "sampling", "sentence"),
    [
        (("hare", "hare"), Sampling(), "two different"),
        (("hare", "unicorn"), Sampling(), "not available"),
        (("hare", "fox"), Sampling(temperature=2.1), "Temperature"),
        (("hare", "fox"), Sampling(top_p=0), "top-p"),
        (("hare", "fox"), Sampling(max_new_tokens=10**9), "tokens"),
    ],
)
async def test_a_named_battle_that_cannot_be_is_refused(
    world: World, models: tuple[str, str], sampling: Sampling, sentence: str
) -> None:
    with pytest.raises(BattleError, match=sentence):
        await last(world.arena.fight_named("Hello", ANNA, models, sampling))


async def test_a_chat_goes_on_with_its_owner_only(world: World, llm: ScriptedOpenAI) -> None:
    first = await last(world.arena.chat("Hello", ANNA, "hare", Sampling(0.3)))

    second = await last(world.arena.chat("More", ANNA, "hare", Sampling(0.3), first.conversation_id))

    said = "The hare says: first see what you want."
    assert not first.running
    assert second.turns == (("Hello", said), ("More", said))
    assert [message["content"] for message in llm.requests[1].body["messages"]] == ["Hello", said, "More"]
    assert (count(world.database, Battle), count(world.database, Seat), count(world.database, Answer)) == (0, 0, 2)
    with pytest.raises(BattleError, match="not yours"):
        await last(world.arena.chat("Mine?", BEN, "hare", Sampling(), first.conversation_id))


async def test_a_battle_is_no_chat(world: World) -> None:
    view = await world.battle()
    conversation = world.stored(view.battle_id).conversation_id

    with pytest.raises(BattleError, match="not yours"):
        await last(world.arena.chat("Hello", ANNA, "hare", Sampling(), conversation))


async def test_a_chat_that_fails_says_so_and_can_go_on(world: World, llm: ScriptedOpenAI) -> None:
    first = await last(world.arena.chat("Hello", ANNA, "hare", Sampling()))
    llm.scripts["hare"] = Script(fault=500)
    failed = await last(world.arena.chat("More", ANNA, "hare", Sampling(), first.conversation_id))
    llm.scripts["hare"] = Script(text="Back again.")

    third = await last(world.arena.chat("Still there?", ANNA, "hare", Sampling(), first.conversation_id))

    assert failed.notice
    assert failed.turns[-1] == ("More", "")
    assert [prompt for prompt, _ in third.turns] == ["Hello", "Still there?"]
    assert count(world.database, Answer, Answer.failure == FailureKind.SERVER_ERROR) == 2


async def test_a_stopped_chat_keeps_what_was_said(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["hare"] = Script(text="One two three four five six.", fault=Fault.STALL_MIDWAY)
    views = world.arena.chat("Hello", ANNA, "hare", Sampling())
    async for view in views:
        if view.turns[0][1] == "One two three ":
            break

    with pytest.raises(BattleError, match="still being answered"):
        await last(world.arena.chat("Now!", ANNA, "hare", Sampling(), view.conversation_id))
    await world.arena.stop(view.conversation_id, ANNA)

    final = await last(views)
    assert (final.running, final.turns) == (False, (("Hello", "One two three "),))
    await llm.until(lambda server: "hare" in server.hung_up)
    llm.scripts["hare"] = Script(text="Yes.")
    following = await last(world.arena.chat("Go on", ANNA, "hare", Sampling(), view.conversation_id))
    assert following.turns == (("Hello", "One two three "), ("Go on", "Yes."))
