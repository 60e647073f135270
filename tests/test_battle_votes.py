"""Votes: stored once, counted, revealed, withdrawn."""

import random
from typing import Any

import pytest
from sqlalchemy import select, update

from arena.battle import Phase
from arena.battle.verdicts import Ballot, cast
from arena.counts import read_counts, rebuild_counts
from arena.database import Database
from arena.errors import BattleError
from arena.tables import BattleState, Counter, ModelRevision, PairCount, Side, Vote, VoteState, Winner
from tests.arena_facts import RUBRIC
from tests.battle_fixtures import (
    ANIMALS,
    ANNA,
    BEN,
    MakeWorld,
    World,
    count,
    last,
    llm,
    make_world,
    revealed,
    streaming,
    world,
)
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

__all__ = ["llm", "make_world", "world"]


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


async def test_the_reveal_says_what_the_vote_did_to_both_ratings(make_world: MakeWorld) -> None:
    world = await make_world(models=("hare", "fox"))
    first = await world.battle()
    won, lost = revealed(await world.arena.vote(first.battle_id, ANNA, Winner.MODEL_A)).sides
    second = await world.battle("Again", BEN)

    sides = revealed(await world.arena.vote(second.battle_id, BEN, Winner.TIE)).sides

    assert (won.rating_before, lost.rating_before) == (None, None)
    assert won.rating_after is not None
    assert lost.rating_after is not None
    assert won.rating_after > 1000 > lost.rating_after
    after_the_first = {side.model_id: side.rating_after for side in (won, lost)}
    assert {side.model_id: side.rating_before for side in sides} == pytest.approx(after_the_first)
    rows = {row.model_id: row for row in world.leaderboard.standings().rows}
    for side in sides:
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


async def test_an_answer_that_names_its_writer_leaves_the_vote_unrated(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=("hare", "fox"))
    llm.scripts["hare"] = Script(text="I am The Hare, and this is how I see it.")
    view = await world.battle()

    reveal = revealed(await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A))

    assert (reveal.rated, reveal.sides[0].rating_after) == (False, None)
    assert "gave away who wrote it" in (reveal.unrated_reason or "")
    findings = {answer.text[:4]: answer.identity_findings for answer in world.answers(view.battle_id)}
    assert findings == {"I am": ["I am The Hare"], "The ": []}
    assert count(world.database, PairCount) == 0


async def test_a_demonstration_model_never_moves_real_ratings(world: World) -> None:
    view = await world.battle()
    with world.database.write() as session:
        session.execute(update(ModelRevision).values(platform="demo"))

    reveal = revealed(await world.arena.vote(view.battle_id, ANNA, Winner.MODEL_A))

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
