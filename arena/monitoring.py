"""How the arena is doing: health, readiness and Prometheus figures."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from arena import __version__
from arena.battle import Arena
from arena.database import Database
from arena.fleet import Fleet
from arena.limits import Limits
from arena.metrics import Snapshot, Stored, written
from arena.outages import ADVICE, DatabaseUnavailable, Trouble
from arena.tables import Vote, VoteState
from arena.targets import Targets

_FIRST_TOKEN_BUCKETS = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 25)
_TOTAL_BUCKETS = (0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so before visitors are sent here."""

    ok: bool
    detail: str
    """A sentence; public, so it names no model."""


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """Whether a visitor could play a battle now."""

    checks: Mapping[str, Check]

    @property
    def ready(self) -> bool:
        """Every check holds."""
        return all(check.ok for check in self.checks.values())

    def as_json(self) -> dict[str, Any]:
        """What `/readyz` answers to anybody."""
        return {
            "status": "ready" if self.ready else "not ready",
            "checks": {name: {"ok": check.ok, "detail": check.detail} for name, check in self.checks.items()},
        }


class Monitor:
    """Answers how this process is doing. One per process."""

    def __init__(
        self,
        *,
        arena: Arena,
        fleet: Fleet,
        database: Database,
        targets: Targets,
        limits: Limits,
        open_streams: Callable[[], int],
        refused: Callable[[], Mapping[str, int]] = dict,
        backup_failure: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`refused` tells how many calls were refused, by reason; `backup_failure` why votes are not kept safe."""
        self._arena = arena
        self._fleet = fleet
        self._database = database
        self._targets = targets
        self._limits = limits
        self._started = time.monotonic()
        self._open_streams = open_streams
        self._refused = refused
        self._backup_failure = backup_failure
        self._draining = False
        self._histograms = CollectorRegistry()
        self._first_token = Histogram(
            "arena_first_token_seconds",
            "From sending to the first token of an answer.",
            ["model"],
            buckets=_FIRST_TOKEN_BUCKETS,
            registry=self._histograms,
        )
        self._total = Histogram(
            "arena_answer_seconds",
            "From sending to the end of an answer.",
            ["model"],
            buckets=_TOTAL_BUCKETS,
            registry=self._histograms,
        )

    @property
    def uptime_s(self) -> float:
        """Seconds since this process built its arena."""
        return time.monotonic() - self._started

    def health(self) -> dict[str, Any]:
        """What `/healthz` answers while the process serves."""
        return {"status": "ok", "version": __version__, "uptime_s": round(self.uptime_s, 1)}

    async def readiness(self) -> ReadinessReport:
        """Whether the database answers and at least two models may be drawn."""
        drawable = len(self._fleet.drawable())
        models = Check(drawable >= 2, f"{drawable} models are ready to be drawn; a battle needs two.")
        checks = {"database": await self._database.run(self._database_check), "models": models}
        if self._draining:
            checks["stopping"] = Check(ok=False, detail="The arena is stopping and takes no new battles.")
        return ReadinessReport(checks)

    async def operator_report(self) -> dict[str, Any]:
        """What `/readyz` adds for the operator: each model with the reason why it is not ready, and the votes."""
        stored = await self._stored()
        trouble = self._database.outages.known
        return {
            "version": __version__,
            "uptime_s": round(self.uptime_s, 1),
            "votes": stored.votes if stored else None,
            "database": ADVICE[trouble] if trouble else "",
            "backup_failure": self._backup_failure(),
            "demo": all(status.model.platform == "demo" for status in self._fleet.statuses()),
            "models": [
                {"id": status.model.id, "state": status.state.value, "reason": status.reason}
                for status in self._fleet.statuses()
            ],
        }

    async def metrics(self) -> bytes:
        """Everything a Prometheus server asks for."""
        snapshot = Snapshot(
            stored=await self._stored(),
            outages=self._database.outages.by_trouble(),
            takes_votes=self._database.outages.present is None,
            sound=self._database.outages.known is not Trouble.DAMAGED,
            waiting=self._arena.waiting,
            tasks=len(asyncio.all_tasks()),
            statuses=self._fleet.statuses(),
            open_streams=self._open_streams(),
            refused=self._refused(),
            uptime_s=self.uptime_s,
        )
        return written(snapshot) + generate_latest(self._histograms)

    async def _stored(self) -> Stored | None:
        try:
            return Stored(
                figures=await self._arena.figures(),
                votes=await self._database.run(self._count_votes),
                database_bytes=await self._database.run(self._database_bytes),
                kept=await self._targets.measure(),
                today=await self._database.run(self._limits.today),
            )
        except DatabaseUnavailable:
            return None

    def answered(self, model_id: str, first_token_s: float, total_s: float) -> None:
        """Count a finished answer."""
        self._first_token.labels(model_id).observe(first_token_s)
        self._total.labels(model_id).observe(total_s)

    def start_draining(self) -> None:
        """From now on the arena is not ready, so that nobody new is sent here."""
        self._draining = True

    def _database_check(self) -> Check:
        try:
            with self._database.read() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return Check(ok=False, detail="The database does not answer.")
        if self._database.outages.present is not None:
            return Check(ok=False, detail="The database takes no votes at the moment.")
        return Check(ok=True, detail="The database answers.")

    def _count_votes(self) -> int:
        with self._database.read() as session:
            return session.scalar(select(func.count()).where(Vote.state == VoteState.COUNTED)) or 0

    def _database_bytes(self) -> int:
        sqlite = self._database.engine.dialect.name == "sqlite"
        size = "page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        with self._database.read() as session:
            query = f"SELECT {size}" if sqlite else "SELECT pg_database_size(current_database())"
            return int(session.scalar(text(query)) or 0)
