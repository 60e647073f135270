import asyncio
import dataclasses
import json
import random
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update

from arena.battle import BattleView, Phase, recover_interrupted
from arena.battle.line import MOST_OF_ONE
from arena.battle.store import storable
from arena.battle.verdicts import Ballot, cast
from arena.counts import read_counts, rebuild_counts
from arena.database import Database, open_database
from arena.errors import BattleError, FailureKind
from arena.providers.base import Sampling
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Conversation,
    Counter,
    Mode,
    ModelRevision,
    PairCount,
    Prompt,
    Seat,
    Side,
    Vote,
    VoteState,
    Winner,
    now,
)
from arena.voters import VoterIdentity
from tests.arena_facts import RUBRIC
from tests.battle_fixtures import ANIMALS, ANNA, BEN, ORCHARD, World, every, hung_up, last, llm, make_world, world
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Recorded, Script

__all__ = ["llm", "make_world", "world"]

Make = Callable[..., Any]
LONG = "Step by step the picture of what you want becomes clear. " * 20
STALLED = Script(text=LONG, fault=Fault.STALL_MIDWAY)


def only(llm: ScriptedOpenAI, script: Script) -> None:
    """Every model answers like this."""
    llm.scripts = dict.fromkeys(ANIMALS, script)


async def streaming(world: World, llm: ScriptedOpenAI, prompt: str = "Hello") -> tuple[AsyncGenerator[BattleView], str]:
    """A battle whose two models have fallen silent in mid-answer, and its id."""
    only(llm, STALLED)
    before = sum(llm.stalled.values())
    views = world.arena.fight(prompt, ANNA)
    async for view in views:
        if view.phase is Phase.STREAMING:
            break
    await llm.until(lambda server: sum(server.stalled.values()) == before + 2)
    return views, view.battle_id


def grow_old(database: Database) -> None:
    """Let turns be older than any may last, where a younger one could be another process's."""
    if database.engine.dialect.name == "postgresql":
        with database.write() as session:
            session.execute(update(Prompt).values(created_at=now() - timedelta(minutes=11)))


def count(database: Database, table: type, *where: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


# ── from the prompt to the vote ─────────────────────────────────────────────────────────────────────────────────────


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


async def test_every_pair_and_seating_comes_up(make_world: Make) -> None:
    world = await make_world(rng=random.Random(50))

    views = await asyncio.gather(*(world.battle() for _ in range(20)))

    pairs = {tuple(answer.split()[1] for answer in view.turns[0].answers) for view in views}
    assert len(pairs) == 12


async def test_models_are_asked_with_their_own_sampling(make_world: Make, llm: ScriptedOpenAI) -> None:
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


async def test_the_language_is_noted_beside_the_battle(world: World) -> None:
    await world.battle("Décris le verger que tu voudrais avoir dans dix ans, s'il te plaît.")
    await world.battle("ok", BEN)
    await world.arena.drain(0)

    with world.database.read() as session:
        rows = session.execute(select(Conversation.language, Conversation.language_method).order_by("created_at")).all()
    assert [language for language, _ in rows] == ["fr", None]
    assert all(method and method.startswith("py3langid ") for _, method in rows)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


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
    make_world: Make, llm: ScriptedOpenAI, prompt: str, sentence: str
) -> None:
    world = await make_world(max_prompt_characters=100)

    with pytest.raises(BattleError, match=sentence):
        await world.battle(prompt)

    assert (count(world.database, Battle), len(llm.requests)) == (0, 0)


async def test_a_prompt_of_just_the_greatest_length_is_asked_whole(make_world: Make, llm: ScriptedOpenAI) -> None:
    world = await make_world(max_prompt_characters=100)

    await world.battle("é" * 100)

    assert llm.requests[0].body["messages"][-1]["content"] == "é" * 100


async def test_one_model_is_no_battle(make_world: Make) -> None:
    world = await make_world(models=("hare",))

    with pytest.raises(BattleError, match="two models"):
        await world.battle()


async def test_a_voter_is_told_when_to_come_back(make_world: Make) -> None:
    world = await make_world(battles_per_minute=1)
    await world.battle()

    with pytest.raises(BattleError, match="You can start the next one in"):
        await world.battle()


