"""Votes read in portions, each with its two answers: all that the gates ask about, and no more."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from arena.database import Database
from arena.errors import FailureKind
from arena.preferences.pairs import Message, Said, SharedPrompt
from arena.tables import (
    Answer,
    Battle,
    Conversation,
    Mode,
    ModelRevision,
    Prompt,
    Seat,
    Side,
    Vote,
    VoteState,
    Winner,
    WithheldBattle,
)
from arena.voter_decisions import set_aside

PORTION = 500
"""Votes read at a time, so that neither memory nor a read lock grows with the number of votes."""
_SIDE = 9
"""Columns of one side."""


@dataclass(frozen=True, slots=True)
class Seated:
    """One side of a battle at its first turn."""

    said: Said
    platform: str
    system: str | None
    failure: FailureKind | None
    gave_itself_away: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """One vote, as a lesson that may be drawn from it."""

    sequence: int
    """The vote's number."""
    battle: str
    voter: str
    mode: Mode
    turns: int
    """How many turns of its own the battle had; before them both sides share the history."""
    verdict: Winner | None
    """By the criterion that was asked for; `None` where the voter did not rate it."""
    state: VoteState
    voter_set_aside: bool
    """Whether the operator holds or excludes the voter's votes: those that never count say so nowhere else."""
    withheld: bool
    challenge_id: str | None
    history: Sequence[Message]
    user_turn: str | None
    """`None` where a vote was imported without its text."""
    sides: tuple[Seated, Seated] | None
    """`None` where a vote was imported without its text."""

    @property
    def prompt(self) -> SharedPrompt:
        """What both sides were given."""
        if self.sides is None or self.user_turn is None:
            raise ValueError(f"battle {self.battle} has no text")
        return SharedPrompt(self.sides[0].system, (*self.history, {"role": "user", "content": self.user_turn}))

    @property
    def texts(self) -> Sequence[str]:
        """Everything that would be in a training file."""
        answers = [seated.said.text for seated in self.sides or ()]
        told = [*(message["content"] for message in self.history), self.user_turn or "", *answers]
        return [*told, *{seated.system for seated in self.sides or () if seated.system}]


def read_candidates(
    database: Database, criterion: str = "", progress: Callable[[float], None] = lambda share: None
) -> Iterator[Candidate]:
    """Every vote up to the latest one of this moment, in the order of their numbers.

    `progress` is called after each portion with the share that is read, 0 to 1.
    """
    with database.read() as session:
        last = session.scalar(select(func.max(Vote.sequence))) or 0
    after = 0
    while after < last:
        with database.read() as session:
            portion = _portion(session, after, last, criterion)
        if not portion:
            return
        yield from portion
        after = portion[-1].sequence
        progress(after / last)


def _portion(session: Session, after: int, last: int, criterion: str) -> Sequence[Candidate]:
    rows = session.execute(_STATEMENT, {"after": after, "last": last}).all()
    aside = set_aside(session, {row.voter_id for row in rows})
    return [_candidate(row, criterion, set_aside=row.voter_id in aside) for row in rows]


def _candidate(row: Row[Any], criterion: str, *, set_aside: bool) -> Candidate:
    has_text = row.prompt is not None and row.a_text is not None and row.b_text is not None
    return Candidate(
        sequence=row.sequence,
        battle=row.battle_id,
        voter=row.voter_id,
        mode=row.mode,
        turns=row.turn,
        verdict=_verdict(row.winner, row.criteria, criterion),
        state=row.state,
        voter_set_aside=set_aside,
        withheld=row.withheld is not None,
        challenge_id=row.challenge_id,
        history=row.history,
        user_turn=row.prompt,
        sides=(_seated(row, 0), _seated(row, _SIDE)) if has_text else None,
    )


def _verdict(winner: Winner, criteria: Mapping[str, str], criterion: str) -> Winner | None:
    if not criterion:
        return winner
    rated = criteria.get(criterion)
    return None if rated is None else Winner(rated)


def _seated(row: Row[Any], first: int) -> Seated:
    """One side's columns, in the order of `_columns`."""
    text, finish, failure, findings, revision, model, number, platform, system = row[first : first + _SIDE]
    return Seated(Said(text, f"{model}@{number}", revision, finish), platform, system or None, failure, bool(findings))


def _statement() -> Any:  # noqa: ANN401 - a select of two dozen columns
    seats = {side: aliased(Seat) for side in Side}
    answers = {side: aliased(Answer) for side in Side}
    revisions = {side: aliased(ModelRevision) for side in Side}
    columns = [column for side in Side for column in _columns(side.value, answers[side], revisions[side])]
    statement = (
        select(
            *columns,
            Vote.sequence,
            Vote.battle_id,
            Vote.voter_id,
            Vote.turn,
            Vote.winner,
            Vote.criteria,
            Vote.state,
            Battle.mode,
            Conversation.challenge_id,
            Conversation.history,
            Prompt.text.label("prompt"),
            WithheldBattle.battle_id.label("withheld"),
        )
        .join(Battle, Battle.id == Vote.battle_id)
        .join(Conversation, Conversation.id == Battle.conversation_id)
        .outerjoin(Prompt, and_(Prompt.conversation_id == Conversation.id, Prompt.turn == 1))
        .outerjoin(WithheldBattle, WithheldBattle.battle_id == Battle.id)
    )
    for side in Side:
        seat, answer, revision = seats[side], answers[side], revisions[side]
        statement = (
            statement.outerjoin(seat, and_(seat.battle_id == Battle.id, seat.side == side, seat.turn == 1))
            .outerjoin(answer, answer.id == seat.answer_id)
            .outerjoin(revision, revision.id == (Battle.revision_a if side is Side.A else Battle.revision_b))
        )
    bounds = (Vote.sequence > bindparam("after"), Vote.sequence <= bindparam("last"))
    return statement.where(*bounds).order_by(Vote.sequence).limit(PORTION)


def _columns(letter: str, answer: Any, revision: Any) -> Sequence[Any]:  # noqa: ANN401 - aliases
    """What `_seated` reads of one side."""
    of_answer = (answer.text, answer.finish_reason, answer.failure, answer.identity_findings)
    of_revision = (
        revision.id,
        revision.model_id,
        revision.number,
        revision.platform,
        revision.system_prompt,
    )
    return [column.label(f"{letter}_{column.key}") for column in (*of_answer, *of_revision)]


_STATEMENT = _statement()
