"""Filling a campaign through the real SDK: failures, interruption, budgets, retired models, answers from elsewhere."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from arena.campaigns.answers_import import import_answers
from arena.campaigns.filling import FillReport, fill_campaign
from arena.campaigns.lock import filling_alone
from arena.campaigns.progress import campaign_progress
from arena.campaigns.wanted import find_campaign, missing_answers
from arena.database import Database
from arena.errors import ConfigError, FailureKind
from arena.roster import Roster
from arena.tables import Answer, CampaignAnswer, ModelRevision
from tests.battle_fixtures import MakeWorld, World, llm, make_world
from tests.campaign_facts import add_campaign
from tests.scripted_openai import ScriptedOpenAI, latest_prompt
from tests.scripting import Recorded, Script, ScriptedServer

__all__ = ["llm", "make_world"]
MODELS = ("hare", "tortoise")
PRICE = {"price": {"input": 0.0, "output": 1.0}, "recommended_config": {"max_new_tokens": 100}}
"""A ten-thousandth of a dollar for an answer at most."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.campaigns.asking.PAUSE_S", 0.0)


async def fill(world: World, **options: Any) -> FillReport:
    return await fill_campaign(world.database, world.fleet, world.settings, "spring", **options)


def missing(database: Database) -> int:
    with database.read() as session:
        return len(missing_answers(session, find_campaign(session, "spring")))


def asked(llm: ScriptedOpenAI) -> Counter[tuple[str, str]]:
    return Counter((request.model, latest_prompt(request)) for request in llm.requests)


async def test_a_model_that_fails_a_third_of_the_time_is_asked_again(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=MODELS)
    llm.scripts["hare"] = Script(text="First see what you want.", fault=500, fail_share=1 / 3)
    add_campaign(world.database, prompts=12, answered=False)
    told: list[str] = []
    shares: list[float] = []

    first = await fill(world, progress=shares.append, tell=told.append)
    while missing(world.database):
        await fill(world)

    failures = first.failures["hare", FailureKind.SERVER_ERROR]
    assert failures > 0
    assert first.failures.total() == failures
    assert first.missing == len(told)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    progress = campaign_progress(world.database, "spring", {})
    assert progress.answers == (24, 24)
    assert progress.ready == 12
    assert progress.models[0].failures["server_error"] >= failures
    assert asked(llm)["tortoise", "Prompt number 1?"] == 1


async def test_what_was_stored_before_an_interruption_is_never_asked_again(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=MODELS)
    stalled = asyncio.Event()

    def answer(request: Recorded) -> Script:
        late = latest_prompt(request) in ("Prompt number 3?", "Prompt number 4?") and not stalled.is_set()
        return Script(text="Look again.", chunk_delay_s=30 if late else 0)

    llm.scripts["hare"] = llm.scripts["tortoise"] = answer
    add_campaign(world.database, prompts=5, answered=False)

    def two_rounds(server: ScriptedServer) -> bool:
        return len(server.told) == 4 and sum(server.open_streams.values()) == 2

    first = asyncio.create_task(fill(world, at_once=2))
    await llm.until(two_rounds)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    kept = 10 - missing(world.database)
    stalled.set()
    report = await fill(world)

    assert kept == 4
    assert report.stored == 6
    again = {pair for pair, times in asked(llm).items() if times > 1}
    assert again == {(model, "Prompt number 3?") for model in MODELS}  # those that were being written


async def test_the_budget_is_never_exceeded(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(models=MODELS, entries=dict.fromkeys(MODELS, PRICE))
    llm.default = None
    for model in MODELS:
        llm.scripts[model] = Script(text="word " * 90)
    add_campaign(world.database, prompts=10, answered=False, budget_usd=0.00055)

    report = await fill(world, at_once=8)

    assert report.budget_spent
    assert report.stored == 6  # six times 90 tokens; a seventh might take 100
    assert report.cost.usd == pytest.approx(6 * 90e-6)
    assert len(llm.requests) == 6
    resumed = await fill(world)
    assert resumed.stored == 0
    assert len(llm.requests) == 6


async def test_a_budget_in_dollars_needs_prices(make_world: MakeWorld) -> None:
    world = await make_world(models=MODELS)
    add_campaign(world.database, answered=False, budget_usd=1.0)

    with pytest.raises(ConfigError, match="no price for hare, tortoise"):
        await fill(world)


async def test_a_model_that_is_gone_takes_part_with_its_earlier_answers(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world = await make_world(models=MODELS)
    add_campaign(world.database, answered=False)
    await fill(world)
    llm.scripts["hare"] = Script(fault=404)
    add_campaign(world.database, id="autumn", answered=False, prompts=4)

    report = await fill_campaign(world.database, world.fleet, world.settings, "autumn")

    assert report.taken == 3
    assert report.stored == 4
    assert report.missing == 1
    assert "correct model_name" in report.left_alone["hare"]
    progress = campaign_progress(world.database, "autumn", {})
    assert progress.ready == 3
    assert progress.cost.tokens == 4 * 11  # what the tortoise read and wrote; a refusal costs nothing


async def test_a_model_that_only_fails_is_left_alone(make_world: MakeWorld, llm: ScriptedOpenAI) -> None:
    world = await make_world(models=MODELS)
    llm.scripts["hare"] = Script(fault=400)
    add_campaign(world.database, prompts=12, answered=False)

    report = await fill(world, at_once=1)

    assert report.stored == 12
    assert report.failures["hare", FailureKind.BAD_REQUEST] == 5
    assert "5 answers in a row failed" in report.left_alone["hare"]


def test_two_fillings_of_one_campaign_do_not_run_at_once(any_database: Database) -> None:
    with filling_alone(any_database, "spring"):
        with pytest.raises(ConfigError, match="being filled already"), filling_alone(any_database, "spring"):
            pass
        with filling_alone(any_database, "autumn"):
            pass
    with filling_alone(any_database, "spring"):
        pass


def test_answers_from_elsewhere_come_in_once(database: Database, tmp_path: Path) -> None:
    add_campaign(database, answered=False)
    lines = [
        {"prompt": "p1", "model": "hare", "answer": "I was made by OpenAI."},
        {"prompt": "Prompt number 2?", "model": "hare", "answer": "Slowly.", "output_tokens": 3},
        {"prompt": "p1", "model": "hare", "answer": "Another."},
        {"prompt": "p9", "model": "hare", "answer": "Nowhere."},
        {"prompt": "p1", "model": "fox", "answer": "Nobody."},
        {"prompt": "p1", "model": "tortoise"},
    ]
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))

    report = import_answers(database, Roster({}), "spring", [file])
    again = import_answers(database, Roster({}), "spring", [file])

    assert (report.read, report.imported) == (6, 2)
    assert report.skipped == {
        "this answer is there already": 1,
        "no such prompt in this campaign": 1,
        "no such model in this campaign": 1,
    }
    assert report.wrong == [f"{file}:6: has no `answer`."]
    assert again.imported == 0
    with database.read() as session:
        kept = session.scalars(select(Answer).join(CampaignAnswer, CampaignAnswer.answer_id == Answer.id)).all()
        assert {session.get_one(ModelRevision, answer.revision_id).platform for answer in kept} == {"imported"}
        assert sum(bool(answer.identity_findings) for answer in kept) == 1
        assert session.scalar(select(func.count()).select_from(Answer)) == 2
    assert campaign_progress(database, "spring", {}).cost.tokens == 0
