"""Whether the arena kept its targets over the last hour, day and week.

Everything is read from what is stored, so a restart forgets nothing: battles know when they started and how they ended,
and each minute that the arena serves leaves a row.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Integer, case, cast, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from arena.battle import Arena
from arena.database import Database
from arena.fleet import Fleet, ModelState
from arena.tables import Battle, Minute, Mode, now

log = logging.getLogger(__name__)
MINUTE = timedelta(minutes=1)
WINDOWS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
KEPT = timedelta(days=35)
"""For how long minutes are kept: a month, and some."""
COMPLETION, UPTIME, ANSWER_S = 0.90, 0.95, 10.0
"""The targets: at least this share of battles votable, of minutes served; at most this many seconds to the answers."""
_STEP_MS = 100
"""Times to answer are counted in steps of this width, so that a week of battles is read as a few hundred rows."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was measured over one window that ends now; `None` where nothing happened that could be measured."""

    window: str
    """`hour`, `day` or `week`."""
    models_ready: float | None
    """Share of the models that fight which could be asked, over the minutes served: 0 to 1."""
    completion: float | None
    """Votable battles over started ones, a visitor's own cancellation left out: 0 to 1."""
    battles: int
    """Battles started."""
    uptime: float | None
    """Minutes served over all minutes since the arena's first one, at most the window: 0 to 1."""
    answer_s: float | None
    """Median of the time from sending to both answers complete, in seconds, to a tenth."""
    slow_answer_s: float | None
    """The time within which nine of ten battles were answered, in seconds, to a tenth."""

    @property
    def missed(self) -> Sequence[str]:
        """The names of the targets that were not kept."""
        return [
            name
            for name, missed in (
                ("models_ready", self.models_ready is not None and self.models_ready < 1),
                ("completion", self.completion is not None and self.completion <= COMPLETION),
                ("uptime", self.uptime is not None and self.uptime <= UPTIME),
                ("answer_s", self.answer_s is not None and self.answer_s >= ANSWER_S),
            )
            if missed
        ]


class Targets:
    """Leaves a row for each minute served, and measures the windows. One per process."""

    def __init__(self, *, database: Database, fleet: Fleet, arena: Arena, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._fleet = fleet
        self._arena = arena
        self._clock = clock

    async def keep(self) -> None:
        """Record each minute until cancelled; a database that does not answer costs its minutes, nothing else."""
        while True:
            try:
                await self.record()
            except SQLAlchemyError as error:
                log.warning("This minute could not be recorded: %s", type(error).__name__)
            past = self._clock()
            await asyncio.sleep((_minute_of(past) + MINUTE - past).total_seconds())

    async def record(self) -> None:
        """Say that this minute is served, and by how many models; forget what is too old to be asked for."""
        fighters = [
            status for status in self._fleet.statuses() if status.model.role == "battle" and status.model.weight
        ]
        ready = sum(status.state is ModelState.READY for status in fighters)
        await self._database.run(self._write, _minute_of(self._clock()), ready, len(fighters))

    async def measure(self) -> Sequence[Kept]:
        """What was kept, by window, the shortest first."""
        return [await self._measure(window, length) for window, length in WINDOWS.items()]

    async def _measure(self, window: str, length: timedelta) -> Kept:
        at = self._clock()
        figures = await self._arena.figures(at - length)
        uptime, models_ready = await self._database.run(self._served, _minute_of(at), length)
        steps = await self._database.run(self._answer_steps, at - length)
        return Kept(
            window=window,
            models_ready=models_ready,
            completion=figures.completion,
            battles=figures.started,
            uptime=uptime,
            answer_s=_within(0.5, steps),
            slow_answer_s=_within(0.9, steps),
        )

    def _write(self, minute: datetime, ready: int, models: int) -> None:
        insert = sqlite.insert if self._database.engine.dialect.name == "sqlite" else postgresql.insert
        row = insert(Minute).values(at=minute, ready=ready, models=models)
        best = {
            "ready": case((Minute.ready < ready, ready), else_=Minute.ready),
            "models": case((Minute.models < models, models), else_=Minute.models),
        }
        with self._database.write() as session:
            session.execute(row.on_conflict_do_update(index_elements=["at"], set_=best))
            session.execute(delete(Minute).where(Minute.at < minute - KEPT))

    def _served(self, minute: datetime, length: timedelta) -> tuple[float | None, float | None]:
        """Share of the window's minutes that were served, and of its models that were ready in them.

        Minutes of the future were recorded before the clock was put back, and tell nothing. One that has just begun
        and is not recorded yet is no minute that was missed.
        """
        start = minute - length + MINUTE
        columns = select(func.count(), func.sum(Minute.ready), func.sum(Minute.models))
        with self._database.read() as session:
            first, last = session.execute(
                select(func.min(Minute.at), func.max(Minute.at)).where(Minute.at <= minute)
            ).one()
            served, ready, models = session.execute(columns.where(Minute.at.between(start, minute))).one()
        if first is None:
            return None, None
        all_minutes = (max(last, minute - MINUTE) - max(first, start)) // MINUTE + 1
        return served / all_minutes, ready / models if models else None

    def _answer_steps(self, since: datetime) -> Sequence[tuple[int, int]]:
        """How many battles were answered in each step of time, the shortest first."""
        step = (cast(Battle.answered_ms, Integer) // _STEP_MS).label("step")
        wanted = (Battle.mode.in_((Mode.BATTLE, Mode.SIDE_BY_SIDE)), Battle.created_at >= since)
        query = select(step, func.count()).where(*wanted, Battle.answered_ms.is_not(None)).group_by(step).order_by(step)
        with self._database.read() as session:
            return [(step, count) for step, count in session.execute(query)]


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _within(share: float, steps: Sequence[tuple[int, int]]) -> float | None:
    """The upper end, in seconds, of the step within which `share` of the battles were answered."""
    wanted = share * sum(count for _, count in steps)
    for step, count in steps:
        wanted -= count
        if wanted <= 0:
            return (step + 1) * _STEP_MS / 1000
    return None
