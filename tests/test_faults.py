"""The database fails in every way it can while people play: nothing acknowledged is lost, and no restart is needed."""

import asyncio
import logging
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event, func, select, text

from arena.battle import Phase
from arena.config import SHIPPED_DIR, load_settings
from arena.counts import rebuild_counts
from arena.database import Database, open_database
from arena.errors import BattleError, ConfigError
from arena.outages import ADVICE, DatabaseUnavailable, Outages, Trouble
from arena.parts import build_parts
from arena.soundness import damage_in, keep_looking
from arena.tables import Battle, BattleState, Vote, Winner
from tests.battle_fixtures import ANNA, MakeWorld, World, last, llm, make_world
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

__all__ = ["llm", "make_world"]
HOLD_THE_LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Breakable:
    """A database, how to break it for a while, and what that looks like to the arena."""

    database: Database
    broken: Callable[[], AbstractContextManager[None]]
    trouble: Trouble


@contextmanager
def disk_refuses() -> Iterator[None]:
    """No file of this process may grow beyond its first page, as on a full disk or above a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def lock_held(file: str) -> Iterator[None]:
    """Another process keeps SQLite's write lock."""
    command = [sys.executable, "-c", HOLD_THE_LOCK, file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()
        holder.wait()


@contextmanager
def file_away(file: Path) -> Iterator[None]:
    """Somebody takes SQLite's file away, and puts it back."""
    away = file.rename(file.with_suffix(".away"))
    try:
        yield
    finally:
        away.rename(file)


@contextmanager
def server_gone(engine: Engine) -> Iterator[None]:
    """PostgreSQL ends every connection to the database and takes no new one."""
    name, host = str(engine.url.database), engine.url.query["host"]
    with psycopg.connect(f"host={host} user=arena dbname=postgres", autocommit=True) as operator:
        operator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false".encode())
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            operator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true".encode())


@pytest.fixture(params=["disk", "locked", "moved", pytest.param("gone", marks=pytest.mark.postgres)])
def breakable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Breakable]:
    """One database a fault."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    file = tmp_path / "breakable.db"
    url = request.getfixturevalue("new_postgres_url")() if request.param == "gone" else f"sqlite:///{file}"
    database = open_database(url)
    breaks = {
        "disk": (disk_refuses, Trouble.DISK),
        "locked": (lambda: lock_held(str(file)), Trouble.LOCKED),
        "moved": (lambda: file_away(file), Trouble.MOVED),
        "gone": (lambda: server_gone(database.engine), Trouble.GONE),
    }
    if request.param == "locked":
        impatient(database.engine)
    broken, trouble = breaks[request.param]
    yield Breakable(database, broken, trouble)
    database.close()


def impatient(engine: Engine) -> None:
    """Wait for SQLite's lock for a tenth of a second instead of fifteen."""

    def shorten(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=100")

    event.listen(engine, "checkout", shorten)


def votes(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Vote)) or 0


async def becomes(world: World, battle_id: str, state: BattleState) -> None:
    """Wait until the battle has this state."""
    async with asyncio.timeout(20):
        while world.stored(battle_id).state is not state:
            await asyncio.sleep(0.05)


async def test_while_the_database_fails_nothing_is_acknowledged_and_afterwards_everything_works_without_a_restart(
    breakable: Breakable,
    make_world: MakeWorld,
    llm: ScriptedOpenAI,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "arena.outages")
    database = breakable.database
    world: World = await make_world(store=database)
    voted, waiting = (await world.battle()).battle_id, (await world.battle()).battle_id
    await world.arena.vote(voted, ANNA, Winner.MODEL_A)
    for name in ("tortoise", "hare", "fox", "heron"):
        llm.scripts[name] = Script(text="Slowly, word by word, the answer comes.", fault=Fault.STALL_MIDWAY)
    running = world.arena.fight("Still answering when it breaks", ANNA)
    battle_id = (await anext(running)).battle_id
    await llm.until(lambda server: sum(server.stalled.values()) == 2)

    with breakable.broken():
        with pytest.raises(DatabaseUnavailable, match="try again in a minute"):
            await world.arena.vote(waiting, ANNA, Winner.TIE)
        with pytest.raises(DatabaseUnavailable, match="try again in a minute"):
            await world.battle("And now?")
        for name in ("tortoise", "hare", "fox", "heron"):
            llm.release(name)
        with pytest.raises(BattleError, match="the arena keeps trying"):
            await last(running)
        assert database.outages.present is breakable.trouble
        assert database.outages.by_trouble()[breakable.trouble.value] >= 3
    assert caplog.text.count(ADVICE[breakable.trouble]) == 1

    await becomes(world, battle_id, BattleState.VOTABLE)
    for battle in (waiting, battle_id):
        assert (await world.arena.vote(battle, ANNA, Winner.TIE)).phase is Phase.REVEALED
    assert database.outages.present is None
    assert "The database works again" in caplog.text
    assert votes(database) == rebuild_counts(database) == 3


def test_a_full_disk_is_told_from_one_that_refuses(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'small.db'}")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (words TEXT)")
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(DatabaseUnavailable) as full:
            connection.exec_driver_sql("INSERT INTO notes VALUES (?)", ("x" * 100_000,))
    assert full.value.trouble is Trouble.FULL
    database.close()


