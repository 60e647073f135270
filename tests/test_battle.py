"""One battle from its prompt to its vote: what is asked, stored, shown and counted."""

import asyncio
import dataclasses
import json
import random

from sqlalchemy import select

from arena.battle import BattleView, Phase
from arena.battle.store import storable
from arena.providers.base import Sampling
from arena.tables import Answer, Battle, BattleState, Conversation, Mode, ModelRevision, Prompt, Seat, Side, Winner
from tests.battle_fixtures import (
    ANIMALS,
    ANNA,
    BEN,
    ORCHARD,
    STALLED,
    MakeWorld,
    World,
    every,
    last,
    llm,
    make_world,
    only,
    streaming,
    world,
)
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Recorded, Script

__all__ = ["llm", "make_world", "world"]


async def test_a_battle_goes_from_waiting_to_votable(world: World) -> None:
    views = await every(world.arena.fight("Hello", ANNA))

    assert views[0].phase is Phase.WAITING
    assert views[0].waiting == (True, True)
    assert views[-1].phase is Phase.VOTABLE
    assert views[-1].can_follow_up
    assert views[-1].question == "Which answer better demonstrates structural tension?"
    turn = views[-1].turns[0]
    assert turn.prompt == "Hello"
    assert all(answer.endswith("says: first see what you want.") for answer in turn.answers)
    assert turn.answers[0] != turn.answers[1]


async def test_what_a_battle_leaves_in_the_database(world: World, llm: ScriptedOpenAI) -> None:
    view = await world.battle("  Hello,\n\tyou two  ")

    battle = world.stored(view.battle_id)
    assert (battle.state, battle.mode, battle.turn, battle.voter_id) == (BattleState.VOTABLE, Mode.BATTLE, 1, "anna")
    assert battle.first_shown_ms is not None
    assert battle.answered_ms is not None
    assert battle.first_shown_ms > 0
    assert battle.answered_ms > 0
    assert battle.closed_at is not None
    with world.database.read() as session:
        assert session.scalar(select(Prompt.text)) == "  Hello,\n\tyou two  "
        seats = {seat.side: seat.answer_id for seat in session.scalars(select(Seat))}
        revisions = {side: session.get_one(ModelRevision, r).model_id for side, r in _revisions(battle).items()}
    answers = {answer.side: answer for answer in world.answers(view.battle_id)}
    for side, place in ((Side.A, 0), (Side.B, 1)):
        answer = answers[side]
        assert seats[side] == answer.id
        assert answer.text == view.turns[0].answers[place]
        assert revisions[side] in answer.text
        assert (answer.finish_reason, answer.failure, answer.attempt) == ("stop", None, 1)
        assert answer.input_tokens == 3
        assert answer.output_tokens
        assert answer.request_id
        assert answer.first_token_ms
        assert answer.sampling == {"temperature": 0.7, "top_p": 1.0, "max_new_tokens": 2000}
    assert {request.model for request in llm.requests} == set(revisions.values())


def _revisions(battle: Battle) -> dict[Side, int]:
    return {Side.A: battle.revision_a, Side.B: battle.revision_b}


async def test_a_battle_is_stored_before_anything_is_asked(world: World, llm: ScriptedOpenAI) -> None:
    seen: list[tuple[str, int]] = []

    def look(request: Recorded) -> Script:
        with world.database.read() as session:
            state = session.scalars(select(Battle.state)).one()
            seen.append((state, session.query(Answer).count()))
        return Script()

    llm.scripts = dict.fromkeys(ANIMALS, look)

    await world.battle()

    assert seen == [(BattleState.RUNNING, 2)] * 2


async def test_until_the_vote_nothing_tells_who_fights(world: World, llm: ScriptedOpenAI) -> None:
    only(llm, Script(text="An answer without a name.", chunk_delay_s=0.02))
    views = await every(world.arena.fight("Hello", ANNA))
    restored = (await world.arena.restore(ANNA)).view
    assert restored is not None

    answers = world.answers(views[-1].battle_id)
    told = json.dumps([dataclasses.asdict(view) for view in [*views, restored]]).lower()

    for secret in (*ANIMALS, "local server", "stop", *(str(answer.request_id) for answer in answers)):
        assert secret not in told
    assert all(view.reveal is None for view in views)
    unblind = {"model", "platform", "token", "time", "finish", "latency", "request"}
    assert not [name for name in BattleView.__dataclass_fields__ if any(word in name for word in unblind)]


