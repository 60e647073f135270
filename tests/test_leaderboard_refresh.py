"""What open leaderboards cost: the page is made once for each change, and many pages ask at a bounded rate."""

import asyncio

import pytest

from arena.boards import Boards
from arena.campaigns.arrivals import Arrivals
from arena.campaigns.judging import Judging
from arena.errors import FailureKind
from arena.finetune import TuningDesk
from arena.keeping import Keeper
from arena.limits import Limits
from arena.preferences.desk import PreferenceDesk
from arena.roster import Roster
from arena.style import StyleControl
from arena.tables import Winner
from arena.targets import Targets
from arena.ui.board_cache import BoardCache
from arena.ui.context import PageContext
from arena.ui.leaderboard_page import REFRESH_S, RefreshPace
from tests.arena_facts import add_models, add_vote
from tests.battle_fixtures import MakeWorld, World, llm, make_world

__all__ = ["llm", "make_world"]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def context_of(world: World) -> PageContext:
    """What a page that asks for nobody's identity is given."""
    style = StyleControl(world.database)
    return PageContext(
        arena=world.arena,
        judging=Judging(
            database=world.database, leaderboard=world.leaderboard, arrivals=Arrivals(per_minute=20), demo=False
        ),
        tuning=TuningDesk(world.database, Roster({}), world.settings),
        preferences=PreferenceDesk(world.database, world.settings),
        fleet=world.fleet,
        limits=Limits(world.database, world.settings),
        leaderboard=world.leaderboard,
        boards=Boards(world.database, world.leaderboard, style),
        style=style,
        targets=Targets(database=world.database, fleet=world.fleet, arena=world.arena),
        keeper=Keeper(world.settings, world.database, None),
        challenges=(),
        settings=world.settings,
        database=world.database,
        demo=False,
        voter=lambda _: pytest.fail("the page asks for no voter"),
        is_operator=lambda _: False,
    )


def board_of(world: World, clock: Clock) -> BoardCache:
    return BoardCache(context_of(world), clock)


async def test_the_page_is_made_again_after_a_vote_and_not_before(make_world: MakeWorld) -> None:
    world: World = await make_world()
    clock = Clock()
    board = board_of(world, clock)
    heron, wren = add_models(world.database, "heron", "wren")
    empty = await board.current()

    clock.seconds += 10
    assert await board.current() == empty
    add_vote(world.database, heron, wren, Winner.MODEL_A)
    clock.seconds += 10
    page = await board.current()
    assert "1 vote by 1 person" in page.head
    assert page.mark != empty.mark


async def test_the_page_is_made_again_when_a_model_stops_being_ready(make_world: MakeWorld) -> None:
    world: World = await make_world()
    clock = Clock()
    board = board_of(world, clock)
    ready = await board.current()
    assert "Resting" not in ready.body

    for _ in range(world.settings.rest_after_failures):
        world.fleet.record_failure("hare", FailureKind.SERVER_ERROR)
    clock.seconds += 10
    later = await board.current()
    assert later.body.count("Resting") == 1
    assert later.mark != ready.mark


async def test_pages_that_ask_at_once_get_the_same_answer(make_world: MakeWorld) -> None:
    board = board_of(await make_world(), Clock())
    answers = await asyncio.gather(*(board.current() for _ in range(50)))
    assert len(set(answers)) == 1


async def test_a_restart_does_not_give_an_old_mark_to_a_new_page(make_world: MakeWorld) -> None:
    world: World = await make_world()
    before, after = board_of(world, Clock()), board_of(world, Clock())
    assert (await before.current()).mark != (await after.current()).mark


def questions_per_s(pages: int, *, minutes: int = 6) -> float:
    """How often `pages` open pages ask in the last of some simulated minutes."""
    pace = RefreshPace()
    waits = [REFRESH_S] * pages
    due = [REFRESH_S * page / pages for page in range(pages)]
    asked = 0
    for tick in range(minutes * 600):
        now = tick / 10
        for page in range(pages):
            if due[page] <= now:
                waits[page] = pace.next_wait(waits[page], now)
                due[page] = now + waits[page]
                asked += now >= (minutes - 1) * 60
    return asked / 60


def test_a_few_open_pages_are_renewed_every_few_seconds() -> None:
    assert questions_per_s(10) == pytest.approx(10 / REFRESH_S, rel=0.05)


@pytest.mark.parametrize("pages", [100, 300])
def test_many_open_pages_together_ask_hardly_more_than_fewer_do(pages: int) -> None:
    assert questions_per_s(pages) < 25


def test_pages_are_quick_again_when_the_crowd_has_left() -> None:
    pace = RefreshPace()
    for tick in range(6000):
        crowded = pace.next_wait(10, tick / 30)
    assert crowded > 3 * REFRESH_S
    assert pace.next_wait(crowded, 200 + 300) == REFRESH_S


def test_one_who_lies_about_the_wait_slows_nobody_down() -> None:
    pace = RefreshPace()
    for second in range(600):
        pace.next_wait(1e12, second)
        assert pace.next_wait(REFRESH_S, second + 0.5) == REFRESH_S
