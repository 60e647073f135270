"""How far each judge is, what failed and what it cost: from what is stored, whichever rubric it was asked under."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

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


def read_overview(database: Database) -> Sequence[JudgeState]:
    """Every judge, the one that spoke last first."""
    key = (JudgeVerdict.model_id, JudgeVerdict.judge, JudgeVerdict.rubric_version)
    scored = case((JudgeVerdict.failure.is_(None), 1), else_=0)
    totals = (
        select(
            *key,
            func.sum(scored),
            func.sum(JudgeVerdict.attempts),
            func.sum(JudgeVerdict.input_tokens + JudgeVerdict.output_tokens),
            func.max(case((JudgeVerdict.estimated, 1), else_=0)),
            func.sum(JudgeVerdict.cost_usd),
            func.max(JudgeVerdict.judged_at),
        )
        .group_by(*key)
        .order_by(func.max(JudgeVerdict.judged_at).desc())
    )
    twice = (
        select(*key, JudgeVerdict.pair)
        .where(JudgeVerdict.failure.is_(None))
        .group_by(*key, JudgeVerdict.question_version, JudgeVerdict.pair)
        .having(func.count() == 2)
        .subquery()
    )
    whole = select(*list(twice.c)[:3], func.count()).group_by(*list(twice.c)[:3])
    failed = select(*key, JudgeVerdict.reason, func.count()).where(JudgeVerdict.failure.is_not(None))
    with database.read() as session:
        pairs = {tuple(place): number for *place, number in session.execute(whole)}
        failures: dict[tuple[Any, ...], dict[str, int]] = {}
        for *place, reason, number in session.execute(failed.group_by(*key, JudgeVerdict.reason)):
            failures.setdefault(tuple(place), {})[reason] = number
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
