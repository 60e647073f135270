"""Filling a campaign: every answer that is missing is asked for, a few at once, within the budget."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from arena.campaigns.archive import take_from_archive
from arena.campaigns.asking import Asker, Outcome
from arena.campaigns.costs import spent
from arena.campaigns.wanted import Wanted, find_campaign, missing_answers, model_ids
from arena.config import Settings
from arena.database import Database
from arena.errors import ConfigError, FailureKind
from arena.fleet import Fleet
from arena.identity import identity_patterns
from arena.spending import Budget, Cost
from arena.tables import Campaign, now

GIVE_UP_AFTER = 5
"""Answers in a row that a model fails to give, after which it is left alone until the next filling."""


@dataclass(slots=True)
class FillReport:
    """What a filling did."""

    wanted: int = 0
    """Answers that were missing at its start."""
    stored: int = 0
    """Asked for and answered."""
    taken: int = 0
    """Taken from what the models had answered before."""
    failures: Counter[tuple[str, FailureKind]] = field(default_factory=Counter)
    """Attempts in vain by model and kind."""
    left_alone: dict[str, str] = field(default_factory=dict)
    """Model id -> why it was not asked (any more)."""
    budget_spent: bool = False
    cost: Cost = field(default_factory=Cost)
    """Of the campaign's requests so far, those of earlier fillings too."""

    @property
    def missing(self) -> int:
        """Answers that are still missing."""
        return self.wanted - self.stored - self.taken


async def fill_campaign(
    database: Database,
    fleet: Fleet,
    settings: Settings,
    campaign_id: str,
    *,
    at_once: int = 4,
    progress: Callable[[float], None] = lambda share: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> FillReport:
    """Ask for every missing answer, `at_once` at a time; safe to stop at any moment and to run again.

    An answer is stored in the moment it is complete, so no answer that was stored is ever asked for twice. `tell`
    hears of each answer that could not be had. Hold `filling_alone` around it.

    Raises:
        ConfigError: there is no such campaign, it has ended, or its budget is in money and a model has no price.

    """
    campaign, wanted, cost = await database.run(_prepare, database, fleet, campaign_id)
    await asyncio.gather(*(fleet.prepare_one(model) for model in _present(fleet, wanted)))
    budget = Budget(campaign.budget_usd, campaign.budget_tokens, cost)
    patterns = identity_patterns(status.model for status in fleet.statuses())
    asker = Asker(database, fleet, settings, budget, patterns)
    filling = _Filling(database, asker, FillReport(len(wanted)), progress, tell)
    try:
        await filling.run(wanted, at_once)
    finally:
        filling.report.cost = budget.spent
    await database.run(_note_end, database, campaign_id)
    return filling.report


def _prepare(database: Database, fleet: Fleet, campaign_id: str) -> tuple[Campaign, Sequence[Wanted], Cost]:
    models = {status.model.id: status.model for status in fleet.statuses()}
    with database.write() as session:
        campaign = find_campaign(session, campaign_id)
        if campaign.ended_at is not None:
            raise ConfigError(f"The campaign {campaign_id} has ended; `campaign reopen {campaign_id}` opens it again.")
        missing = missing_answers(session, campaign)
        unpriced = [m for m in model_ids(session, campaign_id) if m in models and models[m].price is None]
        if campaign.budget_usd is not None and unpriced and missing:
            raise ConfigError(
                f"The budget is in dollars and the roster has no price for {', '.join(unpriced)}: "
                "add `price`, or give a budget in tokens."
            )
        cost = spent(session, campaign_id, {model: entry.price for model, entry in models.items()})
        campaign.filled_at = None
    return campaign, missing, cost


def _present(fleet: Fleet, wanted: Sequence[Wanted]) -> Sequence[str]:
    needed = {one.model_id for one in wanted}
    return [status.model.id for status in fleet.statuses() if status.model.id in needed]


def _note_end(database: Database, campaign_id: str) -> None:
    with database.write() as session:
        find_campaign(session, campaign_id).filled_at = now()


class _Filling:
    def __init__(
        self,
        database: Database,
        asker: Asker,
        report: FillReport,
        progress: Callable[[float], None],
        tell: Callable[[str], None],
    ) -> None:
        self._database = database
        self._asker = asker
        self.report = report
        self._progress = progress
        self._tell = tell
        self._failed_in_row: Counter[str] = Counter()
        self._looked_at = 0
        self._stored: set[Wanted] = set()

    async def run(self, wanted: Sequence[Wanted], at_once: int) -> None:
        queue = iter(wanted)
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._work(queue))
        # Only now is it known who cannot be asked: some models say so when they are asked.
        gone = [one for one in wanted if one not in self._stored and not self._asker.can_be_asked(one.model_id)]
        left = await self._database.run(take_from_archive, self._database, gone)
        self.report.taken = len(gone) - len(left)
        self._leave_alone({one.model_id for one in left}, self._asker.states())

    def _leave_alone(self, models: set[str], states: Mapping[str, str]) -> None:
        for model in sorted(models):
            why = states.get(model, "It is not in the roster any more.")
            self.report.left_alone[model] = f"{why} It has no earlier answers to some of these prompts."

    async def _work(self, queue: Iterator[Wanted]) -> None:
        for one in queue:
            if one.model_id not in self.report.left_alone and self._asker.can_be_asked(one.model_id):
                self._note(one, await self._asker.ask(one))
            self._looked_at += 1
            self._progress(self._looked_at / self.report.wanted)

    def _note(self, one: Wanted, outcome: Outcome) -> None:
        report = self.report
        report.failures.update((one.model_id, kind) for kind in outcome.failures)
        report.stored += outcome.stored
        report.budget_spent |= outcome.budget_spent
        if outcome.stored:
            self._stored.add(one)
            self._failed_in_row[one.model_id] = 0
            return
        if outcome.failures:
            attempts = len(outcome.failures)
            tries = "at the first try" if attempts == 1 else f"after {attempts} tries"
            self._tell(f"{one.model_id} did not answer prompt {one.key}: {outcome.failures[-1]} {tries}.")
        if outcome.budget_spent:
            return
        self._failed_in_row[one.model_id] += 1
        if self._failed_in_row[one.model_id] >= GIVE_UP_AFTER:
            why = f"{GIVE_UP_AFTER} answers in a row failed; fill again later."
            report.left_alone.setdefault(one.model_id, why)
