"""Whether the arena kept its targets: measured from what is stored, whatever was restarted in between."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from arena.config import load_settings
from arena.database import Database
from arena.errors import FailureKind
from arena.parts import Parts, build_parts
from arena.tables import Battle, BattleState, Minute, Winner
from arena.targets import KEPT, MINUTE, Kept, Targets
from tests.arena_facts import add_models, add_vote

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


def parts_in(folder: Path, database: Database) -> Parts:
    entry = {"api_type": "openai", "api_base": "http://127.0.0.1:9/v1", "api_key": "none"}
    roster = folder / "roster.json"
    roster.write_text(json.dumps({"one": entry, "two": entry, "resting": entry | {"weight": 0}}))
    url = database.engine.url.render_as_string(hide_password=False)
    return build_parts(load_settings(data_dir=folder, models=roster, database_url=url))


def targets_of(parts: Parts, clock: Clock) -> Targets:
    return Targets(database=parts.database, fleet=parts.fleet, arena=parts.arena, clock=clock)


async def serve(targets: Targets, clock: Clock, minutes: int) -> None:
    """Serve for so many minutes; the clock stands in the last of them afterwards."""
    for _ in range(minutes):
        clock.at += MINUTE
        await targets.record()


async def hour_of(targets: Targets) -> Kept:
    return (await targets.measure())[0]


async def test_before_anything_happened_nothing_is_claimed(tmp_path: Path, any_database: Database) -> None:
    parts = parts_in(tmp_path, any_database)
    for kept in await targets_of(parts, Clock()).measure():
        assert (kept.models_ready, kept.completion, kept.uptime, kept.answer_s) == (None, None, None, None)
        assert kept.missed == []
    await parts.aclose()


async def test_minutes_without_an_arena_lower_the_uptime_and_a_restart_forgets_none(
    tmp_path: Path, any_database: Database
) -> None:
    parts, clock = parts_in(tmp_path, any_database), Clock()
    await serve(targets_of(parts, clock), clock, 30)
    clock.at += 10 * MINUTE

    await serve(targets_of(parts, clock), clock, 10)

    hour, day, week = await targets_of(parts, clock).measure()
    assert hour.uptime == day.uptime == week.uptime == 40 / 50
    assert "uptime" in hour.missed
    clock.at += timedelta(hours=2)
    assert (await hour_of(targets_of(parts, clock))).uptime == 0
    clock.at = NOON + 35 * MINUTE  # put back: what was recorded since is of the future
    assert (await hour_of(targets_of(parts, clock))).uptime == 30 / 34, (
        "the minute that has just begun is not missed yet"
    )
    clock.at = NOON
    assert (await hour_of(targets_of(parts, clock))).uptime is None
    await parts.aclose()


async def test_two_processes_that_serve_the_same_minute_count_once_with_the_better_fleet(
    tmp_path: Path, any_database: Database
) -> None:
    parts, clock = parts_in(tmp_path, any_database), Clock()
    await serve(targets_of(parts, clock), clock, 1)
    parts.fleet.record_failure("one", FailureKind.NOT_FOUND)
    await targets_of(parts, clock).record()

    with any_database.read() as session:
        assert [(row.ready, row.models) for row in session.scalars(select(Minute))] == [(0, 2)]
    await parts.aclose()


async def test_minutes_older_than_a_month_are_forgotten(tmp_path: Path, any_database: Database) -> None:
    parts, clock = parts_in(tmp_path, any_database), Clock()
    await serve(targets_of(parts, clock), clock, 2)
    clock.at += KEPT
    await targets_of(parts, clock).record()

    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Minute)) == 2
    await parts.aclose()


def add_battles(database: Database, answered_s: Sequence[float], at: datetime) -> None:
    for seconds in answered_s:
        one, two = add_models(database, "one", "two")
        battle = add_vote(database, one, two, Winner.TIE, at=at)
        with database.write() as session:
            session.execute(update(Battle).where(Battle.id == battle).values(answered_ms=seconds * 1000))


def close(database: Database, state: BattleState, reason: str | None, at: datetime) -> None:
    add_battles(database, [1], at)
    with database.write() as session:
        newest = session.scalars(
            select(Battle).where(Battle.state == BattleState.VOTED, Battle.answered_ms == 1000)
        ).one()
        newest.state, newest.state_reason, newest.answered_ms = state, reason, None


async def test_completion_and_time_to_answer_are_of_the_window_only(tmp_path: Path, any_database: Database) -> None:
    parts, clock = parts_in(tmp_path, any_database), Clock()
    recent, earlier = NOON - timedelta(minutes=30), NOON - timedelta(hours=3)
    add_battles(any_database, [2.34, 3.51, 12.0], recent)
    add_battles(any_database, [40.0] * 5, earlier)
    close(any_database, BattleState.VOID, "a side failed", recent)
    close(any_database, BattleState.ABANDONED, "stopped", recent)
    close(any_database, BattleState.ABANDONED, "the arena was stopped", recent)

    hour, day, _ = await targets_of(parts, clock).measure()

    assert (hour.battles, hour.completion) == (6, 3 / 5)
    assert [hour.answer_s, hour.slow_answer_s, day.answer_s] == pytest.approx([3.6, 12.1, 40.1])
    assert day.battles == 11
    assert (hour.missed, day.missed) == (["completion"], ["completion", "answer_s"])
    await parts.aclose()
