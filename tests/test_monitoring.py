"""What the arena tells of itself: readiness and figures."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from arena import __version__
from arena.config import load_settings
from arena.parts import Parts, build_parts
from arena.service import Service
from arena.tables import Winner, now
from arena.voters import VoterIdentity
from tests.databases import sqlite_in
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

VOTER = VoterIdentity("someone")


@pytest.fixture
def llm() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI({"api-one": Script(text="One."), "api-two": Script(text="Two.")}) as server:
        yield server


@pytest.fixture
async def parts(llm: ScriptedOpenAI, tmp_path: Path) -> AsyncIterator[Parts]:
    entry = {"api_type": "openai", "api_base": llm.url, "api_key": "none"}
    roster = tmp_path / "roster.json"
    roster.write_text(json.dumps({name: {**entry, "model_name": f"api-{name}"} for name in ("one", "two")}))
    built = build_parts(
        load_settings(
            data_dir=tmp_path / "data",
            database_url=sqlite_in(tmp_path / "data"),
            models=roster,
            pace_characters_per_s=50_000,
            rest_after_failures=1,
            spend_per_day=5,
        )
    )
    yield built
    await built.aclose()


async def figures_of(parts: Parts) -> dict[str, float]:
    """Every sample of `/metrics` by its name and labels."""
    text = (await parts.monitor.metrics()).decode()
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def fight(parts: Parts) -> str:
    *_, last = [view async for view in parts.arena.fight("Hello", VOTER)]
    return last.battle_id


async def test_an_arena_is_ready_once_two_models_can_be_drawn(parts: Parts) -> None:
    before = await parts.monitor.readiness()
    await parts.fleet.prepare()
    after = await parts.monitor.readiness()

    assert not before.ready
    assert after.ready
    assert after.as_json()["checks"]["models"] == {
        "ok": True,
        "detail": "2 models are ready to be drawn; a battle needs two.",
    }


@pytest.mark.sqlite
async def test_an_arena_whose_database_is_gone_is_not_ready(parts: Parts, tmp_path: Path) -> None:
    await parts.fleet.prepare()
    parts.database.engine.dispose()
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (tmp_path / "data").write_text("no folder")

    report = await parts.monitor.readiness()

    assert not report.checks["database"].ok
    assert not report.ready


async def test_an_arena_that_stops_is_not_ready(parts: Parts) -> None:
    await parts.fleet.prepare()

    await parts.drain()

    assert not (await parts.monitor.readiness()).ready


async def test_what_anybody_may_ask_names_no_model(parts: Parts) -> None:
    await parts.fleet.prepare()

    told = json.dumps((await parts.monitor.readiness()).as_json()) + json.dumps(parts.monitor.health())

    assert not any(name in told for name in ("one", "api-", "openai", "compatible"))


async def test_the_operator_learns_why_a_model_is_not_ready(parts: Parts, llm: ScriptedOpenAI) -> None:
    await parts.fleet.prepare()
    llm.scripts["api-one"] = Script(fault=404)
    await fight(parts)

    models = {model["id"]: model for model in (await parts.monitor.operator_report())["models"]}

    assert models["two"] == {"id": "two", "state": "ready", "reason": ""}
    assert models["one"]["state"] != "ready"
    assert models["one"]["reason"]


@pytest.mark.sqlite
async def test_the_operator_learns_that_votes_are_not_kept_safe(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    await parts.fleet.prepare()
    await fight(parts)
    parts.settings.resolved_backup_dir.write_text("a file where the folder should be")
    parts.keeper.do_what_is_due(now())

    report = json.loads(json.dumps((await parts.monitor.readiness()).as_json() | await parts.monitor.operator_report()))
    assert Service(parts.settings)._tell_report(report) == 0

    told = (
        f"The latest attempt to keep votes safe failed: Nothing can be written in {parts.settings.resolved_backup_dir}"
    )
    assert told in capsys.readouterr().out


async def test_figures_follow_the_battles(parts: Parts, llm: ScriptedOpenAI) -> None:
    await parts.fleet.prepare()
    battle = await fight(parts)
    await fight(parts)
    await parts.arena.vote(battle, VOTER, Winner.MODEL_A)

    figures = await figures_of(parts)

    assert figures[f"arena_build_info version={__version__}"] == 1
    assert figures["arena_battles_total outcome=started"] == 2
    assert figures["arena_battles_total outcome=votable"] == 2
    assert figures["arena_battles_total outcome=voted"] == 1
    assert figures["arena_battles_total outcome=void"] == 0
    assert figures["arena_votes_total"] == 1
    assert (figures["arena_starts_today"], figures["arena_spent_today_dollars"]) == (2, 0)
    assert figures["arena_models_ready"] == figures["arena_models"] == 2
    assert figures["arena_running_battles"] == figures["arena_open_streams"] == 0
    assert figures["arena_database_bytes"] > 10_000
    for model in ("one", "two"):
        assert figures[f"arena_answer_seconds_count model={model}"] == 2
        assert figures[f"arena_first_token_seconds_sum model={model}"] > 0
        assert (
            figures[f"arena_first_token_seconds_sum model={model}"]
            <= figures[f"arena_answer_seconds_sum model={model}"]
        )


async def test_failures_are_counted_by_kind(parts: Parts, llm: ScriptedOpenAI) -> None:
    await parts.fleet.prepare()
    llm.scripts["api-one"] = Script(fault=404)
    await fight(parts)

    figures = await figures_of(parts)

    assert figures["arena_answer_failures_total kind=not_found model=one"] == 1
    assert figures["arena_models_ready"] == 1


async def test_a_withdrawn_vote_does_not_count(parts: Parts) -> None:
    await parts.fleet.prepare()
    battle = await fight(parts)
    await parts.arena.vote(battle, VOTER, Winner.TIE)
    await parts.arena.withdraw(battle, VOTER)

    assert (await figures_of(parts))["arena_votes_total"] == 0
