"""Votes: stored once, revealed after the commit, withdrawn by their voter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import distinct, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.battle.record import NOT_YOURS, BattleRecord
from arena.battle.store import locked_battle
from arena.battle.views import Reveal, SideReveal
from arena.counts import Verdict, add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.errors import BattleError
from arena.leaderboard import Standing, Standings
from arena.roster import PLATFORM_NAMES
from arena.rubric import NO_RUBRIC, Rubric
from arena.tables import Answer, Battle, BattleState, Mode, ModelRevision, Seat, Vote, VoteState, Winner, now
from arena.voter_decisions import aside_of

ALREADY_VOTED = "This battle has its vote already; a battle takes one."
_NOT_OPEN = {
    BattleState.RUNNING: "The answers are still being written; vote when both are there.",
    BattleState.VOTED: ALREADY_VOTED,
    BattleState.VOID: "A model failed in this battle, so it takes no vote. You can run the same challenge again.",
    BattleState.ABANDONED: "This battle was stopped before both answers were there, so it takes no vote.",
}
_CRITERION_VERDICTS = (Winner.MODEL_A, Winner.MODEL_B, Winner.TIE)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a voter hands in."""

    battle_id: str
    voter_id: str
    winner: Winner
    criteria: Mapping[str, str] = field(default_factory=dict)
    rubric_version: str | None = None
    """Of the criteria that the voter was shown."""


def cast(database: Database, ballot: Ballot, rubric: Rubric = NO_RUBRIC, *, demo: bool) -> None:
    """Store a vote, and count it if it is rated, in one transaction.

    `demo` says that the whole database is for offline demonstration; elsewhere a demo model's battle is never rated.

    Raises:
        BattleError: the battle is not the voter's, not votable, or has its vote already, however closely they came; or
            a criterion is not the rubric's.

    """
    try:
        with database.write() as session:
            cast_in(session, ballot, rubric, demo=demo)
    except IntegrityError as error:
        raise BattleError(ALREADY_VOTED, reason="voted_already") from error


def cast_in(session: Session, ballot: Ballot, rubric: Rubric, *, demo: bool, unrated: str | None = None) -> None:
    """As `cast`, in the caller's transaction; `unrated` is a reason of the caller's to keep the vote unrated."""
    _check_criteria(ballot, rubric)
    battle = _own_battle(session, ballot.battle_id, ballot.voter_id)
    if battle.state is not BattleState.VOTABLE:
        reason = "voted_already" if battle.state is BattleState.VOTED else "not_votable"
        raise BattleError(_NOT_OPEN[battle.state], reason=reason)
    rated = unrated is None and unrated_reason(session, battle, demo) is None
    sequence = next_sequence(session)
    aside = aside_of(session, ballot.voter_id) if rated else None
    rated = rated and aside is None
    vote = Vote(
        battle_id=battle.id,
        winner=ballot.winner,
        turn=_turns_seen(session, battle.id),
        criteria=dict(ballot.criteria),
        rubric_version=rubric.version if len(rubric) else None,
        voter_id=ballot.voter_id,
        state=aside.state if aside else VoteState.COUNTED,
        state_reason=aside.reason if aside else None,
        rated=rated,
        sequence=sequence,
    )
    session.add(vote)
    battle.state = BattleState.VOTED
    if rated:
        add_verdicts(session, dict.fromkeys(_verdicts(battle, vote), 1), sequence)


def withdraw(database: Database, battle_id: str, voter_id: str) -> None:
    """Take a vote back: it stays, marked, and no longer counts. Twice is not an error.

    Raises:
        BattleError: the battle is not the voter's, or has no vote.

    """
    with database.write() as session:
        battle = _own_battle(session, battle_id, voter_id)
        next_sequence(session, 0)  # from here on no decision about the voter changes the vote
        vote = session.get(Vote, battle_id)
        if vote is None:
            raise BattleError("There is no vote to withdraw.")
        if vote.state is VoteState.WITHDRAWN:
            return
        if vote.rated:
            add_verdicts(session, dict.fromkeys(_verdicts(battle, vote), -1), next_sequence(session))
        vote.state, vote.state_reason = VoteState.WITHDRAWN, "withdrawn by the voter"
        vote.rated = False
        vote.changed_at = now()


