"""An arena over a scripted OpenAI server: four models, real sockets, the real SDK, a SQLite file."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select, update

from arena.battle import Arena, BattleView, Phase, Reveal
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
from arena.tables import Answer, Battle, Prompt, now
from arena.voters import VoterIdentity
from tests.arena_facts import RUBRIC
from tests.conftest import SettingsFactory
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script, ScriptedServer

View = TypeVar("View")
ANIMALS = ("tortoise", "hare", "fox", "heron")
ANNA = VoterIdentity("anna", session="annas-page")
BEN = VoterIdentity("ben", session="bens-page")
ORCHARD = Challenge("orchard", "Describe the orchard you want in ten years.", ("life",), held_out=False)
LONG = "Step by step the picture of what you want becomes clear. " * 20
STALLED = Script(text=LONG, fault=Fault.STALL_MIDWAY)
"""An answer that falls silent after its first words."""

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


MakeWorld = Callable[..., Awaitable[World]]
"""The fixture `make_world`."""


def entry(llm: ScriptedOpenAI, name: str, **keys: Any) -> ModelEntry:
    """A roster entry for one of the scripted models."""
    given = {"display_name": f"The {name.capitalize()}", "family": f"{name}-family", "api_base": llm.url, **keys}
    return ModelEntry(id=name, api_type="openai", model_name=f"{name}", **given)


@pytest.fixture
async def make_world(
    llm: ScriptedOpenAI, database: Database, make_settings: SettingsFactory
) -> AsyncIterator[MakeWorld]:
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
async def world(make_world: MakeWorld) -> World:
    """An arena of four models."""
    return await make_world()


async def last(views: AsyncGenerator[View]) -> View:
    """The last of the views."""
    return (await every(views))[-1]


async def every(views: AsyncGenerator[View]) -> list[View]:
    """All of the views."""
    return [view async for view in views]


def revealed(view: BattleView) -> Reveal:
    """Who fought, which this view tells."""
    assert view.reveal is not None
    return view.reveal


def hung_up(streams: int) -> Callable[[ScriptedServer], bool]:
    """Whether so many streams were closed by their reader."""
    return lambda server: len(server.hung_up) == streams


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
    """How many rows of a table there are."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0
