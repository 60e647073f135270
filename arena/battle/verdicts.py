"""Votes: stored once, revealed after the commit, withdrawn by their voter."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.battle.record import BattleRecord, StoredAnswer, StoredModel, read_battle
from arena.battle.views import Reveal, SideReveal
from arena.counts import add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.errors import BattleError
from arena.leaderboard import Standing, Standings
from arena.roster import PLATFORM_NAMES
from arena.rubric import NO_RUBRIC, Rubric
from arena.tables import Battle, BattleState, Mode, Vote, VoteState, Winner, now
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


class StoredVote(NamedTuple):
    """A vote as far as its voter is told of it."""

    winner: Winner
    rated: bool
    state: VoteState


_VOTES: Table = Vote.__table__  # type: ignore[assignment]
_BATTLES: Table = Battle.__table__  # type: ignore[assignment]
_NEW_VOTE = insert(_VOTES)
_VOTED = update(_BATTLES).where(_BATTLES.c.id == bindparam("battle")).values(state=BattleState.VOTED)
_READ_VOTE = select(_VOTES.c.winner, _VOTES.c.rated, _VOTES.c.state).where(_VOTES.c.battle_id == bindparam("battle"))


def cast(
    database: Database, ballot: Ballot, rubric: Rubric = NO_RUBRIC, *, demo: bool
) -> tuple[BattleRecord, StoredVote]:
    """Store a vote, and count it if it is rated, in one transaction; returns the battle that it closed, and the vote.

    `demo` says that the whole database is for offline demonstration; elsewhere a demo model's battle is never rated.

    Raises:
        BattleError: the battle is not the voter's, not votable, or has its vote already, however closely they came; or
            a criterion is not the rubric's.

    """
    try:
        with database.write() as session:
            return cast_in(session, ballot, rubric, demo=demo)
    except IntegrityError as error:
        raise BattleError(ALREADY_VOTED, reason="voted_already") from error


def cast_in(
    session: Session, ballot: Ballot, rubric: Rubric, *, demo: bool, unrated: str | None = None
) -> tuple[BattleRecord, StoredVote]:
    """As `cast`, in the caller's transaction; `unrated` is a reason of the caller's to keep the vote unrated."""
    _check_criteria(ballot, rubric)
    record = read_battle(session, ballot.battle_id, ballot.voter_id, lock=True)
    if record.state is not BattleState.VOTABLE:
        reason = "voted_already" if record.state is BattleState.VOTED else "not_votable"
        raise BattleError(_NOT_OPEN[record.state], reason=reason)
    rated = unrated is None and unrated_reason(record, demo) is None
    sequence = next_sequence(session)
    aside = aside_of(session, ballot.voter_id) if rated else None
    vote = StoredVote(ballot.winner, rated and aside is None, aside.state if aside else VoteState.COUNTED)
    version = rubric.version if len(rubric) else None
    row = {
        **vote._asdict(),
        "battle_id": record.id,
        "turn": len(record.turns),
        "criteria": dict(ballot.criteria),
        "rubric_version": version,
        "voter_id": ballot.voter_id,
        "state_reason": aside.reason if aside else None,
        "sequence": sequence,
    }
    session.execute(_NEW_VOTE, row)
    session.execute(_VOTED, {"battle": record.id})
    if vote.rated:
        verdicts = verdicts_of(record.scope, *record.revisions, vote.winner, ballot.criteria, version)
        add_verdicts(session, dict.fromkeys(verdicts, 1), sequence)
    return replace(record, state=BattleState.VOTED), vote


def withdraw(database: Database, battle_id: str, voter_id: str) -> None:
    """Take a vote back: it stays, marked, and no longer counts. Twice is not an error.

    Raises:
        BattleError: the battle is not the voter's, or has no vote.

    """
    with database.write() as session:
        record = read_battle(session, battle_id, voter_id, lock=True)
        next_sequence(session, 0)  # from here on no decision about the voter changes the vote
        vote = session.get(Vote, battle_id)
        if vote is None:
            raise BattleError("There is no vote to withdraw.")
        if vote.state is VoteState.WITHDRAWN:
            return
        if vote.rated:
            verdicts = verdicts_of(record.scope, *record.revisions, vote.winner, vote.criteria, vote.rubric_version)
            add_verdicts(session, dict.fromkeys(verdicts, -1), next_sequence(session))
        vote.state, vote.state_reason = VoteState.WITHDRAWN, "withdrawn by the voter"
        vote.rated = False
        vote.changed_at = now()


def unrated_reason(record: BattleRecord, demo: bool) -> str | None:
    """A sentence for the voter: why this battle's vote does not move the ratings; `None` if it does."""
    if record.mode is Mode.SIDE_BY_SIDE:
        return "You knew the models, so this vote is kept but does not move the ratings."
    if any(answer.identity_findings for turn in record.turns for answer in turn.stored):
        return "An answer gave away who wrote it, so this vote is kept but does not move the ratings."
    if not demo and any(model.platform == "demo" for model in record.seated):
        return "An offline demonstration model took part, so this vote is kept but does not move the ratings."
    return None


def read_reveal(
    session: Session, record: BattleRecord, before: Standings | None, after: Standings, *, demo: bool
) -> Reveal | None:
    """As `reveal_of`, with the vote that is stored; `None` where there is none."""
    vote = session.execute(_READ_VOTE, {"battle": record.id}).one_or_none()
    return None if vote is None else reveal_of(record, StoredVote(*vote), before, after, demo=demo)


def reveal_of(
    record: BattleRecord, vote: StoredVote, before: Standings | None, after: Standings, *, demo: bool
) -> Reveal:
    """Who fought, with the ratings around the vote; `before` is `None` if unknown."""
    withdrawn = vote.state is VoteState.WITHDRAWN
    reason = None if vote.rated else unrated_reason(record, demo)
    if withdrawn:
        reason = "You withdrew this vote: it is kept, marked as withdrawn, and does not count."
    elif not vote.rated and reason is None:
        reason = "This vote is kept but does not move the ratings."
    shown = (before, after) if vote.rated else (None, None)
    a, b = (
        _side(model, answer, shown, after) for model, answer in zip(record.seated, record.turns[-1].stored, strict=True)
    )
    return Reveal((a, b), vote.winner, vote.rated, reason, withdrawn)


def _side(
    model: StoredModel,
    answer: StoredAnswer,
    rated: tuple[Standings | None, Standings | None],
    after: Standings,
) -> SideReveal:
    ratings = [row.rating if row else None for row in (_row(standings, model.revision) for standings in rated)]
    standing = _row(after, model.revision)
    return SideReveal(
        model_id=model.model_id,
        display_name=model.display_name,
        platform=PLATFORM_NAMES.get(model.platform, model.platform),
        version=model.version,
        family=model.family,
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


def _check_criteria(ballot: Ballot, rubric: Rubric) -> None:
    """Refuse what was asked in other words than the arena's now: a page may be older than the rubric."""
    criteria = ballot.criteria
    if criteria and ballot.rubric_version not in (None, rubric.version):
        raise BattleError("The criteria have changed since this page was loaded; reload it, then vote.")
    if any(name not in rubric for name in criteria):
        raise BattleError("These criteria are not the arena's; reload the page.")
    if any(verdict not in _CRITERION_VERDICTS for verdict in criteria.values()):
        raise BattleError("A criterion is rated model_a, model_b or tie, or left out.")