def unrated_reason(session: Session, battle: Battle, demo: bool) -> str | None:
    """A sentence for the voter: why this battle's vote does not move the ratings; `None` if it does."""
    if battle.mode is Mode.SIDE_BY_SIDE:
        return "You knew the models, so this vote is kept but does not move the ratings."
    if _findings(session, battle.id):
        return "An answer gave away who wrote it, so this vote is kept but does not move the ratings."
    if not demo and _has_demo_model(session, battle):
        return "An offline demonstration model took part, so this vote is kept but does not move the ratings."
    return None


def read_reveal(
    session: Session, record: BattleRecord, before: Standings | None, after: Standings, *, demo: bool
) -> Reveal | None:
    """Who fought, with the ratings around the vote; `None` where no vote is stored. `before` is `None` if unknown."""
    vote = session.get(Vote, record.id)
    if vote is None:
        return None
    battle = session.get_one(Battle, record.id)
    withdrawn = vote.state is VoteState.WITHDRAWN
    reason = None if vote.rated else unrated_reason(session, battle, demo)
    if withdrawn:
        reason = "You withdrew this vote: it is kept, marked as withdrawn, and does not count."
    elif not vote.rated and reason is None:
        reason = "This vote is kept but does not move the ratings."
    shown = (before, after) if vote.rated else (None, None)
    sides = [
        _side(session, revision, answer_id, shown, after)
        for revision, answer_id in zip(record.revisions, record.turns[-1].answer_ids, strict=True)
    ]
    return Reveal((sides[0], sides[1]), vote.winner, vote.rated, reason, withdrawn)


def _side(
    session: Session,
    revision_id: int,
    answer_id: str,
    rated: tuple[Standings | None, Standings | None],
    after: Standings,
) -> SideReveal:
    revision = session.get_one(ModelRevision, revision_id)
    answer = session.get_one(Answer, answer_id)
    ratings = [row.rating if row else None for row in (_row(standings, revision_id) for standings in rated)]
    standing = _row(after, revision_id)
    return SideReveal(
        model_id=revision.model_id,
        display_name=revision.display_name,
        platform=PLATFORM_NAMES.get(revision.platform, revision.platform),
        version=revision.version,
        family=revision.family,
        first_token_s=_seconds(answer.first_token_ms),
        total_s=_seconds(answer.total_ms),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        finish_reason=answer.finish_reason,
        rating_before=ratings[0],
        rating_after=ratings[1],
        rank=standing.rank if standing and standing.rank_low else None,
    )


def _row(standings: Standings | None, revision_id: int) -> Standing | None:
    rows = standings.rows if standings else ()
    return next((row for row in rows if row.revision_id == revision_id), None)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _own_battle(session: Session, battle_id: str, voter_id: str) -> Battle:
    battle = locked_battle(session, battle_id)
    if battle.voter_id != voter_id:
        raise BattleError(NOT_YOURS, reason="not_yours")
    return battle


def _verdicts(battle: Battle, vote: Vote) -> Sequence[Verdict]:
    return verdicts_of(
        battle.scope or battle.mode.value,
        battle.revision_a,
        battle.revision_b,
        vote.winner,
        vote.criteria,
        vote.rubric_version,
    )


def _turns_seen(session: Session, battle_id: str) -> int:
    """A turn that was stopped left no seats, and was not seen to its end."""
    return session.scalar(select(func.count(distinct(Seat.turn))).where(Seat.battle_id == battle_id)) or 0


def _findings(session: Session, battle_id: str) -> list[str]:
    answers = session.scalars(
        select(Answer.identity_findings).join(Seat, Seat.answer_id == Answer.id).where(Seat.battle_id == battle_id)
    )
    return [finding for findings in answers for finding in findings]


def _has_demo_model(session: Session, battle: Battle) -> bool:
    seated = (battle.revision_a, battle.revision_b)
    platforms = session.scalars(select(ModelRevision.platform).where(ModelRevision.id.in_(seated)))
    return "demo" in list(platforms)


def _check_criteria(ballot: Ballot, rubric: Rubric) -> None:
    """Refuse what was asked in other words than the arena's now: a page may be older than the rubric."""
    criteria = ballot.criteria
    if criteria and ballot.rubric_version not in (None, rubric.version):
        raise BattleError("The criteria have changed since this page was loaded; reload it, then vote.")
    if any(name not in rubric for name in criteria):
        raise BattleError("These criteria are not the arena's; reload the page.")
    if any(verdict not in _CRITERION_VERDICTS for verdict in criteria.values()):
        raise BattleError("A criterion is rated model_a, model_b or tie, or left out.")