async def test_who_finds_a_full_arena_waits_in_line_and_is_served_in_turn(
    make_world: Make, llm: ScriptedOpenAI
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


@pytest.mark.parametrize("departs", ["stop", "leave", "close", "drain"])
async def test_who_leaves_the_line_leaves_nothing_behind(make_world: Make, llm: ScriptedOpenAI, departs: str) -> None:
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


async def test_the_line_is_bounded_in_all_and_for_each_voter(make_world: Make, llm: ScriptedOpenAI) -> None:
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


# ── votes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("winner", list(Winner))
async def test_each_verdict_is_stored_counted_and_revealed(world: World, winner: Winner) -> None:
    view = await world.battle()

    voted = await world.arena.vote(view.battle_id, ANNA, winner)

    assert voted.phase is Phase.REVEALED
    assert voted.turns == view.turns
    reveal = voted.reveal
    assert reveal is not None
    assert (reveal.winner, reveal.rated, reveal.unrated_reason, reveal.withdrawn) == (winner, True, None, False)
    for side, answer in zip(reveal.sides, view.turns[0].answers, strict=True):
        assert f"The {side.model_id} says" in answer
        assert (side.display_name, side.platform) == (f"The {side.model_id.capitalize()}", "Local server")
        assert side.family == f"{side.model_id}-family"
        assert (side.finish_reason, side.input_tokens, side.output_tokens) == ("stop", 1, 8)
        assert side.first_token_s is not None
        assert side.total_s is not None
        assert 0 < side.first_token_s <= side.total_s
    battle = world.stored(view.battle_id)
    assert battle.state is BattleState.VOTED
    counts = read_counts(world.database, ("battle",))
    assert counts.votes == 1
    if winner is Winner.MODEL_A:
        assert counts.wins[counts.revisions.index(battle.revision_a), counts.revisions.index(battle.revision_b)] == 1


async def test_the_reveal_says_what_the_vote_did_to_both_ratings(make_world: Make) -> None:
    world = await make_world(models=("hare", "fox"))
    first = await world.battle()
    a = (await world.arena.vote(first.battle_id, ANNA, Winner.MODEL_A)).reveal.sides
    second = await world.battle("Again", BEN)

    b = (await world.arena.vote(second.battle_id, BEN, Winner.TIE)).reveal.sides

    assert [side.rating_before for side in a] == [None, None]
    assert a[0].rating_after > 1000 > a[1].rating_after
    after_the_first = {side.model_id: side.rating_after for side in a}
    assert {side.model_id: side.rating_before for side in b} == pytest.approx(after_the_first)
    rows = {row.model_id: row for row in world.leaderboard.standings().rows}
    for side in b:
        assert side.rating_after == pytest.approx(rows[side.model_id].rating)
        assert side.rank == rows[side.model_id].rank


async def test_a_vote_keeps_the_question_the_turns_and_the_criteria(world: World) -> None:
    view = await world.battle()
    await last(world.arena.follow_up(view.battle_id, "And then?", ANNA))

    await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_B, {"clarity": "model_a", "warmth": "tie"})

    with world.database.read() as session:
        vote = session.scalars(select(Vote)).one()
        assert (vote.turn, vote.criteria) == (2, {"clarity": "model_a", "warmth": "tie"})
        assert vote.rubric_version == RUBRIC.version
        assert (vote.state, vote.rated, vote.shown_first) == (VoteState.COUNTED, True, Side.A)
        assert (world.stored(view.battle_id).question_version, vote.voter_id) == ("1", "anna")
    assert read_counts(world.database, ("battle",), RUBRIC.key("clarity")).votes == 1
    assert read_counts(world.database, ("battle",), RUBRIC.key("warmth")).ties.sum() == 2


async def test_a_criterion_that_was_not_rated_is_absent_and_counts_nowhere(world: World) -> None:
    view = await world.battle()

    await world.arena.vote(view.battle_id, ANNA, Winner.TIE, {"clarity": "tie"})

    with world.database.read() as session:
        assert session.scalars(select(Vote.criteria)).one() == {"clarity": "tie"}
    assert read_counts(world.database, ("battle",), RUBRIC.key("warmth")).votes == 0


@pytest.mark.parametrize(
    ("criteria", "version", "sentence"),
    [
        ({"clarity": "both_bad"}, None, "rated model_a, model_b or tie"),
        ({"clarity": "left"}, None, "rated model_a, model_b or tie"),
        ({"wit": "model_a"}, None, "not the arena's"),
        ({"clarity": "model_a"}, "0", "changed since this page was loaded"),
    ],
)
async def test_criteria_that_the_rubric_does_not_ask_for_are_refused(
    world: World, criteria: dict[str, str], version: str | None, sentence: str
) -> None:
    view = await world.battle()

    with pytest.raises(BattleError, match=sentence):
        await world.arena.vote(view.battle_id, ANNA, Winner.TIE, criteria, version)

    assert count(world.database, Vote) == 0


async def test_a_vote_sent_twice_is_stored_once(world: World) -> None:
    view = await world.battle()
    await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)

    with pytest.raises(BattleError, match="has its vote already"):
        await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_B)

    assert count(world.database, Vote, Vote.winner == Winner.MODEL_A) == 1
    assert read_counts(world.database, ("battle",)).votes == 1


