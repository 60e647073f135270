"""Models that fail in a battle: asked again, replaced, or the end of it."""

import asyncio
import dataclasses
import json
import random

import pytest
from sqlalchemy import select

from arena.battle import BattleView, Phase
from arena.errors import BattleError, FailureKind
from arena.providers.base import Sampling
from arena.tables import Answer, BattleState, ModelRevision, Seat, Winner
from tests.battle_fixtures import ANNA, LONG, MakeWorld, World, count, every, last, llm, make_world, world
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Recorded, Script

__all__ = ["llm", "make_world", "world"]


async def test_a_replaced_model_keeps_its_failed_attempts_and_loses_its_seat(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox", "heron"))
    llm.scripts["hare"] = Script(fault=500)
    view = await world.battle()
    while "hare" not in {request.model for request in llm.requests}:
        view = await world.battle()

    battle = world.stored(view.battle_id)
    with world.database.read() as session:
        models = {id_: r.model_id for id_, r in ((r.id, r) for r in session.scalars(select(ModelRevision)))}
    answers = world.answers(view.battle_id)
    assert {models[battle.revision_a], models[battle.revision_b]} == {"fox", "heron"}
    failed = [answer for answer in answers if models[answer.revision_id] == "hare"]
    assert [(answer.attempt, answer.failure, answer.text) for answer in failed] == [
        (1, FailureKind.SERVER_ERROR, ""),
        (2, FailureKind.SERVER_ERROR, ""),
    ]
    assert [a.attempt for a in answers if a.side is failed[0].side] == [1, 2, 3]
    assert view.phase is Phase.VOTABLE
    assert all(answer.split()[1] in ("fox", "heron") for answer in view.turns[0].answers)


async def test_when_nobody_can_take_the_seat_the_battle_is_void_with_one_neutral_sentence(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox"))
    llm.scripts["hare"] = Script(fault=500, message="hare's secret trouble")

    views = await every(world.arena.fight("Hello", ANNA))

    assert views[-1].phase is Phase.VOID
    assert {view.notice for view in views} >= {views[-1].notice}
    assert views[-1].notice
    assert "hare" not in json.dumps([dataclasses.asdict(view) for view in views]).replace("The hare says", "")
    assert sorted(views[-1].turns[0].answers) == ["", "The fox says: first see what you want."]
    battle = world.stored(views[-1].battle_id)
    assert battle.state is BattleState.VOID
    assert "server_error" in (battle.state_reason or "")
    assert count(world.database, Seat) == 0
    with pytest.raises(BattleError, match="takes no vote"):
        await world.arena.vote(views[-1].battle_id, ANNA, Winner.TIE)


async def test_a_failure_after_text_was_shown_makes_the_battle_void_and_the_other_answer_stays_readable(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox"), silence_s=0.3, pace_characters_per_s=2000)
    llm.scripts["hare"] = Script(text=LONG, fault=Fault.STALL_MIDWAY, fault_after=4)
    llm.scripts["fox"] = Script(text=LONG)

    view = await world.battle()

    assert view.phase is Phase.VOID
    assert sorted(view.turns[0].answers) == sorted(["Step by step the ", LONG])
    stored = {answer.failure: answer.text for answer in world.answers(view.battle_id)}
    assert stored == {FailureKind.SILENCE: "Step by step the ", None: LONG}
    again = await world.arena.restore(ANNA)
    assert (again.view, again.prompt) == (None, "")


async def test_named_models_are_never_replaced(world: World, llm: ScriptedOpenAI) -> None:
    llm.scripts["hare"] = Script(fault=404)

    view = await last(world.arena.fight_named("Hello", ANNA, ("hare", "fox"), Sampling()))

    assert view.phase is Phase.VOID
    assert {request.model for request in llm.requests} == {"hare", "fox"}


@pytest.mark.slow
async def test_with_a_third_of_one_models_requests_failing_nearly_every_battle_becomes_votable(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(rng=random.Random(2), first_token_s=2, first_text_s=16, rest_s=0.2, max_battles=200)
    faults = random.Random(4)

    def unsteady(_: Recorded) -> Script:
        if faults.random() > 0.3:
            return Script()
        kinds: list[Fault | int] = [500, 429, 503, Fault.STALL_HEADERS, Fault.STALL_FIRST, Fault.EMPTY, Fault.CUT]
        return Script(fault=faults.choice(kinds), fault_after=0)

    llm.scripts["hare"] = unsteady
    views: list[BattleView] = []
    for _ in range(6):
        views += await asyncio.gather(*(world.battle() for _ in range(25)))

    votable = sum(view.phase is Phase.VOTABLE for view in views)
    assert votable >= 0.98 * len(views)
    failed = count(world.database, Answer, Answer.failure.is_not(None))
    assert failed > 10
    figures = await world.arena.figures()
    assert figures.completion == votable / len(views)
