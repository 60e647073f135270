"""Forgetting a voter: everything they wrote and were answered goes; the ratings stay right.

What happens to their votes is the operator's choice. `deleted`: battles and votes go too, and leave the pair counts.
`kept`: a vote and its battle stay as they were counted, without a word of text, under a new random id from which
nothing leads back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, Table, delete, func, or_, select, update
from sqlalchemy.orm import Session

from arena.answer_style import measure
from arena.counts import add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.limits import forget_subject
from arena.tables import (
    Answer,
    AnswerStyle,
    Base,
    Battle,
    Conversation,
    JudgeVerdict,
    Prompt,
    Seat,
    Vote,
    Voter,
    VoterDecision,
    VoteState,
    new_id,
)

Policy = Literal["deleted", "kept"]
FORGOTTEN = "forgotten-"
"""How the id begins under which votes are kept."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the arena has of a voter."""

    battles: int
    votes: int
    chats: int
    prompts: int

    @property
    def empty(self) -> bool:
        """There is nothing."""
        return not any(asdict(self).values())


def holdings_of(database: Database, voter_id: str) -> Holdings:
    """Count what the arena has of a voter."""
    own = select(Conversation.id).where(Conversation.voter_id == voter_id)
    rows = select(func.count())
    fought = select(Battle.conversation_id)
    with database.read() as session:

        def count(statement: Select[int]) -> int:
            return session.scalar(statement) or 0

        return Holdings(
            battles=count(rows.select_from(Battle).where(Battle.voter_id == voter_id)),
            votes=count(rows.select_from(Vote).where(Vote.voter_id == voter_id)),
            chats=count(
                rows.select_from(Conversation).where(Conversation.voter_id == voter_id, ~Conversation.id.in_(fought))
            ),
            prompts=count(rows.select_from(Prompt).where(Prompt.conversation_id.in_(own))),
        )


def forget(database: Database, voter_id: str, policy: Policy) -> None:
    """Forget a voter in one transaction. Somebody unknown is forgotten already: nothing changes.

    Exports and backups that were made before still hold what they held.
    """
    with database.write() as session:
        sequence = next_sequence(session)  # nobody else changes votes meanwhile
        forget_subject(session, voter_id)
        if policy == "kept":
            _keep_votes(session, voter_id)
        _uncount(session, voter_id, sequence)
        _delete(session, _table(Conversation), Conversation.voter_id == voter_id)
        _delete(session, _table(Voter), Voter.id == voter_id)


def _keep_votes(session: Session, voter_id: str) -> None:
    """Hand the voter's voted battles to a new id and take every text out of them."""
    voted = select(Vote.battle_id).where(Vote.voter_id == voter_id)
    if session.scalar(voted.limit(1)) is None:
        return
    heir = FORGOTTEN + new_id()
    session.add(Voter(id=heir))
    session.flush()
    own = Conversation.voter_id == voter_id
    fought = select(Battle.conversation_id).where(Battle.id.in_(voted))
    conversations = select(Conversation.id).where(own, Conversation.id.in_(fought))
    _measure(session, conversations)
    _erase(session, conversations)
    # The last line loses what the ones before find the rows by.
    session.execute(update(VoterDecision).where(VoterDecision.voter_id == voter_id).values(voter_id=heir))
    session.execute(update(Conversation).where(own, Conversation.id.in_(fought)).values(voter_id=heir))
    session.execute(update(Battle).where(Battle.id.in_(voted)).values(voter_id=heir))
    session.execute(update(Vote).where(Vote.voter_id == voter_id).values(voter_id=heir))


def _measure(session: Session, conversations: Select[str]) -> None:
    """Note how the answers look while they are there: ratings by style count their votes on."""
    unmeasured = (
        select(Answer.id, Answer.text)
        .join(Seat, Seat.answer_id == Answer.id)
        .outerjoin(AnswerStyle, AnswerStyle.answer_id == Answer.id)
        .where(Answer.conversation_id.in_(conversations), AnswerStyle.answer_id.is_(None))
        .distinct()
    )
    session.add_all(
        AnswerStyle(answer_id=answer, **asdict(measure(text))) for answer, text in session.execute(unmeasured)
    )
    session.flush()


def _erase(session: Session, conversations: Select[str]) -> None:
    answers: Mapping[str, Any] = {"text": "", "reasoning": "", "identity_findings": [], "request_id": None}
    session.execute(update(Prompt).where(Prompt.conversation_id.in_(conversations)).values(text=""))
    session.execute(update(Answer).where(Answer.conversation_id.in_(conversations)).values(**answers))
    session.execute(update(Conversation).where(Conversation.id.in_(conversations)).values(history=[]))
    # A judge's reason may quote any of it.
    session.execute(update(JudgeVerdict).where(JudgeVerdict.conversation_id.in_(conversations)).values(reason=""))


def _uncount(session: Session, voter_id: str, sequence: int) -> None:
    """Take the votes that are about to go out of the pair counts."""
    own = select(Conversation.id).where(Conversation.voter_id == voter_id)
    leaving = (
        select(Battle.mode, Battle.revision_a, Battle.revision_b, Vote.winner, Vote.criteria)
        .join(Battle, Battle.id == Vote.battle_id)
        .where(
            Vote.rated,
            Vote.state == VoteState.COUNTED,
            or_(Vote.voter_id == voter_id, Battle.voter_id == voter_id, Battle.conversation_id.in_(own)),
        )
    )
    for row in session.execute(leaving).all():
        add_verdicts(session, dict.fromkeys(verdicts_of(*row), -1), sequence)


def _table(kind: type[Base]) -> Table:
    return kind.__table__  # type: ignore[return-value]


def _delete(session: Session, table: Table, which: ColumnElement[bool]) -> None:
    """Delete rows and, first, every row of any table that cannot be without them; a reference that may be empty is."""
    for other, column, target in _references(table):
        doomed = select(target).where(which).correlate(None)
        if column.nullable:
            session.execute(update(other).where(column.in_(doomed)).values({column.name: None}))
        else:
            _delete(session, other, column.in_(doomed))
    session.execute(delete(table).where(which))


def _references(table: Table) -> Sequence[tuple[Table, Any, Any]]:
    """Who refers to `table`: the other table, its column, and the column of `table` that it names."""
    return [
        (other, key.parent, key.column)
        for other in Base.metadata.sorted_tables
        for key in other.foreign_keys
        if key.column.table is table
    ]