async def test_of_many_votes_at_once_one_counts(world: World) -> None:
    view = await world.battle()
    votes = [world.arena.vote(view.battle_id, ANNA, winner) for winner in [*Winner, *Winner]]

    outcomes = await asyncio.gather(*votes, return_exceptions=True)

    assert sum(isinstance(outcome, BattleView) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, BattleError) for outcome in outcomes) == 7
    assert count(world.database, Vote) == 1
    assert read_counts(world.database, ("battle",)).votes == 1


async def test_every_database_takes_a_whole_battle_and_one_of_many_votes(
    make_world: Make, any_database: Database
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
    make_world: Make, new_postgres_url: Callable[[], str]
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


async def test_many_battles_and_votes_at_once_are_all_counted(make_world: Make, any_database: Database) -> None:
    world = await make_world(store=any_database)

    async def one(number: int) -> None:
        voter = VoterIdentity(f"voter-{number % 5}")
        view = await world.battle(voter=voter)
        await world.arena.vote(view.battle_id, voter, list(Winner)[number % 4])

    await asyncio.gather(*(one(number) for number in range(24)))

    assert read_counts(any_database, ("battle",)).votes == 24
    assert rebuild_counts(any_database) == 24


async def test_nobody_votes_in_somebody_elses_battle(world: World) -> None:
    view = await world.battle()

    for battle_id in (view.battle_id, "no such battle"):
        with pytest.raises(BattleError, match="not yours"):
            await world.arena.vote(battle_id, BEN, Winner.MODEL_A)

    assert count(world.database, Vote) == 0


async def test_a_vote_while_the_answers_are_written_is_refused(world: World, llm: ScriptedOpenAI) -> None:
    views, battle_id = await streaming(world, llm)

    with pytest.raises(BattleError, match="still being written"):
        await world.arena.vote(battle_id, ANNA, Winner.TIE)

    await views.aclose()
    with pytest.raises(BattleError, match="stopped before both answers"):
        await world.arena.vote(battle_id, ANNA, Winner.TIE)


async def test_an_answer_that_names_its_writer_leaves_the_vote_unrated(make_world: Make, llm: ScriptedOpenAI) -> None:
    world = await make_world(models=("hare", "fox"))
    llm.scripts["hare"] = Script(text="I am The Hare, and this is how I see it.")
    view = await world.battle()

    reveal = (await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)).reveal

    assert (reveal.rated, reveal.sides[0].rating_after) == (False, None)
    assert "gave away who wrote it" in reveal.unrated_reason
    findings = {answer.text[:4]: answer.identity_findings for answer in world.answers(view.battle_id)}
    assert findings == {"I am": ["I am The Hare"], "The ": []}
    assert count(world.database, PairCount) == 0


async def test_a_demonstration_model_never_moves_real_ratings(world: World) -> None:
    view = await world.battle()
    with world.database.write() as session:
        session.execute(update(ModelRevision).values(platform="demo"))

    reveal = (await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)).reveal

    assert reveal is not None
    assert "demonstration" in (reveal.unrated_reason or "")
    assert count(world.database, PairCount) == 0


async def test_in_the_demonstrations_own_database_votes_count(world: World) -> None:
    view = await world.battle()
    with world.database.write() as session:
        session.execute(update(ModelRevision).values(platform="demo"))

    cast(world.database, Ballot(view.battle_id, "anna", Winner.MODEL_A), demo=True)

    assert read_counts(world.database, ("battle",)).votes == 1


async def test_a_withdrawn_vote_is_kept_and_no_longer_counts(world: World) -> None:
    view = await world.battle()
    await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A, {"clarity": "model_a"})
    with world.database.read() as session:
        before = session.scalars(select(Counter.value)).one()

    withdrawn = await world.arena.withdraw(view.battle_id, ANNA)
    with world.database.read() as session:
        changed_at = session.scalars(select(Vote.changed_at)).one()
    again = await world.arena.withdraw(view.battle_id, ANNA)

    reveal = withdrawn.reveal
    assert reveal is not None
    assert (reveal.withdrawn, reveal.rated, reveal.sides[0].rating_after) == (True, False, None)
    assert reveal.sides[0].model_id in ANIMALS
    assert again == withdrawn
    with world.database.read() as session:
        vote = session.scalars(select(Vote)).one()
        assert (vote.state, vote.rated, vote.winner) == (VoteState.WITHDRAWN, False, Winner.MODEL_A)
        assert vote.changed_at == changed_at > vote.created_at
        assert session.scalars(select(Counter.value)).one() == before + 1
    assert read_counts(world.database, ("battle",)).votes == 0
    assert read_counts(world.database, ("battle",), "clarity").votes == 0
    with pytest.raises(BattleError):
        await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)


