"""What stands between a prompt and its answers: the words, the room, the limits, the money, the moderation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from arena.battle.bills import Bill, estimate, tokens_sent
from arena.battle.requests import check_prompt
from arena.battle.runs import Runs
from arena.config import Settings
from arena.database import Database
from arena.fleet import Fleet
from arena.limits import Limits, Reservation
from arena.moderation import Moderation
from arena.providers.base import Message, Sampling
from arena.voters import VoterIdentity


class Admission:
    """Admits turns, and settles what they cost. One per arena."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        runs: Runs,
        settings: Settings,
        limits: Limits,
        moderation: Moderation,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._limits = limits
        self._moderation = moderation
        self._runs = runs
        self._settings = settings

    @asynccontextmanager
    async def turn(
        self,
        messages: Sequence[Message],
        voter: VoterIdentity,
        earlier_turns: int,
        models: Sequence[str] | None = None,
        sampling: Sampling | None = None,
    ) -> AsyncIterator[Bill]:
        """Admit a turn whose prompt is the last message, for as long as it lasts; without `models` two will be drawn.

        Whoever asks puts the seats into the bill, which is settled at the end, however that comes.

        Raises:
            BattleError: the prompt, the arena's room, a limit or the moderation forbids it. Nothing is stored.

        """
        prompt = messages[-1].content
        check_prompt(prompt, earlier_turns, self._settings)
        self._runs.admit(voter)
        sent = tokens_sent(messages) if self._limits.counts_money else 0
        most = self._estimate(messages, models, sampling) if self._limits.counts_money else 0
        bill = Bill(await self._database.run(self._limits.admit, voter, most), sent, self._extend)
        try:
            await self._moderation.check(prompt)
            yield bill
        finally:
            if bill.reservation is not None:
                await asyncio.shield(self._settle(bill))

    async def _extend(self, reservation: Reservation, more: int) -> Reservation | None:
        return await self._database.run(self._limits.extend, reservation, more)

    async def _settle(self, bill: Bill) -> None:
        if reservation := await bill.settled():
            await self._database.run(self._limits.settle, reservation, bill.cost)

    def _estimate(self, messages: Sequence[Message], models: Sequence[str] | None, sampling: Sampling | None) -> int:
        """The most that the turn may cost; if the models are yet to be drawn, as if the two dearest were."""
        asked = self._fleet.drawable() if models is None else models
        costs = sorted((estimate(self._fleet.entry(name), messages, sampling) for name in asked), reverse=True)
        return sum(costs[:2])
