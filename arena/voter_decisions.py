"""What the operator decides about a voter's votes: count them, hold them, exclude them. Reversible; nothing is deleted.

A decision moves every vote of the voter that would be rated if it counted, and the pair counts with them, in one
transaction; votes that never count (named models, an answer that gave its writer away, withdrawn ones) stay as they
are. The voter's later votes are stored as the latest decision says.
"""

from collections import Counter as Tally
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from arena.counts import Verdict, add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.errors import ConfigError
from arena.tables import (
    Battle,
    Vote,
    Voter,
    VoterDecision,
    VoterVerdict,
    VoteState,
    counted_in,
    now,
)

_STATES = {
    VoterVerdict.COUNT: VoteState.COUNTED,
    VoterVerdict.HOLD: VoteState.HELD,
    VoterVerdict.EXCLUDE: VoteState.EXCLUDED,
}

_DECISIONS: Table = VoterDecision.__table__  # type: ignore[assignment]
_NEWEST_DECISION = (
    select(_DECISIONS.c.decision, _DECISIONS.c.reason)
    .where(_DECISIONS.c.voter_id == bindparam("voter"))
    .order_by(_DECISIONS.c.id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class SetAside:
    """How a vote is stored that does not count because of its voter."""

    state: VoteState
    reason: str


def decide(database: Database, voter_id: str, decision: VoterVerdict, reason: str) -> int:
    """Apply a decision to the voter's votes, past and future; returns how many votes changed their state.

    Raises:
        ConfigError: there is no such voter, or no reason is given.

    """
    reason = " ".join(reason.split())
    if not reason:
        raise ConfigError("A decision needs a reason that its voter could be told.")
    with database.write() as session:
        sequence = next_sequence(session)  # no vote of anybody is stored between what is read and what is written
        if session.get(Voter, voter_id) is None:
            raise ConfigError(f"There is no voter {voter_id}; `python -m arena voters --all` lists them.")
        target = _STATES[decision]
        changed = _changed_by([voter_id], target)
        add_verdicts(session, change_of_counts(session, [voter_id], decision), sequence)
        votes = session.scalar(select(func.count()).select_from(Vote).where(changed)) or 0
        session.execute(
            update(Vote)
            .where(changed)
            .values(
                state=target,
                state_reason=_state_reason(target, reason),
                rated=target is VoteState.COUNTED,
                changed_at=now(),
            ),
            execution_options={"synchronize_session": False},
        )
        session.add(VoterDecision(voter_id=voter_id, decision=decision, reason=reason, votes=votes))
    return votes


def find_voter(database: Database, start: str) -> str:
    """The voter whose id is, or alone begins with, `start`.

    Raises:
        ConfigError: there is none, or more than one.

    """
    with database.read() as session:
        found = session.scalars(select(Voter.id).where(Voter.id.startswith(start, autoescape=True)).limit(20)).all()
    if start in found:
        return start
    if len(found) == 1 and start:
        return found[0]
    problem = "more than one voter's id begins" if found else "no voter's id begins"
    raise ConfigError(f"{problem.capitalize()} with {start!r}; `python -m arena voters --all` lists them.")


def latest_decisions(session: Session, voters: Collection[str] | None = None) -> Mapping[str, VoterDecision]:
    """Each voter's present decision, of all voters or of those given; who has none is absent."""
    newest = select(func.max(VoterDecision.id)).group_by(VoterDecision.voter_id)
    if voters is not None:
        newest = newest.where(VoterDecision.voter_id.in_(voters))
    decisions = session.scalars(select(VoterDecision).where(VoterDecision.id.in_(newest)))
    return {decision.voter_id: decision for decision in decisions}


def aside_of(session: Session, voter_id: str) -> SetAside | None:
    """How to store the voter's next vote, if it is held or excluded; `None` where it counts. One indexed row.

    Read it after `next_sequence`, which a decision waits for: then none falls between reading and storing.
    """
    row = session.execute(_NEWEST_DECISION, {"voter": voter_id}).one_or_none()
    return None if row is None else _aside(row.decision, row.reason)


def set_aside(session: Session, voters: Collection[str]) -> Mapping[str, SetAside]:
    """`aside_of` for many voters at once; those whose votes count are absent."""
    found = {voter: _aside(d.decision, d.reason) for voter, d in latest_decisions(session, voters).items()}
    return {voter: aside for voter, aside in found.items() if aside is not None}


def change_of_counts(session: Session, voters: Collection[str], decision: VoterVerdict) -> Mapping[Verdict, int]:
    """What the pair counts gain or lose by a decision about these voters."""
    target = _STATES[decision]
    votes = _changed_by(voters, target)
    if target is not VoteState.COUNTED:
        votes = and_(votes, Vote.state == VoteState.COUNTED)
    statement = (
        select(counted_in(), Battle.revision_a, Battle.revision_b, Vote.winner, Vote.criteria, Vote.rubric_version)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(votes)
    )
    tally: Tally[Verdict] = Tally()
    for row in session.execute(statement, execution_options={"yield_per": 5000}):
        tally.update(verdicts_of(*row))
    sign = 1 if target is VoteState.COUNTED else -1
    return {verdict: sign * amount for verdict, amount in tally.items()}


def _changed_by(voters: Collection[str], target: VoteState) -> ColumnElement[bool]:
    """Votes of these voters that get another state: of those that count, or would if they were not set aside."""
    counting = and_(Vote.state == VoteState.COUNTED, Vote.rated)
    reached = or_(counting, Vote.state.in_([VoteState.HELD, VoteState.EXCLUDED]))
    return and_(Vote.voter_id.in_(voters), reached, Vote.state != target)


def _aside(decision: VoterVerdict, reason: str) -> SetAside | None:
    state = _STATES[decision]
    return None if state is VoteState.COUNTED else SetAside(state, _state_reason(state, reason) or "")


def _state_reason(state: VoteState, reason: str) -> str | None:
    return None if state is VoteState.COUNTED else f"{state.value} by the operator: {reason}"
