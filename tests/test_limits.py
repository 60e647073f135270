"""Limits on battles and money, in the database that every process shares."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from arena.battle import Phase
from arena.battle.bills import Bill
from arena.battle.chats import FAILED_NOTICE
from arena.database import Database, open_database
from arena.errors import BattleError
from arena.limits import ADDRESS_SHARE, Limits, Reservation
from arena.providers.base import Sampling
from arena.tables import StartCount, StartSlot
from arena.voters import VoterIdentity
from tests.battle_fixtures import ANNA, BEN, World, entry, last, llm, make_world
from tests.conftest import SettingsFactory
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

__all__ = ["llm", "make_world"]  # fixtures

NOON = 1_790_164_800.0
"""A noon in UTC."""
PRICED = {"price": {"input": 1.0, "output": 10.0}}


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeLimits = Callable[..., Limits]


@pytest.fixture
def make_limits(database: Database, make_settings: SettingsFactory, clock: Clock) -> MakeLimits:
    return lambda **settings: Limits(database, make_settings(**settings), clock)


@pytest.fixture
def limits(make_limits: MakeLimits) -> Limits:
    return make_limits(battles_per_minute=2)


def test_a_voter_may_start_so_many_battles_in_any_minute(limits: Limits, clock: Clock) -> None:
    anna = VoterIdentity("anna")
    limits.admit(anna)
    clock.now += 40
    limits.admit(anna)

    with pytest.raises(BattleError, match=r"for you\. You can start the next one in 20 seconds") as refused:
        limits.admit(anna)

    assert refused.value.reason == "limit_minute"
    clock.now += 20
    limits.admit(anna)
    with pytest.raises(BattleError, match="in 40 seconds"):
        limits.admit(anna)
    clock.now += 39.5
    with pytest.raises(BattleError, match="in a second"):
        limits.admit(anna)


def test_a_refused_battle_is_not_counted(limits: Limits, clock: Clock, database: Database) -> None:
    anna = VoterIdentity("anna")
    limits.admit(anna)
    limits.admit(anna)
    for _ in range(10):
        with pytest.raises(BattleError):
            limits.admit(anna)

    with database.read() as session:
        assert session.get_one(StartCount, "voter:anna").starts == 2
    clock.now += 60
    limits.admit(anna)


def test_one_voter_does_not_use_up_anothers_battles(limits: Limits) -> None:
    limits.admit(VoterIdentity("anna", "here"))
    limits.admit(VoterIdentity("anna", "here"))

    limits.admit(VoterIdentity("ben", "here"))


def test_new_names_at_one_address_run_into_the_addresss_limit(limits: Limits) -> None:
    for number in range(2 * ADDRESS_SHARE):
        limits.admit(VoterIdentity(f"throwaway-{number}", "here"))

    with pytest.raises(BattleError, match=r"for your network\. You can start the next one in 60 seconds"):
        limits.admit(VoterIdentity("one more", "here"))
    limits.admit(VoterIdentity("elsewhere", "there"))


def test_voters_without_an_address_share_no_limit(limits: Limits) -> None:
    for number in range(3 * ADDRESS_SHARE):
        limits.admit(VoterIdentity(f"voter-{number}"))


def test_all_visitors_together_have_a_limit_too(make_limits: MakeLimits, clock: Clock) -> None:
    limits = make_limits(battles_per_minute_in_all=2, battles_per_day_in_all=3)
    limits.admit(VoterIdentity("anna"))
    limits.admit(VoterIdentity("ben"))
    with pytest.raises(BattleError, match=r"all visitors together\. You can start the next one in 60 seconds"):
        limits.admit(VoterIdentity("cleo"))

    clock.now += 60
    limits.admit(VoterIdentity("cleo"))
    with pytest.raises(BattleError, match="one day has for all visitors together"):
        limits.admit(VoterIdentity("dora"))


def test_a_day_ends_at_midnight_and_says_so(make_limits: MakeLimits, clock: Clock) -> None:
    limits = make_limits(battles_per_day=1)
    anna = VoterIdentity("anna")
    limits.admit(anna)
    with pytest.raises(BattleError, match="Please come back in 12 hours, at midnight UTC") as refused:
        limits.admit(anna)
    assert refused.value.reason == "limit_day"
    clock.now += 12 * 3600 - 120
    with pytest.raises(BattleError, match="in 2 minutes"):
        limits.admit(anna)

    clock.now += 120
    limits.admit(anna)


def test_whoever_has_not_been_here_for_two_days_is_forgotten(limits: Limits, clock: Clock, database: Database) -> None:
    for number in range(10):
        limits.admit(VoterIdentity(f"voter-{number}", f"address-{number}"))
    clock.now += 2 * 86_400

    limits.admit(VoterIdentity("anna"))

    with database.read() as session:
        assert set(session.scalars(select(StartCount.subject))) == {"all", "voter:anna"}
        assert session.scalar(select(func.count()).select_from(StartSlot)) == 1


def test_a_clock_that_is_put_back_shuts_nobody_out(limits: Limits, clock: Clock) -> None:
    anna = VoterIdentity("anna")
    limits.admit(anna)
    limits.admit(anna)
    clock.now -= 3600

    limits.admit(anna)


def test_processes_that_share_a_database_share_its_limits(
    any_database: Database, make_settings: SettingsFactory
) -> None:
    """Two arenas, eight threads, forty starts at once: exactly as many as allowed get through."""
    settings = make_settings(battles_per_minute=11, battles_per_day=100, spend_per_day=1.0)
    url = any_database.engine.url.render_as_string(hide_password=False)
    other = open_database(url)
    arenas = [Limits(any_database, settings), Limits(other, settings)]

    def start(number: int) -> bool:
        try:
            arenas[number % 2].admit(VoterIdentity("anna", "here"), estimate=7)
        except BattleError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        started = sum(threads.map(start, range(40)))
    other.close()

    assert started == 11
    with any_database.read() as session:
        counts = {row.subject: (row.total, row.starts, row.spent) for row in session.scalars(select(StartCount))}
    assert counts == {"all": (11, 11, 77), "voter:anna": (11, 11, 0), "address:here": (11, 11, 0)}


def test_money_that_is_spent_or_set_aside_counts_until_midnight(make_limits: MakeLimits, clock: Clock) -> None:
    limits = make_limits(spend_per_day=0.001)
    anna, ben = VoterIdentity("anna"), VoterIdentity("ben")
    first = limits.admit(anna, estimate=900)
    assert first is not None
    with pytest.raises(
        BattleError, match=r"spent what it may spend in a day\. Please come back in 12 hours"
    ) as refused:
        limits.admit(ben, estimate=200)
    assert refused.value.reason == "limit_spending"

    limits.settle(first, 300)

    assert limits.today().dollars == 0.0003
    limits.admit(ben, estimate=700)
    clock.now += 86_400
    limits.settle(first, 900)  # yesterday's account is closed
    assert limits.today().dollars == 0
    limits.admit(ben, estimate=1000)


def test_more_is_set_aside_only_while_the_cap_leaves_so_much(
    any_database: Database, make_settings: SettingsFactory, clock: Clock
) -> None:
    """Two arenas, eight threads, forty further attempts at once: exactly as many as the money reaches for."""
    settings = make_settings(spend_per_day=0.001)
    other = open_database(any_database.engine.url.render_as_string(hide_password=False))
    arenas = [Limits(any_database, settings, clock), Limits(other, settings, clock)]
    first = arenas[0].admit(VoterIdentity("anna"), estimate=900)
    assert first is not None

    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda number: arenas[number % 2].extend(first, 9), range(40)))

    assert [extended.millionths for extended in given if extended] == [909] * 11
    assert arenas[1].today().dollars == 0.000999
    arenas[1].settle(Reservation(first.day, 999), 500)
    assert arenas[0].today().dollars == 0.0005

    clock.now += 86_400
    second = arenas[1].admit(VoterIdentity("ben"), estimate=900)
    assert second is not None
    assert arenas[0].extend(first, 500) is not None  # yesterday's account is closed
    assert arenas[0].extend(second, 101) is None
    assert arenas[0].today().dollars == 0.0009
    other.close()


@pytest.fixture
async def priced_world(make_world: Callable[..., Any]) -> World:
    entries = {name: PRICED for name in ("tortoise", "hare", "fox", "heron")}
    made: World = await make_world(entries=entries, spend_per_day=0.05)
    return made


async def spent(world: World, settled: float) -> None:
    """Wait until so much money is accounted for."""
    limits = Limits(world.database, world.settings)
    async with asyncio.timeout(5):
        while limits.today().dollars != pytest.approx(settled):
            await asyncio.sleep(0.01)


async def test_a_battle_sets_money_aside_and_then_costs_its_tokens(priced_world: World, llm: ScriptedOpenAI) -> None:
    views = priced_world.arena.fight("Hello", ANNA)
    await anext(views)
    # At most 5 tokens of prompt, 64 around it, and 2,000 of answer, from each of two models.
    await spent(priced_world, 2 * ((5 + 64) * 1.0 + 2000 * 10.0) / 1e6)
    view = await last(views)

    answers = priced_world.answers(view.battle_id)
    tokens = [(answer.input_tokens or 0, answer.output_tokens or 0) for answer in answers]
    assert all(given > 0 and made > 0 for given, made in tokens)
    await spent(priced_world, sum(given * 1.0 + made * 10.0 for given, made in tokens) / 1e6)


async def test_a_battle_that_the_day_cannot_pay_is_not_started(make_world: Callable[..., Any]) -> None:
    entries = {name: PRICED for name in ("tortoise", "hare")}
    world: World = await make_world(models=("tortoise", "hare"), entries=entries, spend_per_day=0.03)

    with pytest.raises(BattleError, match="spent what it may spend"):
        await world.battle("Hello")

    assert (await world.arena.figures()).started == 0
    await spent(world, 0)


async def test_a_battle_that_is_stopped_costs_what_had_come(priced_world: World, llm: ScriptedOpenAI) -> None:
    for name in list(llm.scripts):
        llm.scripts[name] = Script(text="Four " * 400, chunk_delay_s=0.02)
    views = priced_world.arena.fight("Hello", ANNA)
    async for view in views:
        if view.phase is Phase.STREAMING:
            break
    await views.aclose()

    texts = [answer.text for answer in priced_world.answers(view.battle_id)]
    assert all(0 < len(text) < 2000 for text in texts)
    await spent(priced_world, sum(2 * 1.0 + -(-len(text) // 4) * 10.0 for text in texts) / 1e6)


@pytest.mark.parametrize(
    ("fault", "price"),
    [pytest.param(Fault.STALL_HEADERS, 1.0, id="read"), pytest.param(429, 0.0, id="refused by the platform")],
)
async def test_whoever_leaves_before_the_first_word_has_cost_what_was_sent(
    make_world: Callable[..., Any], llm: ScriptedOpenAI, fault: Fault | int, price: float
) -> None:
    """Else a script that sends long prompts and leaves at once would spend without being counted."""
    entries = {name: PRICED for name in ("tortoise", "hare")}
    world: World = await make_world(models=("tortoise", "hare"), entries=entries, spend_per_day=10)
    for name in entries:
        llm.scripts[name] = Script(fault=fault)
    views, prompt = world.arena.fight("Why? " * 4000, ANNA), 20_000
    await anext(views)
    await llm.until(lambda server: len(server.requests) >= 2)
    if price:
        await views.aclose()
    else:
        await last(views)

    await spent(world, 2 * price * (prompt / 4) / 1e6)


async def test_a_turn_that_was_never_asked_costs_nothing(make_world: Callable[..., Any], llm: ScriptedOpenAI) -> None:
    entries = {name: PRICED for name in ("tortoise", "hare")}
    given = {"models": ("tortoise", "hare"), "entries": entries, "max_battles": 1, "spend_per_day": 10}
    world: World = await make_world(**given)
    for name in entries:
        llm.scripts[name] = Script(fault=Fault.STALL_HEADERS)
    first, second = world.arena.fight("Hello", ANNA), world.arena.fight("Hello", BEN)
    await anext(first)
    assert (await anext(second)).phase is Phase.QUEUED
    await second.aclose()
    await llm.until(lambda server: len(server.requests) >= 2)
    await first.aclose()

    await spent(world, 2 * 2 * 1.0 / 1e6)


@pytest.fixture
async def two_worlds(
    make_world: Callable[..., Any], any_database: Database, llm: ScriptedOpenAI
) -> AsyncIterator[Callable[[int], Any]]:
    """Two arenas with a database and a cap in common, whose two models write nothing and cost all they may write."""
    other = open_database(any_database.engine.url.render_as_string(hide_password=False))
    entries = {name: PRICED for name in ("tortoise", "hare")}
    for name in entries:
        llm.scripts[name] = Script(fault=Fault.EMPTY)

    async def make(cap: int) -> list[World]:
        given = {"models": tuple(entries), "entries": entries, "spend_per_day": cap / 1e6}
        return [await make_world(store=store, **given) for store in (any_database, other)]

    yield make
    other.close()


MOST, EMPTY = (5 + 64) * 1 + 2000 * 10, 2 * 1 + 2000 * 10
"""Millionths of a dollar: what asking Hello may cost at most, and what an empty answer to it costs."""


async def test_failing_battles_never_pass_the_cap_that_two_arenas_share(two_worlds: Callable[[int], Any]) -> None:
    """Each seat would ask four times."""
    cap = 4 * MOST + 2 * EMPTY
    worlds = await two_worlds(cap)
    voters = zip(worlds, (ANNA, BEN), strict=True)

    views = await asyncio.gather(*(world.battle("Hello", voter) for world, voter in voters))

    assert [view.phase for view in views] == [Phase.VOID, Phase.VOID]
    spent_today = Limits(worlds[0].database, worlds[0].settings).today().dollars
    assert spent_today is not None
    assert 4 * EMPTY <= spent_today * 1e6 <= cap


async def test_a_further_attempt_is_made_only_where_the_shared_cap_can_pay_it(
    two_worlds: Callable[[int], Any], llm: ScriptedOpenAI
) -> None:
    worlds = await two_worlds(2 * MOST + EMPTY)
    sampling = Sampling(1.0, 1.0, 2000)
    voters = zip(worlds, (ANNA, BEN), strict=True)

    views = await asyncio.gather(*(last(world.arena.chat("Hello", who, "hare", sampling)) for world, who in voters))

    assert [view.notice for view in views] == [FAILED_NOTICE, FAILED_NOTICE]
    assert len(llm.requests) == 3
    await spent(worlds[0], 3 * EMPTY / 1e6)


async def test_a_failed_attempt_that_cost_nothing_is_followed_by_another_one_without_more_money(
    make_world: Callable[..., Any], llm: ScriptedOpenAI
) -> None:
    entries = {name: PRICED for name in ("tortoise", "hare")}
    exactly_one = 2 * ((5 + 64) * 1.0 + 2000 * 10.0) / 1e6
    world: World = await make_world(models=tuple(entries), entries=entries, spend_per_day=exactly_one)
    good = dict(llm.scripts)
    for name in entries:
        llm.scripts[name] = Script(fault=503)
    battle = asyncio.create_task(world.battle("Hello"))
    await llm.until(lambda server: len(server.requests) >= 2)
    llm.scripts.update(good)

    assert (await battle).phase is Phase.VOTABLE


async def test_what_is_being_set_aside_when_the_visitor_leaves_is_given_back_too(llm: ScriptedOpenAI) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def extend(reservation: Reservation, more: int) -> Reservation | None:
        asked.set()
        await answered.wait()
        return Reservation(reservation.day, reservation.millionths + more)

    bill = Bill(Reservation("2026-11-23", 0), 0, extend)
    model = entry(llm, "hare", **PRICED)
    leaving = asyncio.create_task(bill.affords(model, [], None))
    await asked.wait()
    leaving.cancel()
    settled = asyncio.create_task(bill.settled())
    answered.set()

    assert await settled == Reservation("2026-11-23", 64 + 2000 * 10)
    with pytest.raises(asyncio.CancelledError):
        await leaving
