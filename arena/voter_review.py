"""The voters as the operator sees them: what their votes look like, and what was decided about them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from arena.database import Database
from arena.side_bias import SideBias, side_bias
from arena.tables import (
    Battle,
    Conversation,
    ConversationKind,
    Mode,
    ModelRevision,
    Vote,
    VoterVerdict,
    VoteState,
    Winner,
)
from arena.usual_votes import VoteTable
from arena.voter_decisions import latest_decisions
from arena.voter_patterns import CheckState, Pattern, VoterCheck, check_voters

_RATED_MODES = (Mode.BATTLE, Mode.CAMPAIGN, Mode.IMPORTED)
_SCORES = {Winner.MODEL_A: 1.0, Winner.MODEL_B: 0.0, Winner.TIE: 0.5, Winner.BOTH_BAD: 0.5}


@dataclass(frozen=True, slots=True)
class ReviewedVoter:
    """One voter with the check of its votes and the operator's latest decision."""

    voter_id: str
    votes: int
    """Those that count or would: held and excluded ones are among them."""
    check: CheckState
    evidence: float
    """How much likelier a pattern makes the votes than judgement does; 20 and more flags."""
    pattern: str | None
    """What flagged votes look like, in words, with the model's name."""
    unchecked_reason: str
    decision: VoterVerdict | None
    decision_reason: str | None
    decided_at: datetime | None

    @property
    def waits(self) -> bool:
        """Flagged, and nothing decided yet."""
        return self.check is CheckState.FLAGGED and self.decision is None

    @property
    def sentence(self) -> str:
        """The check in words."""
        if self.check is CheckState.UNCHECKED:
            return f"not checked: {self.unchecked_reason}"
        if self.check is CheckState.PASSED:
            return "nothing unusual"
        return f"looks like {self.pattern}"

    def as_json(self) -> dict[str, Any]:
        """The voter for programs."""
        return {
            "voter": self.voter_id,
            "votes": self.votes,
            "check": self.check.value,
            "evidence": float(f"{self.evidence:.4g}"),
            "pattern": self.pattern,
            "unchecked_reason": self.unchecked_reason or None,
            "decision": self.decision.value if self.decision else None,
            "decision_reason": self.decision_reason,
            "decided_at": self.decided_at.isoformat() if self.decided_at else None,
        }


@dataclass(frozen=True, slots=True)
class VoterReview:
    """All voters, those that wait for a decision first, then by evidence."""

    voters: Sequence[ReviewedVoter]
    side_bias: SideBias

    @property
    def sentence(self) -> str:
        """How the checks ended."""
        states = [voter.check for voter in self.voters]
        passed, flagged, unchecked = (states.count(state) for state in CheckState)
        return (
            f"{len(states)} voters: {passed} with nothing unusual, {flagged} flagged "
            f"({sum(voter.waits for voter in self.voters)} of them undecided), {unchecked} not checked"
        )

    def as_json(self) -> dict[str, Any]:
        """The review for programs."""
        bias = self.side_bias
        return {
            "side_bias": {"share": bias.share, "low": bias.low, "high": bias.high, "votes": bias.votes},
            "voters": [voter.as_json() for voter in self.voters],
        }


def review_voters(database: Database) -> VoterReview:
    """Check every voter's rated votes; blocking, some seconds at a million votes."""
    with database.read() as session:
        voters, revisions, table = _read_table(session)
        crowds = _files_without_voters(session)
        names = {r.id: r.display_name for r in session.scalars(select(ModelRevision))}
        decisions = latest_decisions(session)
    rows = []
    for voter_id, checked in zip(voters, check_voters(table), strict=True):
        check = _not_one_person(checked) if voter_id in crowds else checked
        decision = decisions.get(voter_id)
        rows.append(
            ReviewedVoter(
                voter_id=voter_id,
                votes=check.votes,
                check=check.state,
                evidence=check.evidence,
                pattern=_words(check, [names[revision] for revision in revisions]),
                unchecked_reason=check.reason,
                decision=decision.decision if decision else None,
                decision_reason=decision.reason if decision else None,
                decided_at=decision.decided_at if decision else None,
            )
        )
    rows.sort(key=lambda row: (not row.waits, row.check is not CheckState.FLAGGED, -row.evidence, row.voter_id))
    return VoterReview(rows, side_bias(table))


def _files_without_voters(session: Session) -> Set[str]:
    """Ids under which the votes of a whole file stand, which does not say who gave them."""
    imported = select(Conversation.id).where(Conversation.kind == ConversationKind.IMPORTED)
    return set(session.scalars(imported.where(Conversation.id.startswith("imported:"))))


def _not_one_person(check: VoterCheck) -> VoterCheck:
    reason = "votes of many people, imported without saying whose"
    return replace(check, state=CheckState.UNCHECKED, evidence=1.0, pattern=None, model=None, reason=reason)


def _words(check: VoterCheck, names: Sequence[str]) -> str | None:
    if check.pattern is None:
        return None
    if check.pattern in (Pattern.MODEL, Pattern.AGAINST) and check.model is not None:
        return check.pattern.value.replace("one model", names[check.model])
    return check.pattern.value


def _read_table(session: Session) -> tuple[Sequence[str], Sequence[int], VoteTable]:
    """Voter ids, revision ids, and the votes that number them."""
    counting = and_(Vote.state == VoteState.COUNTED, Vote.rated)
    statement = (
        select(Vote.voter_id, Battle.revision_a, Battle.revision_b, Vote.winner, Vote.state)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(
            or_(counting, Vote.state.in_([VoteState.HELD, VoteState.EXCLUDED])),
            Battle.mode.in_(_RATED_MODES),
            Battle.revision_a != Battle.revision_b,
        )
        .order_by(Vote.sequence)
    )
    voters: dict[str, int] = {}
    revisions: dict[int, int] = {}
    rows = [
        (
            voters.setdefault(voter, len(voters)),
            revisions.setdefault(a, len(revisions)),
            revisions.setdefault(b, len(revisions)),
            _SCORES[winner],
            state is VoteState.COUNTED,
        )
        for voter, a, b, winner, state in session.execute(statement, execution_options={"yield_per": 5000})
    ]
    columns = np.array(rows, float).reshape(-1, 5).T
    table = VoteTable(
        voter=columns[0].astype(np.int64),
        a=columns[1].astype(np.int64),
        b=columns[2].astype(np.int64),
        score=columns[3],
        counted=columns[4].astype(bool),
        voters=len(voters),
        models=len(revisions),
    )
    return list(voters), list(revisions), table
