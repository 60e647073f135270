"""What judges have said, as it is stored: what need not be asked again, and each verdict in the moment it is there."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.errors import FailureKind
from arena.judge.items import Pair
from arena.judge.prompt import PROMPT_VERSION
from arena.judge.verdict import Verdict
from arena.revisions import fingerprint_of
from arena.roster import ModelEntry
from arena.spending import Cost
from arena.tables import JudgeVerdict, now

LASTING = frozenset({FailureKind.MALFORMED, FailureKind.BLOCKED, FailureKind.BAD_REQUEST, FailureKind.TOO_LONG})
"""Failures that would come again, at temperature 0: not asked again unless the operator wants it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One pair in one order."""

    pair: Pair
    swapped: bool


@dataclass(frozen=True, slots=True)
class Judge:
    """Who is asked, and under which rubric: what every stored verdict of a run has in common."""

    key: str
    model: ModelEntry
    rubric_version: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question."""

    verdict: Verdict | None
    failure: FailureKind | None
    reason: str
    """Of a failure."""
    attempts: int
    spent: Cost


def judge_key(model: ModelEntry, deployment: str | None) -> str:
    """Names a judge: SHA-256 of what decides who answers, and of the wording it is asked in."""
    return hashlib.sha256(f"{fingerprint_of(model, deployment)} {PROMPT_VERSION}".encode()).hexdigest()


def open_questions(session: Session, judge: Judge, pairs: Sequence[Pair], *, again: bool) -> Sequence[Question]:
    """What has no verdict yet, both orders of a pair one after the other; `again`: lasting failures too."""
    known = _known(session, judge)
    closed = LASTING if not again else frozenset()
    questions = [Question(pair, swapped) for pair in pairs for swapped in (False, True)]
    return [
        question for question in questions if known.get(_place(question), FailureKind.CONNECTION) not in (None, *closed)
    ]


def keep(session: Session, judge: Judge, question: Question, outcome: Outcome) -> None:
    """Store what came of a question; what an earlier failure of it cost is added."""
    row = session.scalar(
        select(JudgeVerdict).where(
            JudgeVerdict.judge == judge.key,
            JudgeVerdict.rubric_version == judge.rubric_version,
            JudgeVerdict.question_version == question.pair.question_version,
            JudgeVerdict.pair == question.pair.key,
            JudgeVerdict.swapped == question.swapped,
        )
    )
    if row is None:
        row = _new(judge, question)
        session.add(row)
    verdict, spent = outcome.verdict, outcome.spent
    row.winner = verdict.winner if verdict else None
    row.criteria = dict(verdict.criteria) if verdict else {}
    row.reason = verdict.reason if verdict else outcome.reason
    row.failure = outcome.failure
    row.attempts += outcome.attempts
    row.input_tokens += spent.read
    row.output_tokens += spent.written
    row.estimated = row.estimated or spent.estimated
    row.cost_usd = None if judge.model.price is None else (row.cost_usd or 0.0) + spent.usd
    row.judged_at = now()


def _new(judge: Judge, question: Question) -> JudgeVerdict:
    return JudgeVerdict(
        judge=judge.key,
        model_id=judge.model.id,
        rubric_version=judge.rubric_version,
        question_version=question.pair.question_version,
        pair=question.pair.key,
        swapped=question.swapped,
        conversation_id=question.pair.conversation_id,
        attempts=0,
        input_tokens=0,
        output_tokens=0,
        estimated=False,
    )


def _known(session: Session, judge: Judge) -> Mapping[tuple[str, str, bool], FailureKind | None]:
    rows = session.execute(
        select(JudgeVerdict.question_version, JudgeVerdict.pair, JudgeVerdict.swapped, JudgeVerdict.failure).where(
            JudgeVerdict.judge == judge.key, JudgeVerdict.rubric_version == judge.rubric_version
        )
    )
    return {(version, pair, swapped): failure for version, pair, swapped, failure in rows}


def _place(question: Question) -> tuple[str, str, bool]:
    return question.pair.question_version, question.pair.key, question.swapped
