"""Prompts are checked before they are asked, through the real SDK against a scripted endpoint."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, select

from arena.battle import Phase
from arena.errors import BattleError, ConfigError
from arena.providers.factory import build_moderation
from arena.tables import Conversation, Prompt, StartCount, Voter
from tests.battle_fixtures import ANNA, MakeWorld, World, llm, make_world
from tests.conftest import SettingsFactory
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

__all__ = ["llm", "make_world"]
MODEL = "omni-moderation-latest"
HARMFUL = "a prompt that somebody objects to"


@asynccontextmanager
async def moderated(
    make_world: MakeWorld,
    make_settings: SettingsFactory,
    llm: ScriptedOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    **given: Any,
) -> AsyncIterator[World]:
    """An arena whose prompts are shown to the scripted server first."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-moderation-key")
    monkeypatch.setenv("OPENAI_BASE_URL", llm.url)
    moderation = build_moderation(make_settings(moderation="openai", **given))
    async with aclosing(moderation):
        yield await make_world(moderation=moderation)


def stored(world: World, table: type) -> int:
    with world.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_prompt_that_is_objected_to_is_told_why_and_neither_asked_nor_stored(
    make_world: MakeWorld, make_settings: SettingsFactory, llm: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm.scripts[MODEL] = Script(text="violence, hate/threatening")
    async with moderated(make_world, make_settings, llm, monkeypatch) as world:
        with pytest.raises(BattleError, match="takes it for hate, threatening and violence") as refused:
            await world.battle(HARMFUL)

        assert refused.value.reason == "moderated"
        assert stored(world, Prompt) == stored(world, Conversation) == stored(world, Voter) == 0
        with world.database.read() as session:
            assert session.get_one(StartCount, "voter:anna").starts == 1  # trying costs a place in the minute
    (asked,) = llm.requests
    assert asked.path == "/v1/moderations"
    assert asked.body == {"model": MODEL, "input": HARMFUL}
    assert asked.authorization == "Bearer sk-moderation-key"


async def test_a_prompt_that_nobody_objects_to_is_asked_in_every_mode(
    make_world: MakeWorld, make_settings: SettingsFactory, llm: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm.scripts[MODEL] = Script(text="")
    async with moderated(make_world, make_settings, llm, monkeypatch) as world:
        view = await world.battle("Hello")
        assert view.phase is Phase.VOTABLE
        llm.scripts[MODEL] = Script(text="violence")
        with pytest.raises(BattleError, match="takes it for violence"):
            await anext(world.arena.follow_up(view.battle_id, HARMFUL, ANNA))

        assert (await world.arena.restore(ANNA)).view == view


@pytest.mark.parametrize("fault", [500, 401, Fault.HTML, Fault.DROP_AT_ONCE, Fault.STALL_HEADERS])
@pytest.mark.parametrize("otherwise", ["refuse", "allow"])
async def test_what_happens_when_the_check_cannot_run_is_the_operators_choice(
    otherwise: str,
    fault: Fault | int,
    make_world: MakeWorld,
    make_settings: SettingsFactory,
    llm: ScriptedOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llm.scripts[MODEL] = Script(fault=fault)
    given = {"moderation_unavailable": otherwise, "moderation_s": 0.2}
    async with moderated(make_world, make_settings, llm, monkeypatch, **given) as world:
        if otherwise == "allow":
            assert (await world.battle("Hello")).phase is Phase.VOTABLE
        else:
            with pytest.raises(BattleError, match="does not answer at the moment") as refused:
                await world.battle("Hello")
            assert refused.value.reason == "moderation_unavailable"
            assert stored(world, Prompt) == 0


async def test_without_moderation_nobody_is_asked(make_settings: SettingsFactory) -> None:
    """Off, the check ends before it could wait for anything."""
    check = build_moderation(make_settings()).check("Hello")
    with pytest.raises(StopIteration):
        check.send(None)


def test_moderation_without_a_key_stops_the_start(make_settings: SettingsFactory) -> None:
    with pytest.raises(ConfigError, match="needs OPENAI_API_KEY"):
        build_moderation(make_settings(moderation="openai"))
