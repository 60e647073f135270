"""How often the operator's password may be tried, by one process and by several on one database."""

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import func, select

from app import build_app
from arena.database import Database, open_database
from arena.limits import Limits
from arena.passwords import IN_ALL, PER_ADDRESS, WINDOW_S, PasswordAttempts
from arena.tables import WrongPassword
from arena.voters import VoterIdentity
from tests.conftest import SettingsFactory
from tests.serving import served
from tests.test_limits import Clock

PASSWORD = "open sesame"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def other(any_database: Database) -> Iterator[Database]:
    """The same database as another process opens it."""
    store = open_database(any_database.engine.url.render_as_string(hide_password=False))
    yield store
    store.close()


def counted(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(WrongPassword)) or 0


async def test_five_wrong_passwords_at_any_process_close_the_door_at_every_one_for_their_address(
    any_database: Database, other: Database, clock: Clock
) -> None:
    here, there = PasswordAttempts(any_database, clock), PasswordAttempts(other, clock)
    for process, _ in zip(itertools.cycle((here, there)), range(PER_ADDRESS), strict=False):
        assert await process.begin("one") == 0
        clock.now += 1

    assert await here.begin("one") == await there.begin("one") == WINDOW_S - PER_ADDRESS
    assert await here.begin("two") == 0
    clock.now += WINDOW_S - PER_ADDRESS
    assert await there.begin("one") == 0
    assert await here.begin("one") == 1


def test_as_many_guesses_at_once_as_one_likes_are_five(any_database: Database, other: Database, clock: Clock) -> None:
    processes = [PasswordAttempts(database, clock) for database in (any_database, other) for _ in range(4)]

    def guess(process: PasswordAttempts) -> float:
        return asyncio.run(process.begin("one"))

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(guess, processes))

    assert waits.count(0) == PER_ADDRESS
    assert counted(any_database) == PER_ADDRESS


async def test_many_addresses_together_are_limited_too(any_database: Database, other: Database, clock: Clock) -> None:
    here, there = PasswordAttempts(any_database, clock), PasswordAttempts(other, clock)
    for number in range(IN_ALL):
        assert await (here, there)[number % 2].begin(f"address {number}") == 0

    clock.now += 1
    assert await here.begin("a fresh address") == await there.begin("another one") == WINDOW_S - 1


async def test_the_right_password_forgets_the_wrong_ones_of_that_address(database: Database, clock: Clock) -> None:
    here, there = PasswordAttempts(database, clock), PasswordAttempts(database, clock)
    for _ in range(PER_ADDRESS):
        await here.begin("one")
        await here.begin("two")

    await here.succeeded("one")

    assert await here.begin("one") == await there.begin("one") == 0
    assert await there.begin("two") > 0


async def test_what_no_limit_counts_any_more_is_deleted_by_the_next_attempt_and_by_the_next_days_first_battle(
    database: Database, make_settings: SettingsFactory, clock: Clock
) -> None:
    for number in range(3):
        await PasswordAttempts(database, clock).begin(f"address {number}")
    clock.now += WINDOW_S
    await PasswordAttempts(database, clock).begin("somebody")
    assert counted(database) == 1

    clock.now += WINDOW_S
    Limits(database, make_settings(), clock).admit(VoterIdentity("anna"))
    assert counted(database) == 0


async def test_a_clock_that_is_put_back_shuts_nobody_out(database: Database, clock: Clock) -> None:
    attempts = PasswordAttempts(database, clock)
    for _ in range(PER_ADDRESS):
        await attempts.begin("one")
    clock.now -= 2 * WINDOW_S

    assert await attempts.begin("one") == 0


@pytest.mark.sqlite
async def test_while_the_database_does_not_answer_each_process_counts_for_itself(
    database: Database, clock: Clock
) -> None:
    attempts = PasswordAttempts(database, clock)
    assert await attempts.begin("one") == 0
    assert database.file is not None
    away = database.file.rename(database.file.with_suffix(".away"))

    assert [await attempts.begin("one") for _ in range(PER_ADDRESS - 1)] == [0] * (PER_ADDRESS - 1)
    assert await attempts.begin("one") == WINDOW_S
    await attempts.succeeded("one")
    assert await attempts.begin("one") == 0

    away.rename(database.file)


@pytest.mark.slow
def test_two_arenas_on_one_database_refuse_whoever_guessed_five_times_in_all(make_settings: SettingsFactory) -> None:
    settings = make_settings(demo=True, admin_password=PASSWORD)
    with served(build_app(settings)) as first, served(build_app(settings)) as second:
        for address in (first, second, first, second, second):
            assert httpx.post(address + "/login", data={"password": "guess"}).status_code == 401

        answers = [httpx.post(address + "/login", data={"password": PASSWORD}) for address in (first, second)]

    for answer in answers:
        assert answer.status_code == 429
        assert "Try again in 15 minutes." in answer.text
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW_S