def test_a_statement_that_is_wrong_is_a_bug_and_no_outage(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as wrong, database.write() as session:
        session.execute(text("INSERT INTO no_such_table VALUES (1)"))

    assert not isinstance(wrong.value, DatabaseUnavailable)
    assert database.outages.present is None


@pytest.mark.sqlite
def test_an_outage_is_one_line_in_the_log_every_ten_seconds(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    outages = Outages(clock=lambda: now[0])
    outages.watch(database.engine)
    impatient(database.engine)

    with lock_held(str(database.engine.url.database)):
        for _ in range(2):
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable), database.write() as session:
                    session.execute(text("SELECT 1"))
            now[0] += 11

    told = [record for record in caplog.records if record.name == "arena.outages"]
    assert outages.by_trouble()["locked"] == 6
    assert len(told) == 2 + 1  # the database's own outages said it once


@pytest.mark.parametrize("damage", ["no database", "half a database"])
def test_a_damaged_database_is_told_at_the_start_in_one_sentence(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "data" / "demo.db"
    settings = load_settings(data_dir=file.parent, demo=True)
    open_database(settings.resolved_database_url).close()
    whole = file.read_bytes()
    file.write_bytes(b"This is a letter to my aunt. " * 500 if damage == "no database" else whole[: len(whole) // 2])

    with pytest.raises(ConfigError) as told:
        build_parts(settings)

    assert str(file) in str(told.value)
    assert ADVICE[Trouble.DAMAGED] in str(told.value)
    assert "\n" not in str(told.value)


async def test_a_database_that_is_damaged_while_it_runs_is_found_unread_and_refuses_votes_with_a_sentence(
    make_world: MakeWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "damaged.db"
    database = open_database(f"sqlite:///{file}")
    world: World = await make_world(store=database, draw="uniform")  # nothing reads the votes beside the battles
    waiting = (await world.battle()).battle_id
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.engine.dispose()
    assert damage_in(file) == ""
    pages = file.stat().st_size // 4096
    with file.open("r+b") as pages_of_file:
        pages_of_file.seek(4096)
        pages_of_file.write(b"\xa5" * 4096 * (pages - 1))

    looking = asyncio.create_task(keep_looking(database, first_after_s=0))
    async with asyncio.timeout(10):
        while database.outages.known is None:
            await asyncio.sleep(0.01)
    looking.cancel()
    assert database.outages.present is None  # nobody has come upon it
    assert ADVICE[Trouble.DAMAGED] in caplog.text

    with pytest.raises(DatabaseUnavailable) as told:
        await world.arena.vote(waiting, ANNA, Winner.TIE)

    assert told.value.trouble is database.outages.present is Trouble.DAMAGED
    database.close()


class Watch:
    """A wall clock that the test sets; where it stands, it stands."""

    at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    @classmethod
    def now(cls, zone: object) -> datetime:
        assert zone is UTC
        return cls.at


async def test_votes_are_counted_in_their_order_while_the_clock_stands_still_and_after_it_jumps_back(
    world_on_a_watch: World,
) -> None:
    world = world_on_a_watch
    battles = [(await world.battle()).battle_id for _ in range(4)]
    await world.arena.vote(battles[0], ANNA, Winner.MODEL_A)
    await world.arena.vote(battles[1], ANNA, Winner.MODEL_B)
    Watch.at -= timedelta(days=3)
    await world.arena.vote(battles[2], ANNA, Winner.TIE)
    await world.arena.vote(battles[3], ANNA, Winner.BOTH_BAD)
    restored = await world.arena.restore(ANNA)

    with world.database.read() as session:
        in_order = session.scalars(select(Vote).order_by(Vote.sequence)).all()
    assert [vote.battle_id for vote in in_order] == battles
    assert len({vote.sequence for vote in in_order}) == 4
    assert rebuild_counts(world.database) == 4
    assert world.leaderboard.standings().votes == 4
    assert restored.view is None


@pytest.fixture
async def world_on_a_watch(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """An arena whose wall clock stands still."""
    monkeypatch.setattr("arena.tables.base.datetime", Watch)
    made: World = await make_world()
    return made


async def test_a_model_that_nobody_can_replace_is_asked_again_until_it_answers(
    make_world: MakeWorld, llm: ScriptedOpenAI
) -> None:
    world: World = await make_world(models=("hare", "fox"), rest_after_failures=10)
    failures = iter([Script(fault=500), Script(fault=Fault.CUT, fault_after=0), Script(fault=503)])
    llm.scripts["hare"] = lambda _: next(failures, Script(text="The fourth time I answer."))

    view = await world.battle()

    assert view.phase is Phase.VOTABLE
    assert "The fourth time I answer." in view.turns[0].answers
    with world.database.read() as session:
        assert session.get_one(Battle, view.battle_id).state is BattleState.VOTABLE


def test_every_row_of_the_page_about_faults_names_a_test_that_exists() -> None:
    page = (SHIPPED_DIR / "docs" / "faults.md").read_text(encoding="utf-8")
    tests = "".join(file.read_text(encoding="utf-8") for file in (SHIPPED_DIR / "tests").glob("test_*.py"))
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    faults = [row for row in rows if not row.startswith("| fault |")]

    assert len(faults) >= 14
    assert [row for row in faults if "`test_" not in row and "the same" not in row] == []
    assert [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in tests] == []
