"""What open Analytics pages cost, and what they may show: nothing moves but after a vote."""

import re
from types import SimpleNamespace

import pytest

from arena.errors import FailureKind
from arena.tables import Winner
from arena.ui.analytics_page import REFRESH_S, AnalyticsCache
from tests.arena_facts import add_models, add_vote
from tests.battle_fixtures import MakeWorld, World, llm, make_world
from tests.test_leaderboard_refresh import Clock, context_of

__all__ = ["llm", "make_world"]


class Ticking(Clock):
    """A clock by which everything takes a second."""

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page waits for all that it is made of, however busy the machine."""
    monkeypatch.setattr("arena.ui.analytics_page._PATIENCE_S", 60.0)


def page_of(world: World, clock: Clock) -> AnalyticsCache:
    return AnalyticsCache(context_of(world), clock)


async def test_the_page_is_made_again_after_a_vote_and_by_nothing_else(make_world: MakeWorld) -> None:
    world: World = await make_world()
    clock = Clock()
    page = page_of(world, clock)
    heron, wren = add_models(world.database, "heron", "wren")
    empty = await page.current()
    assert "No votes yet." in empty[0]

    clock.seconds += REFRESH_S
    for _ in range(world.settings.rest_after_failures):
        world.fleet.record_failure("hare", FailureKind.SERVER_ERROR)
    assert await page.current() == empty
    add_vote(world.database, heron, wren, Winner.MODEL_A, rated=False)
    clock.seconds += REFRESH_S
    assert (await page.current())[0] == empty[0]

    add_vote(world.database, heron, wren, Winner.MODEL_A)
    clock.seconds += REFRESH_S
    html, mark, pending = await page.current()
    assert "1 vote by 1 person" in html
    assert mark != empty[1]
    assert not pending


async def test_a_vote_right_after_parts_of_the_votes_were_read_is_in_them_later_without_another(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world: World = await make_world()
    clock = Ticking()
    monkeypatch.setattr("arena.leaderboard.time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr("arena.leaderboard.BUSY_SHARE", 0.02)
    page = page_of(world, clock)
    heron, wren = add_models(world.database, "heron", "wren")

    async def english_votes() -> list[str]:
        """How many votes each reading of the next minutes tells of."""
        told = []
        for _ in range(40):
            clock.seconds += REFRESH_S
            html, _, _ = await page.current()
            told += re.findall(r"English\D*(\d+) votes", re.sub("<[^>]*>", "", html))
        return told

    for _ in range(10):
        add_vote(world.database, heron, wren, Winner.MODEL_A, language="en")
    assert (await english_votes())[-1] == "10"

    add_vote(world.database, heron, wren, Winner.MODEL_A, language="en")
    clock.seconds += 1_000
    await page.current()
    add_vote(world.database, heron, wren, Winner.MODEL_A, language="en")
    assert (await english_votes())[-1] == "12"