async def test_only_its_voter_withdraws_a_vote(world: World) -> None:
    view = await world.battle()
    with pytest.raises(BattleError, match="no vote to withdraw"):
        await world.arena.withdraw(view.battle_id, ANNA)
    await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A)

    with pytest.raises(BattleError, match="not yours"):
        await world.arena.withdraw(view.battle_id, BEN)

    assert read_counts(world.database, ("battle",)).votes == 1


async def test_counts_rebuilt_from_the_votes_are_the_counts_kept(world: World) -> None:
    rng = random.Random(1)
    for number in range(12):
        view = await world.battle()
        await world.arena.vote(view.battle_id, ANNA, rng.choice(list(Winner)), {"clarity": "model_b"})
        if number % 4 == 0:
            await world.arena.withdraw(view.battle_id, ANNA)
    kept = _counts(world.database)

    assert rebuild_counts(world.database) == 9
    assert _counts(world.database) == kept


def _counts(database: Database) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Every count that is not all zeros: a pair whose votes were withdrawn, or that has none any more, says nothing."""
    with database.read() as session:
        counts = {
            (row.scope, row.criterion, row.revision_low, row.revision_high): (
                row.wins_low,
                row.wins_high,
                row.ties,
                row.both_bad,
            )
            for row in session.scalars(select(PairCount))
        }
    return {row: numbers for row, numbers in counts.items() if any(numbers)}


# ── several turns ───────────────────────────────────────────────────────────────────────────────────────────────────


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


async def test_further_turns_end_with_the_vote_and_at_the_limit(make_world: Make) -> None:
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
    make_world: Make, database: Database
) -> None:
    before = await make_world(models=("hare", "fox"))
    view = await before.battle()
    after = await make_world(models=("hare", "fox"), entries={"fox": {"system_prompt": "Be another."}})

    with pytest.raises(BattleError, match="has changed"):
        await last(after.arena.follow_up(view.battle_id, "More", ANNA))

    assert (await after.arena.restore(ANNA)).view is not None


async def test_a_model_that_cannot_be_asked_now_does_not_cost_the_battle_its_vote(make_world: Make) -> None:
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


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_replaced_model_keeps_its_failed_attempts_and_loses_its_seat(
    make_world: Make, llm: ScriptedOpenAI
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
    make_world: Make, llm: ScriptedOpenAI
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
    make_world: Make, llm: ScriptedOpenAI
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
    make_world: Make, llm: ScriptedOpenAI
) -> None:
    world = await make_world(rng=random.Random(2), first_token_s=1, first_text_s=8, rest_s=0.2, max_battles=200)
    faults = random.Random(4)

    def unsteady(_: Recorded) -> Script:
        if faults.random() > 0.3:
            return Script()
        kinds: list[Fault | int] = [500, 429, 503, Fault.STALL_HEADERS, Fault.STALL_FIRST, Fault.EMPTY, Fault.CUT]
        return Script(fault=faults.choice(kinds), fault_after=0)

    llm.scripts["hare"] = unsteady
    views: list[BattleView] = []
    for _ in range(10):
        views += await asyncio.gather(*(world.battle() for _ in range(15)))

    votable = sum(view.phase is Phase.VOTABLE for view in views)
    assert votable >= 0.98 * len(views)
    failed = count(world.database, Answer, Answer.failure.is_not(None))
    assert failed > 10
    figures = await world.arena.figures()
    assert figures.completion == votable / len(views)


# ── leaving, stopping, reloading ────────────────────────────────────────────────────────────────────────────────────


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
    make_world: Make, llm: ScriptedOpenAI
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


async def test_battles_that_a_stopped_process_left_running_are_closed_at_the_next_start(
    make_world: Make, world: World, llm: ScriptedOpenAI
) -> None:
    finished = await world.battle("First")
    only(llm, STALLED)
    views = world.arena.follow_up(finished.battle_id, "Second", ANNA)
    async for view in views:
        if view.phase is Phase.STREAMING:
            break
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
    make_world: Make, llm: ScriptedOpenAI, new_postgres_url: Callable[[], str]
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


async def test_an_answer_no_database_takes_as_it_is_does_not_break_the_battle(
    make_world: Make, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox"))
    only(llm, Script(text="nul \x00 here"))

    view = await world.battle()

    assert view.phase is Phase.VOTABLE
    assert {answer.text for answer in world.answers(view.battle_id)} == {"nul \ufffd here"}
    assert storable("half \ud83d here, \U0001f600 whole") == "half ? here, \U0001f600 whole"


# ── named models ────────────────────────────────────────────────────────────────────────────────────────────────────


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


async def test_figures_count_battles_by_outcome(make_world: Make, llm: ScriptedOpenAI) -> None:
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
