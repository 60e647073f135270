"""Follows jobs in the background: what is due is in the database, so a restart, or another replica, goes on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from arena.database import Database
from arena.finetune import store
from arena.finetune.sending import Sender
from arena.providers.background import in_daemon_thread
from arena.tables import now

log = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 30.0
"""How soon a job that another process has stored is noticed."""


class Follower:
    """Does the jobs' next steps when they are due, and calls `each_round` between; belongs to the event loop."""

    def __init__(self, database: Database, sender: Sender, each_round: Callable[[], Awaitable[object]]) -> None:
        self._database = database
        self._sender = sender
        self._each_round = each_round
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow; within a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._follow())

    async def aclose(self) -> None:
        """Stop; a step that is being done ends by itself, and what it found is stored."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Look at once: a job was stored or changed. From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._round()
                sleep_s = await self._database.run(self._sleep_s)
            except SQLAlchemyError:
                log.warning("The tuning jobs could not be read", exc_info=True)
                sleep_s = _LONGEST_SLEEP_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), sleep_s)

    async def _round(self) -> None:
        due: Sequence[str] = await self._database.run(store.due_jobs, self._database, now())
        await asyncio.gather(*(self._advance(job_id) for job_id in due))
        await self._each_round()

    async def _advance(self, job_id: str) -> None:
        try:
            await in_daemon_thread(lambda: self._sender.advance(job_id))
        except Exception:
            # One job's surprise must not keep the others from being followed; the log has the traceback.
            log.exception("tuning job %s could not be followed", job_id)
            await self._database.run(self._sender.postpone, job_id)

    def _sleep_s(self) -> float:
        due = store.next_due(self._database)
        left = _LONGEST_SLEEP_S if due is None else (due - now()).total_seconds()
        return min(max(left, 0.05), _LONGEST_SLEEP_S)
