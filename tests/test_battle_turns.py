"""Battles of several turns, and battles that go on from an answer."""

import asyncio

import pytest
from sqlalchemy import select

from arena.battle import BattleView, Phase
from arena.database import Database
from arena.errors import BattleError, FailureKind
from arena.tables import Side, Vote, Winner
from tests.battle_fixtures import ANIMALS, ANNA, BEN, STALLED, MakeWorld, World, last, llm, make_world, only, world
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

__all__ = ["llm", "make_world", "world"]


async def test_a_further_turn_goes_to_both_models_each_with_its_own_history(world: World, llm: ScriptedOpenAI) -> None:
    view = await world.battle("First")
    asked = {request.model for request in llm.requests}

    further = await last(world.arena.follow_up(view.battle_id, "Second", ANNA))

    assert further.phase is Phase.VOTABLE
    assert [turn.prompt for turn in further.turns] == ["First", "Second"]
    for request in llm.requests[2:]:
        assert request.model in asked
        assert request.body["messages"] == [
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": f"The {request.model} says: first see what you want."},
            {"role": "user", "content": "Second"},
        ]


async def test_a_stopped_further_turn_leaves_the_battle_votable_as_it_was(world: World, llm: ScriptedOpenAI) -> None:
    view = await world.battle("First")
    only(llm, STALLED)
    views = world.arena.follow_up(view.battle_id, "Second", ANNA)
    while (await anext(views)).phase is not Phase.STREAMING:
        pass

    await world.arena.stop(view.battle_id, ANNA)
    stopped = await last(views)

    assert (stopped.phase, stopped.turns, stopped.can_follow_up) == (Phase.VOTABLE, view.turns, True)
    assert stopped.notice is not None
    restored = await world.arena.restore(ANNA)
    assert restored.view is not None
    assert (restored.view.turns, restored.prompt) == (view.turns, "Second")
    only(llm, Script())
    third = await last(world.arena.follow_up(view.battle_id, "Third", ANNA))
    assert [turn.prompt for turn in third.turns] == ["First", "Third"]
    assert (await world.arena.restore(ANNA)).prompt == ""
    await world.arena.vote(view.battle_id, ANNA, Winner.TIE)
    with world.database.read() as session:
        assert session.scalars(select(Vote.turn)).one() == 2


async def test_a_further_turn_that_fails_twice_makes_the_battle_void(world: World, llm: ScriptedOpenAI) -> None:
    view = await world.battle("First")
    only(llm, Script(fault=500))

    failed = await last(world.arena.follow_up(view.battle_id, "Second", ANNA))

    assert failed.phase is Phase.VOID
    assert [a.failure for a in world.answers(view.battle_id) if a.turn == 2] == [FailureKind.SERVER_ERROR] * 4
    with pytest.raises(BattleError, match="takes no vote"):
        await world.arena.vote(view.battle_id, ANNA, Winner.TIE)
    figures = await world.arena.figures()
    assert (figures.votable, figures.void, figures.completion) == (1, 1, 1.0)


async def test_further_turns_end_with_the_vote_and_at_the_limit(make_world: MakeWorld) -> None:
    world = await make_world(max_turns=2)
    view = await world.battle("First")
    second = await last(world.arena.follow_up(view.battle_id, "Second", ANNA))

    assert (view.can_follow_up, second.can_follow_up) == (True, False)
    with pytest.raises(BattleError, match="at most 2 turns"):
        await last(world.arena.follow_up(view.battle_id, "Third", ANNA))
    await world.arena.vote(view.battle_id, ANNA, Winner.TIE)
    with pytest.raises(BattleError, match="before the vote"):
        await last(world.arena.follow_up(view.battle_id, "Third", ANNA))
    with pytest.raises(BattleError, match="not yours"):
        await last(world.arena.follow_up(view.battle_id, "Third", BEN))


async def test_a_conversation_does_not_go_on_with_a_model_that_has_changed(
    make_world: MakeWorld, database: Database
) -> None:
    before = await make_world(models=("hare", "fox"))
    view = await before.battle()
    after = await make_world(models=("hare", "fox"), entries={"fox": {"system_prompt": "Be another."}})

    with pytest.raises(BattleError, match="has changed"):
        await last(after.arena.follow_up(view.battle_id, "More", ANNA))

    assert (await after.arena.restore(ANNA)).view is not None


async def test_a_model_that_cannot_be_asked_now_does_not_cost_the_battle_its_vote(make_world: MakeWorld) -> None:
    world = await make_world(rest_after_failures=1)
    view = await world.battle("First")
    for name in ANIMALS:
        world.fleet.record_failure(name, FailureKind.SERVER_ERROR)

    with pytest.raises(BattleError, match="not possible at the moment"):
        await last(world.arena.follow_up(view.battle_id, "Second", ANNA))

    assert (await world.arena.vote(view.battle_id, ANNA, Winner.TIE)).phase is Phase.REVEALED


async def test_of_two_further_turns_at_once_one_is_asked(world: World) -> None:
    view = await world.battle("First")

    outcomes = await asyncio.gather(
        *(last(world.arena.follow_up(view.battle_id, text, ANNA)) for text in ("One", "Two")), return_exceptions=True
    )

    assert sum(isinstance(outcome, BattleView) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, BattleError) for outcome in outcomes) == 1


@pytest.mark.parametrize("side", list(Side))
async def test_a_new_battle_continues_from_the_chosen_answer(world: World, llm: ScriptedOpenAI, side: Side) -> None:
    view = await world.battle("First")
    further = await last(world.arena.follow_up(view.battle_id, "Second", ANNA))
    with pytest.raises(BattleError, match="after your vote"):
        await last(world.arena.continue_from(view.battle_id, side, "Third", ANNA))
    await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)
    said = [turn.answers[0 if side is Side.A else 1] for turn in further.turns]

    continued = await last(world.arena.continue_from(view.battle_id, side, "Third", ANNA))

    assert continued.battle_id != view.battle_id
    assert continued.reveal is None
    assert [turn.prompt for turn in continued.turns] == ["First", "Second", "Third"]
    assert [turn.answers for turn in continued.turns[:2]] == [(text, text) for text in said]
    for request in llm.requests[-2:]:
        assert [message["content"] for message in request.body["messages"]] == [
            "First",
            said[0],
            "Second",
            said[1],
            "Third",
        ]
    battle = world.stored(continued.battle_id)
    assert (battle.continues_battle_id, battle.continues_side) == (view.battle_id, side)
    assert (await world.arena.vote(continued.battle_id, ANNA, Winner.TIE)).reveal is not None
    with pytest.raises(BattleError, match="not yours"):
        await last(world.arena.continue_from(view.battle_id, side, "Third", BEN))
