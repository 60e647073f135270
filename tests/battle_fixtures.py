"""An arena over a scripted OpenAI server: four models, real sockets, the real SDK, a SQLite file."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from arena.battle import Arena, BattleView
from arena.challenges import Challenge
from arena.config import Settings
from arena.database import Database
from arena.fleet import Fleet
from arena.leaderboard import Leaderboard
from arena.limits import Limits
from arena.moderation import Moderation
from arena.providers.factory import deadlines_of
from arena.providers.openai import OpenAIProvider
from arena.roster import ModelEntry, Roster
from arena.tables import Answer, Battle
from arena.voters import VoterIdentity
from tests.arena_facts import RUBRIC
from tests.conftest import SettingsFactory
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script, ScriptedServer

View = TypeVar("View")
ANIMALS = ("tortoise", "hare", "fox", "heron")
ANNA = VoterIdentity("anna", session="annas-page")
BEN = VoterIdentity("ben", session="bens-page")
ORCHARD = Challenge("orchard", "Describe the orchard you want in ten years.", ("life",), held_out=False)

FAST: Mapping[str, Any] = {"frames_per_s": 30, "pace_characters_per_s": 20_000, "battles_per_minute": 100_000}
"""Settings with which a battle of short answers takes a tenth of a second."""


@pytest.fixture
def llm() -> Iterator[ScriptedOpenAI]:
    """Four models that answer at once, each in its own words."""
    scripts = {name: Script(text=f"The {name} says: first see what you want.") for name in ANIMALS}
    with ScriptedOpenAI(scripts) as server:
        yield server


@dataclass(slots=True)
class World:
    """An arena and what it stands on."""

    arena: Arena
    fleet: Fleet
    database: Database
    leaderboard: Leaderboard
    settings: Settings

    async def battle(self, prompt: str = "Hello", voter: VoterIdentity = ANNA) -> BattleView:
        """Fight to the end; the last view."""
        return await last(self.arena.fight(prompt, voter))

    def stored(self, battle_id: str) -> Battle:
        """The battle's row."""
        with self.database.read() as session:
            return session.get_one(Battle, battle_id)

    def answers(self, battle_id: str) -> Sequence[Answer]:
        """Every attempt of a battle, by turn, side and attempt."""
        with self.database.read() as session:
            battle = session.get_one(Battle, battle_id)
            rows = select(Answer).where(Answer.conversation_id == battle.conversation_id)
            return session.scalars(rows.order_by(Answer.turn, Answer.side, Answer.attempt)).all()


MakeWorld = Callable[..., "asyncio.Future[World] | Any"]


def entry(llm: ScriptedOpenAI, name: str, **keys: Any) -> ModelEntry:
    """A roster entry for one of the scripted models."""
    given = {"display_name": f"The {name.capitalize()}", "family": f"{name}-family", "api_base": llm.url, **keys}
    return ModelEntry(id=name, api_type="openai", model_name=f"{name}", **given)


@pytest.fixture
async def make_world(
    llm: ScriptedOpenAI, database: Database, make_settings: SettingsFactory
) -> AsyncIterator[Callable[..., Any]]:
    """Make an arena: `make_world(models=…, entries=…, rng=…, **settings)`; everything is closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(
            *,
            models: Sequence[str] = ANIMALS,
            entries: Mapping[str, Mapping[str, Any]] | None = None,
            rng: random.Random | None = None,
            store: Database | None = None,
            moderation: Moderation | None = None,
            **overrides: Any,
        ) -> World:
            settings = make_settings(**{**FAST, **overrides})
            roster = Roster({name: entry(llm, name, **(entries or {}).get(name, {})) for name in models})
            fleet = Fleet(roster, {"openai": OpenAIProvider(deadlines_of(settings))}, settings)
            await fleet.prepare()
            leaderboard = Leaderboard(store or database)
            arena = Arena(
                database=store or database,
                fleet=fleet,
                leaderboard=leaderboard,
                limits=Limits(store or database, settings),
                settings=settings,
                challenges=[ORCHARD],
                rubric=RUBRIC,
                moderation=moderation,
                rng=rng,
            )
            stack.push_async_callback(fleet.aclose)
            stack.push_async_callback(arena.drain, 0)
            return World(arena, fleet, store or database, leaderboard, settings)

        yield make


@pytest.fixture
async def world(make_world: Callable[..., Any]) -> World:
    """An arena of four models."""
    made: World = await make_world()
    return made


async def last(views: AsyncGenerator[View]) -> View:
    """The last of the views."""
    return (await every(views))[-1]


async def every(views: AsyncGenerator[View]) -> list[View]:
    """All of the views."""
    return [view async for view in views]


def hung_up(streams: int) -> Callable[[ScriptedServer], bool]:
    """Whether so many streams were closed by their reader."""
    return lambda server: len(server.hung_up) == streams
