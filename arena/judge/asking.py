"""Asking a judge one question: within the budget, again where that may help, and never past a platform's patience."""

import asyncio
from dataclasses import dataclass, field

from arena.errors import ArenaError, FailureKind, ProviderError, ProviderUnavailable
from arena.fleet import Fleet
from arena.judge.prompt import Material, verdict_schema, write_again, write_prompt
from arena.judge.records import Outcome
from arena.judge.verdict import UnreadableVerdict, Verdict, read_verdict
from arena.preferences.refusal import is_refusal
from arena.providers.base import AnswerProgress, Deadlines, Message, Sampling, pump
from arena.roster import ModelEntry
from arena.rubric import Rubric
from arena.spending import Budget, Cost, most_cost, real_cost

MOST_UNREADABLE = 2
"""Verdicts that cannot be read before the question is given up."""
MOST_FAILURES = 3
"""Failures that may pass (a cut stream, a server error) before the question is given up."""
MOST_LIMITED = 6
"""Rate limits in a row, for one question, before the run stops."""
FIRST_WAIT_S = 1.0
"""Before the second attempt; doubled before each further one, and longer where the platform asks for it."""
LONGEST_WAIT_S = 120.0
"""A platform that asks to be left alone for longer stops the run."""

_CLOSED = frozenset({FailureKind.UNAUTHORISED, FailureKind.NOT_FOUND, FailureKind.NOT_CONFIGURED})


class JudgingStopped(ArenaError):
    """No further question can be asked now; says why, and what is done about it."""

    def __init__(self, sentence: str, spent: Cost | None = None) -> None:
        super().__init__(sentence)
        self.spent = spent or Cost()
        """On the question that was given back."""


@dataclass(slots=True)
class _Tries:
    """What was tried for one question."""

    messages: list[Message]
    attempts: int = 0
    unreadable: int = 0
    failures: int = 0
    limited: int = 0
    spent: Cost = field(default_factory=Cost)

    def failed(self, kind: FailureKind, reason: str) -> Outcome:
        return Outcome(None, kind, reason, self.attempts, self.spent)

    def scored(self, verdict: Verdict) -> Outcome:
        return Outcome(verdict, None, "", self.attempts, self.spent)


class Asker:
    """Asks one judge under one rubric; belongs to the event loop."""

    def __init__(self, fleet: Fleet, model: ModelEntry, rubric: Rubric, answer_s: float, budget: Budget) -> None:
        """`answer_s` bounds one request; nobody watches, so a slow beginning is no failure."""
        self._fleet = fleet
        self._model = model
        self._rubric = rubric
        self._budget = budget
        self._schema = verdict_schema(rubric)
        self._deadlines = Deadlines(first_token_s=answer_s, silence_s=answer_s, answer_s=answer_s)
        self._sampling = Sampling(temperature=0.0, max_new_tokens=model.recommended_config.max_new_tokens)
        self._resume_at = 0.0

    async def ask(self, question: str, material: Material) -> Outcome:
        """The judge's verdict, or why there is none.

        Raises:
            JudgingStopped: the budget is used up, or the platform will not answer now; the question stays open.

        """
        tries = _Tries([Message("user", write_prompt(self._rubric, question, material))])
        while True:
            progress = await self._attempt(tries)
            error = progress.error
            outcome = self._read(tries, progress) if error is None else await self._excuse(tries, error)
            if outcome is not None:
                return outcome

    async def _attempt(self, tries: _Tries) -> AnswerProgress:
        await self._rest()
        most = most_cost(self._model, tries.messages)
        if not await self._budget.reserve(most):
            raise JudgingStopped("The budget does not allow a further request.", tries.spent)
        progress = AnswerProgress()
        try:
            events = self._fleet.stream(self._model.id, tries.messages, self._sampling, self._schema)
            await pump(events, self._deadlines, progress)
        finally:
            spent = real_cost(self._model, tries.messages, progress)
            await self._budget.settle(most, spent)
        tries.attempts += 1
        tries.spent += spent
        return progress

    def _read(self, tries: _Tries, progress: AnswerProgress) -> Outcome | None:
        """The verdict; `None` where the judge gets a second chance to write one."""
        try:
            return tries.scored(read_verdict(progress.text, self._rubric))
        except UnreadableVerdict as error:
            problem = str(error)
        if is_refusal(progress.text):
            return tries.failed(FailureKind.BLOCKED, "The judge declined to judge.")
        if progress.finish is not None and progress.finish.reason == "length":
            problem = "it was cut off at max_new_tokens"
        tries.unreadable += 1
        if tries.unreadable == MOST_UNREADABLE:
            return tries.failed(FailureKind.MALFORMED, f"The judge's verdict could not be read: {problem}.")
        tries.messages += [Message("assistant", progress.text), Message("user", write_again(problem))]
        return None

    async def _excuse(self, tries: _Tries, error: ProviderError) -> Outcome | None:
        """What a failure of the platform comes to; `None` where the question may be asked again."""
        if error.kind in _CLOSED:
            raise JudgingStopped(f"{self._model.id} cannot be asked: {_words(error)}.", tries.spent)
        if error.kind is FailureKind.RATE_LIMITED:
            tries.limited += 1
            self._wait_for_limit(tries, error)
            return None
        if error.kind is FailureKind.BLOCKED:
            return tries.failed(error.kind, "The platform withheld the judge's answer.")
        tries.failures += 1
        if not isinstance(error, ProviderUnavailable) or tries.failures == MOST_FAILURES:
            return tries.failed(error.kind, f"The judge could not answer: {_words(error)}.")
        await asyncio.sleep(_wait_s(tries.failures, error.retry_after_s))
        return None

    def _wait_for_limit(self, tries: _Tries, error: ProviderError) -> None:
        """Let all questions rest, not this one alone: the limit is the platform's."""
        wait_s = _wait_s(tries.limited, error.retry_after_s)
        if wait_s > LONGEST_WAIT_S:
            sentence = f"{self._model.id} is rate limited, and asks to be left alone for {wait_s:,.0f} seconds."
            raise JudgingStopped(sentence, tries.spent)
        if tries.limited == MOST_LIMITED:
            raise JudgingStopped(f"{self._model.id} is rate limited, and waiting did not help.", tries.spent)
        self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + wait_s)

    async def _rest(self) -> None:
        while (left_s := self._resume_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left_s)


def _words(error: ProviderError) -> str:
    kind = error.kind.value.replace("_", " ")
    return f"{kind} ({error.detail})" if error.detail else kind


def _wait_s(times: int, asked_for_s: float | None) -> float:
    """Before the next attempt, after `times` in vain."""
    return max(FIRST_WAIT_S * 2.0 ** (times - 1), asked_for_s or 0.0)