async def test_every_pair_and_seating_comes_up(make_world: MakeWorld) -> None:
    world = await make_world(rng=random.Random(50))

    views = await asyncio.gather(*(world.battle() for _ in range(20)))

    pairs = {tuple(answer.split()[1] for answer in view.turns[0].answers) for view in views}
    assert len(pairs) == 12


async def test_models_are_asked_with_their_own_sampling(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    keys = {"hare": {"recommended_config": {"temperature": 0.2, "max_new_tokens": 50}}}
    world = await make_world(models=("hare", "fox"), entries=keys)

    await world.battle()

    asked = {request.model: request.body["temperature"] for request in llm.requests}
    assert asked == {"hare": 0.2, "fox": 0.7}


async def test_a_challenge_is_stored_only_if_the_prompt_is_its_text(world: World) -> None:
    as_it_is = await last(world.arena.fight(ORCHARD.text + "\n", ANNA, challenge_id="orchard"))
    edited = await last(world.arena.fight("Describe my garden.", ANNA, challenge_id="orchard"))

    stored = []
    with world.database.read() as session:
        for view in (as_it_is, edited):
            conversation = session.get_one(Conversation, session.get_one(Battle, view.battle_id).conversation_id)
            stored.append((conversation.challenge_id, conversation.challenge_tags))
    assert stored == [("orchard", ["life"]), (None, [])]


async def test_the_language_is_noted_with_the_battle(world: World) -> None:
    await world.battle("Décris le verger que tu voudrais avoir dans dix ans, s'il te plaît.")
    await world.battle("ok", BEN)

    with world.database.read() as session:
        rows = session.execute(select(Conversation.language, Conversation.language_method).order_by("created_at")).all()
    assert [language for language, _ in rows] == ["fr", None]
    assert all(method and method.startswith("py3langid ") for _, method in rows)


async def test_an_answer_no_database_takes_as_it_is_does_not_break_the_battle(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox"))
    only(llm, Script(text="nul \x00 here"))

    view = await world.battle()

    assert view.phase is Phase.VOTABLE
    assert {answer.text for answer in world.answers(view.battle_id)} == {"nul \ufffd here"}
    assert storable("half \ud83d here, \U0001f600 whole") == "half ? here, \U0001f600 whole"


async def test_whoever_measures_hears_of_every_finished_answer(world: World, llm: ScriptedOpenAI) -> None:
    heard: list[tuple[str, float, float]] = []
    world.arena.on_answered(lambda *answer: heard.append(answer))

    view = await world.battle()
    await last(world.arena.chat("Hello", ANNA, "hare", Sampling()))
    llm.scripts["hare"] = Script(fault=404)
    await last(world.arena.chat("Hello", ANNA, "hare", Sampling()))

    fought = sorted(answer.split()[1] for answer in view.turns[0].answers)
    assert sorted(model for model, _, _ in heard[:2]) == fought
    assert [model for model, _, _ in heard[2:]] == ["hare"]
    assert all(0 < first <= total for _, first, total in heard)


async def test_figures_count_battles_by_outcome(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(models=("hare", "fox"))
    await world.battle()
    voted = await world.battle()
    await world.arena.vote(voted.battle_id, ANNA, Winner.TIE)
    only(llm, Script(fault=500))
    await world.battle()
    only(llm, STALLED)
    world.fleet.record_success("hare", 1.0)
    world.fleet.record_success("fox", 1.0)
    views, _ = await streaming(world, llm)
    running = await world.arena.figures()
    await views.aclose()

    figures = await world.arena.figures()

    assert (running.running, running.undecided, running.completion) == (1, 1, 2 / 3)
    assert (figures.started, figures.votable, figures.voted, figures.void, figures.abandoned) == (4, 2, 1, 1, 1)
    assert figures.completion == 2 / 3
