"""Asking one model for one answer of a campaign: within the budget, again where that may help, stored at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from arena.battle.seats import Attempt, Part, Seat
from arena.battle.store import write_attempt
from arena.campaigns.archive import keep_answer
from arena.campaigns.wanted import Wanted
from arena.config import Settings
from arena.database import Database
from arena.errors import FailureKind, ProviderUnavailable
from arena.fleet import Fleet, ModelState
from arena.identity import IdentityPatterns, find_identity
from arena.providers.base import Message
from arena.spending import Budget, most_cost, real_cost
from arena.tables import Answer

MOST_ATTEMPTS = 3
"""How often a model is asked for one answer in one filling, where the failure may pass."""
PAUSE_S = 0.5
"""Before the second attempt; doubled before each further one, and four times as long after a rate limit."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking."""

    stored: bool
    failures: tuple[FailureKind, ...] = ()
    """One for each attempt in vain."""
    budget_spent: bool = False


class Asker:
    """Asks the fleet for a campaign's answers and stores each as soon as it is there."""

    def __init__(
        self, database: Database, fleet: Fleet, settings: Settings, budget: Budget, patterns: IdentityPatterns
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._settings = settings
        self._budget = budget
        self._patterns = patterns

    async def ask(self, wanted: Wanted) -> Outcome:
        """Ask until there is an answer, asking again is of no use, or the budget does not allow it."""
        failures: list[FailureKind] = []
        messages = [Message("user", wanted.prompt)]
        for number in range(MOST_ATTEMPTS):
            most = most_cost(self._fleet.entry(wanted.model_id), messages)
            if not await self._budget.reserve(most):
                return Outcome(False, tuple(failures), budget_spent=True)
            attempt = await self._attempt(wanted, messages, wanted.attempts + number + 1)
            await self._budget.settle(most, real_cost(attempt.model, messages, attempt.progress))
            if attempt.progress.complete:
                return Outcome(True, tuple(failures))
            failures.append(_kind(attempt))
            if not self._worth_asking_again(attempt) or number + 1 == MOST_ATTEMPTS:
                break
            limited = failures[-1] is FailureKind.RATE_LIMITED
            await asyncio.sleep(PAUSE_S * 2**number * (4 if limited else 1))
        return Outcome(False, tuple(failures))

    def can_be_asked(self, model_id: str) -> bool:
        """Whether the model is in the roster and ready; a model that rests from battles may be asked here."""
        return self.states().get(model_id, "not in the roster") == ""

    def states(self) -> Mapping[str, str]:
        """Model id -> why it cannot be asked; empty where it can."""
        askable = (ModelState.READY, ModelState.RESTING)
        return {s.model.id: "" if s.state in askable else s.reason for s in self._fleet.statuses()}

    async def _attempt(self, wanted: Wanted, messages: list[Message], number: int) -> Attempt:
        part = Part(wanted.model_id, messages)
        seat = Seat(self._fleet, self._settings, part, may_restart=lambda: False)
        seat.current.number = number
        await seat.run()
        # Paid for: it is stored even if whoever waits for it is stopped now.
        await asyncio.shield(self._database.run(self._store, wanted, seat.current))
        return seat.current

    def _store(self, wanted: Wanted, attempt: Attempt) -> None:
        complete = attempt.progress.complete
        findings = find_identity(attempt.progress.text, self._patterns) if complete else []
        with self._database.write() as session:
            write_attempt(session, wanted.conversation_id, 1, attempt, None)
            if complete:
                session.get_one(Answer, attempt.id).identity_findings = findings
                keep_answer(session, wanted, attempt.id, paid=True)

    def _worth_asking_again(self, attempt: Attempt) -> bool:
        error = attempt.progress.error
        passing = isinstance(error, ProviderUnavailable) or _kind(attempt) is FailureKind.EMPTY
        return passing and self.can_be_asked(attempt.model.id)


def _kind(attempt: Attempt) -> FailureKind:
    error = attempt.progress.error
    return error.kind if error is not None else FailureKind.EMPTY
