"""What the operator decides about a voter's votes: count them, hold them, exclude them. Reversible; nothing is deleted.

A decision moves every vote of the voter that would be rated if it counted, and the pair counts with them, in one
transaction; votes that never count (named models, an answer that gave its writer away, withdrawn ones) stay as they
are. The voter's later votes are stored as the latest decision says.
"""

from collections import Counter as Tally
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Table, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from arena.counts import Verdict, add_verdicts, next_sequence, read_counts, verdicts_of
from arena.database import Database
from arena.errors import ConfigError
from arena.ratings import Ratings, rate
from arena.tables import (
    Battle,
    ModelRevision,
    Vote,
    Voter,
    VoterDecision,
    VoterVerdict,
    VoteState,
    Winner,
    counted_in,
    now,
)

Counts = NDArray[np.int64]

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


@dataclass(frozen=True, slots=True)
class Shift:
    """One model's standing before and after a decision; ranks as '1' or '1-3', a dash and `None` where unrated."""

    revision_id: int
    model_id: str
    display_name: str
    rating_now: float | None
    rating_then: float | None
    rank_now: str
    rank_then: str
    votes_now: int
    votes_then: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a decision would change, before it is taken."""

    decision: VoterVerdict
    votes: int
    """How many votes would begin, or cease, to count."""
    rows: Sequence[Shift]
    """By the standing as it would be, best first."""

    @property
    def sentence(self) -> str:
        """The change in words."""
        if not self.votes:
            return "This would change no vote that counts."
        moved = max((row for row in self.rows if row.rating_then is not None), key=_moved, default=None)
        votes = "1 vote" if self.votes == 1 else f"{self.votes} votes"
        what = f"{votes} would {'count again' if self.decision is VoterVerdict.COUNT else 'no longer count'}"
        if moved is None or moved.rating_now is None or moved.rating_then is None:
            return f"{what}."
        reranked = [row.display_name for row in self.rows if row.rank_now != row.rank_then]
        ranks = f"ranks change for {', '.join(reranked)}" if reranked else "no rank changes"
        points = moved.rating_then - moved.rating_now
        return f"{what}: {moved.display_name} moves most, by {points:+.0f} points; {ranks}."

    def as_json(self) -> dict[str, Any]:
        """For programs: ratings to a tenth of a point."""
        return {
            "decision": self.decision.value,
            "votes": self.votes,
            "standings": [
                {
                    "model": row.model_id,
                    "display_name": row.display_name,
                    "rating_now": None if row.rating_now is None else round(row.rating_now, 1),
                    "rating_then": None if row.rating_then is None else round(row.rating_then, 1),
                    "rank_now": row.rank_now,
                    "rank_then": row.rank_then,
                    "votes_now": row.votes_now,
                    "votes_then": row.votes_then,
                }
                for row in self.rows
            ],
        }


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
        changed = and_(_votes_of([voter_id]), Vote.state != target)
        add_verdicts(session, _change(session, changed, target), sequence)
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


def preview(
    database: Database,
    voters: Collection[str],
    decision: VoterVerdict,
    scopes: Sequence[str] = ("battle", "imported"),
) -> Preview:
    """The standings as they are, and as they would be after the decision about all of these voters."""
    target = _STATES[decision]
    counts = read_counts(database, scopes)
    with database.read() as session:
        change = _change(session, and_(_votes_of(voters), Vote.state != target), target)
        names = {r.id: r for r in session.scalars(select(ModelRevision))}
    change = {v: n for v, n in change.items() if v.scope in scopes and not v.criterion}
    revisions = sorted({*counts.revisions, *(r for v in change for r in (v.revision_a, v.revision_b))})
    place = {revision: index for index, revision in enumerate(revisions)}
    at = [place[revision] for revision in counts.revisions]
    before = _Table.empty(len(revisions))
    for mine, theirs in zip(
        (before.wins, before.ties, before.both_bad), (counts.wins, counts.ties, counts.both_bad), strict=True
    ):
        mine[np.ix_(at, at)] = theirs
    after = before.changed(change, place)
    rated = (before.rated(), after.rated())
    votes = (before.votes(), after.votes())
    rows = [
        Shift(
            revision_id=revision,
            model_id=names[revision].model_id,
            display_name=names[revision].display_name,
            rating_now=_rating(rated[0], index),
            rating_then=_rating(rated[1], index),
            rank_now=_rank(rated[0], index),
            rank_then=_rank(rated[1], index),
            votes_now=int(votes[0][index]),
            votes_then=int(votes[1][index]),
        )
        for index, revision in enumerate(revisions)
    ]
    rows.sort(key=lambda row: (row.rating_then is None, -(row.rating_then or 0.0), row.model_id, row.revision_id))
    return Preview(decision, sum(abs(amount) for amount in change.values()), rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Counts of verdicts between revisions, as `arena.ratings` reads them."""

    wins: Counts
    ties: Counts
    both_bad: Counts

    @classmethod
    def empty(cls, n: int) -> "_Table":
        return cls(*(np.zeros((n, n), np.int64) for _ in range(3)))

    def changed(self, change: Mapping[Verdict, int], place: Mapping[int, int]) -> "_Table":
        new = _Table(self.wins.copy(), self.ties.copy(), self.both_bad.copy())
        for verdict, amount in change.items():
            a, b = place[verdict.revision_a], place[verdict.revision_b]
            if verdict.winner is Winner.MODEL_A:
                new.wins[a, b] += amount
            elif verdict.winner is Winner.MODEL_B:
                new.wins[b, a] += amount
            else:
                even = new.ties if verdict.winner is Winner.TIE else new.both_bad
                even[a, b] += amount
                even[b, a] += amount
        return new

    def rated(self) -> Ratings:
        return rate(self.wins, self.ties, self.both_bad)

    def votes(self) -> Counts:
        return np.asarray((self.wins + self.wins.T + self.ties + self.both_bad).sum(axis=1))


def _votes_of(voters: Collection[str]) -> ColumnElement[bool]:
    """Votes of these voters that count, or would if they were not set aside."""
    counting = and_(Vote.state == VoteState.COUNTED, Vote.rated)
    return and_(Vote.voter_id.in_(voters), or_(counting, Vote.state.in_([VoteState.HELD, VoteState.EXCLUDED])))


def _change(session: Session, votes: ColumnElement[bool], target: VoteState) -> Mapping[Verdict, int]:
    """What the counts gain or lose when these votes get the state `target`."""
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


def _aside(decision: VoterVerdict, reason: str) -> SetAside | None:
    state = _STATES[decision]
    return None if state is VoteState.COUNTED else SetAside(state, _state_reason(state, reason) or "")


def _state_reason(state: VoteState, reason: str) -> str | None:
    return None if state is VoteState.COUNTED else f"{state.value} by the operator: {reason}"


def _rating(ratings: Ratings, index: int) -> float | None:
    value = float(ratings.rating[index])
    return None if np.isnan(value) else value


def _rank(ratings: Ratings, index: int) -> str:
    low, high = int(ratings.rank_low[index]), int(ratings.rank_high[index])
    if not low:
        return "–"
    return str(low) if low == high else f"{low}-{high}"


def _moved(row: Shift) -> float:
    if row.rating_now is None or row.rating_then is None:
        return 0.0
    return abs(row.rating_then - row.rating_now)
