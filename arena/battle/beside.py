"""What is done beside battles, which never wait for it: reading the latest votes."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress

from arena.database import Database
from arena.evidence import VoteEvidence
from arena.outages import DatabaseUnavailable

LEARN_EVERY_S = 0.5
"""The latest votes are read at most so often, however many battles there are."""


class Beside:
    """Work in the background of one arena."""

    def __init__(self, database: Database, evidence: VoteEvidence, *, learns: bool) -> None:
        """`learns`: the drawing of pairs looks at the votes."""
        self._database = database
        self._evidence = evidence
        self._learns = learns
        self._running: set[asyncio.Task[None]] = set()
        self._to_learn = False
        self._learnt_at = -LEARN_EVERY_S
        self._finishing = asyncio.Event()

    def learn(self) -> None:
        """Let the next draw know of the latest votes, also those of other processes."""
        if self._learns and not self._to_learn:
            self._to_learn = True
            self._soon(self._learn())

    async def _learn(self) -> None:
        """Once for all who ask while the pause since the last time lasts."""
        pause = self._learnt_at + LEARN_EVERY_S - time.monotonic()
        if pause > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), pause)
        self._to_learn, self._learnt_at = False, time.monotonic()
        await self._database.run(self._evidence.refresh)

    async def finish(self) -> None:
        """Wait for what runs."""
        self._finishing.set()
        if self._running:
            await asyncio.wait(self._running)

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(_forgiving(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _forgiving(work: Coroutine[None, None, None]) -> None:
    """Do what nobody waits for; a database that does not work is told of already."""
    with suppress(DatabaseUnavailable):
        await work
