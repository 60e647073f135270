"""A run: every question that has no verdict yet is asked, a few at once, within the budget."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from arena.config import Settings
from arena.database import Database
from arena.errors import ConfigError, FailureKind
from arena.fleet import Fleet, ModelState
from arena.judge.asking import Asker, JudgingStopped
from arena.judge.items import Pair, read_material
from arena.judge.prompt import Material, write_prompt
from arena.judge.records import LASTING, Judge, Outcome, Question, judge_key, keep, open_questions
from arena.roster import Roster
from arena.rubric import Rubric
from arena.spending import Budget, Cost, cost_of, tokens_in

GIVE_UP_AFTER = 5
"""Questions in a row that the platform leaves unanswered, after which the run stops."""
_SAMPLE = 25
"""Pairs read for the estimate."""
_USUAL_OUTPUT_TOKENS = 250
"""Of a verdict on a handful of criteria, for the estimate too."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would ask."""

    judge: Judge
    questions: Sequence[Question]
    pairs: int
    """Of which some are judged already."""
    given_up: int
    """Questions that failed for good in earlier runs, and are not asked again."""
    usd: float | None
    """Roughly; `None` without a price."""


@dataclass(slots=True)
class JudgeReport:
    """What a run did."""

    wanted: int
    """Questions to ask at its start."""
    given_up: int = 0
    """Questions that earlier runs gave up for good."""
    scored: int = 0
    failures: Counter[tuple[FailureKind, str]] = field(default_factory=Counter)
    """Questions given up, by kind and reason."""
    stopped: str = ""
    """Why the run ended before its last question; empty if it did not."""
    spent: Cost = field(default_factory=Cost)

    @property
    def left(self) -> int:
        """Questions that were not asked to the end."""
        return self.wanted - self.scored - self.failures.total()


def choose_judge(roster: Roster, asked: str | None) -> str:
    """The id of the judge that is asked for, or of the only one.

    Raises:
        ConfigError: there is none, or more than one, or it is no judge.

    """
    judges = [entry.id for entry in roster if entry.role == "judge"]
    if asked is not None and asked in judges:
        return asked
    known = ", ".join(judges) or "none"
    if asked is not None:
        raise ConfigError(f"There is no judge {asked!r} in the roster; the entries with `role: judge` are: {known}.")
    if len(judges) == 1:
        return judges[0]
    if not judges:
        raise ConfigError("The roster has no judge; add an entry with `role: judge` to the models file.")
    raise ConfigError(f"Say with --judge which one is to judge: {known}.")


async def plan_run(
    database: Database, fleet: Fleet, rubric: Rubric, judge_id: str, pairs: Sequence[Pair], *, again: bool = False
) -> Plan:
    """What there is to ask; the judge must be ready, since what its name stands for decides what it judged before.

    Raises:
        ConfigError: the judge cannot be asked; says why.

    """
    status = await fleet.prepare_one(judge_id)
    if status.state is not ModelState.READY:
        raise ConfigError(f"The judge {judge_id} cannot be asked: {status.reason}")
    judge = Judge(judge_key(status.model, status.deployment), status.model, rubric.version)
    return await database.run(_plan, database, rubric, judge, pairs, again)


def _plan(database: Database, rubric: Rubric, judge: Judge, pairs: Sequence[Pair], again: bool) -> Plan:
    with database.read() as session:
        questions = open_questions(session, judge, pairs, again=again)
        every = open_questions(session, judge, pairs, again=True)
        sample = [question.pair for question in questions[: 2 * _SAMPLE : 2]]
        asked = [tokens_in([write_prompt(rubric, pair.question, read_material(session, pair))]) for pair in sample]
    usd = None
    if judge.model.price is not None:
        usual = sum(asked) // max(len(asked), 1)
        usd = len(questions) * cost_of(judge.model.price, usual, _USUAL_OUTPUT_TOKENS).usd
    return Plan(judge, questions, len(pairs), len(every) - len(questions), usd)


async def judge_pairs(
    database: Database,
    fleet: Fleet,
    settings: Settings,
    rubric: Rubric,
    plan: Plan,
    report: JudgeReport,
    *,
    budget_usd: float | None = None,
    at_once: int = 4,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Ask the plan's questions, `at_once` at a time, noting in `report` what comes of them.

    Safe to stop at any moment and to run again: a verdict is stored in the moment it is there. Hold `judging_alone`
    around it.

    Raises:
        ConfigError: there is a budget, and the judge has no price.

    """
    if budget_usd is not None and plan.judge.model.price is None:
        raise ConfigError(f"{plan.judge.model.id} has no price in the roster, so a budget cannot be kept: add `price`.")
    asker = Asker(fleet, plan.judge.model, rubric, settings.answer_s, Budget(budget_usd))
    run = _Run(database, asker, plan, report, progress)
    async with asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(run.work())


class _Run:
    """The workers' common state."""

    def __init__(
        self,
        database: Database,
        asker: Asker,
        plan: Plan,
        report: JudgeReport,
        progress: Callable[[float], None],
    ) -> None:
        self._database = database
        self._asker = asker
        self._judge = plan.judge
        self._waiting = iter(plan.questions)
        self._report = report
        self._progress = progress
        self._in_vain = 0

    async def work(self) -> None:
        """Ask one question after the other until there is none, or somebody stopped the run."""
        while not self._report.stopped and (question := next(self._waiting, None)) is not None:
            try:
                await self._ask(question)
            except JudgingStopped as stopped:
                self._report.spent += stopped.spent
                self._report.stopped = self._report.stopped or str(stopped)

    async def _ask(self, question: Question) -> None:
        material = await self._database.run(self._material, question)
        outcome = await self._asker.ask(question.pair.question, material)
        # Paid for: it is stored even if whoever waits for it is stopped now.
        await asyncio.shield(self._database.run(self._keep, question, outcome))
        self._note(outcome)

    def _material(self, question: Question) -> Material:
        with self._database.read() as session:
            material = read_material(session, question.pair)
        return material.swapped() if question.swapped else material

    def _keep(self, question: Question, outcome: Outcome) -> None:
        with self._database.write() as session:
            keep(session, self._judge, question, outcome)

    def _note(self, outcome: Outcome) -> None:
        report = self._report
        report.spent += outcome.spent
        if outcome.failure is None:
            report.scored += 1
        else:
            report.failures[outcome.failure, outcome.reason] += 1
        self._in_vain = self._in_vain + 1 if outcome.failure is not None and outcome.failure not in LASTING else 0
        if self._in_vain == GIVE_UP_AFTER:
            report.stopped = f"{GIVE_UP_AFTER} questions in a row failed. {outcome.reason}"
        self._progress((report.wanted - report.left) / report.wanted)
