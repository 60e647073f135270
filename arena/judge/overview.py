"""How far each judge is, what failed and what it cost: from what is stored, whichever rubric it was asked under."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from arena.database import Database
from arena.tables import JudgeVerdict


@dataclass(frozen=True, slots=True)
class JudgeState:
    """One judge under one version of the rubric."""

    model_id: str
    judge: str
    rubric_version: str
    scored: int
    """Questions with a verdict."""
    pairs: int
    """Pairs with a verdict in both orders."""
    failures: Mapping[str, int]
    """Reason -> questions."""
    requests: int
    tokens: int
    estimated: bool
    usd: float | None
    last_at: datetime

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "judge": self.model_id,
            "revision": self.judge,
            "rubric_version": self.rubric_version,
            "verdicts": self.scored,
            "pairs": self.pairs,
            "failures": dict(self.failures),
            "requests": self.requests,
            "tokens": self.tokens,
            "tokens_estimated": self.estimated,
            "cost_usd": self.usd,
            "last_at": self.last_at.isoformat(),
        }


_KEY = (JudgeVerdict.model_id, JudgeVerdict.judge, JudgeVerdict.rubric_version)
Key = tuple[str, str, str]


def read_overview(database: Database) -> Sequence[JudgeState]:
    """Every judge, the one that spoke last first."""
    totals = (
        select(
            *_KEY,
            func.sum(case((JudgeVerdict.failure.is_(None), 1), else_=0)),
            func.sum(JudgeVerdict.attempts),
            func.sum(JudgeVerdict.input_tokens + JudgeVerdict.output_tokens),
            func.max(case((JudgeVerdict.estimated, 1), else_=0)),
            func.sum(JudgeVerdict.cost_usd),
            func.max(JudgeVerdict.judged_at),
        )
        .group_by(*_KEY)
        .order_by(func.max(JudgeVerdict.judged_at).desc())
    )
    with database.read() as session:
        pairs, failures = _pairs(session), _failures(session)
        return [
            JudgeState(
                model_id=model_id,
                judge=judge,
                rubric_version=version,
                scored=int(verdicts),
                pairs=pairs.get((model_id, judge, version), 0),
                failures=failures.get((model_id, judge, version), {}),
                requests=int(requests),
                tokens=int(tokens),
                estimated=bool(estimated),
                usd=None if usd is None else float(usd),
                last_at=last_at,
            )
            for model_id, judge, version, verdicts, requests, tokens, estimated, usd, last_at in session.execute(totals)
        ]


def _pairs(session: Session) -> Mapping[Key, int]:
    """Pairs with a verdict in both orders."""
    twice = (
        select(*_KEY, JudgeVerdict.pair)
        .where(JudgeVerdict.failure.is_(None))
        .group_by(*_KEY, JudgeVerdict.question_version, JudgeVerdict.pair)
        .having(func.count() == 2)
        .subquery()
    )
    key = list(twice.c)[:3]
    whole: Select[Any] = select(*key, func.count()).group_by(*key)
    return {(model_id, judge, version): number for model_id, judge, version, number in session.execute(whole)}


def _failures(session: Session) -> Mapping[Key, Mapping[str, int]]:
    """Questions without a verdict, by reason."""
    failed = select(*_KEY, JudgeVerdict.reason, func.count()).where(JudgeVerdict.failure.is_not(None))
    found: dict[Key, dict[str, int]] = {}
    for model_id, judge, version, reason, number in session.execute(failed.group_by(*_KEY, JudgeVerdict.reason)):
        found.setdefault((model_id, judge, version), {})[reason] = number
    return found
