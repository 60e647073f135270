"""Two answers side by side, the verdict on them, and what became of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Text, cast, func
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base, new_id, now
from arena.tables.words import BattleState, Mode, Side, VoterVerdict, VoteState, Winner


class Battle(Base):
    """Two seats over one conversation."""

    __tablename__ = "battles"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    mode: Mapped[Mode]
    scope: Mapped[str | None]
    """Where its vote counts, if not where its mode says: `battle`, or `campaign:<id>`; see `counted_in`."""
    state: Mapped[BattleState] = mapped_column(default=BattleState.RUNNING, index=True)
    state_reason: Mapped[str | None]
    turn: Mapped[int] = mapped_column(default=1)
    """The latest turn."""
    revision_a: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"))
    revision_b: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"))
    """Who sits where now; a replacement before any text was shown changes it."""
    question: Mapped[str]
    question_version: Mapped[str]
    continues_battle_id: Mapped[str | None] = mapped_column(ForeignKey("battles.id"))
    continues_side: Mapped[Side | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    closed_at: Mapped[datetime | None]
    first_shown_ms: Mapped[float | None]
    """From sending to the first text shown, at the first turn."""
    answered_ms: Mapped[float | None]
    """From sending to both answers complete, at the first turn."""


def counted_in() -> ColumnElement[str]:
    """The scope of the pair counts in which a battle's vote counts."""
    return func.coalesce(Battle.scope, cast(Battle.mode, Text))


class Seat(Base):
    """Which answer a side showed at a turn."""

    __tablename__ = "seats"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    side: Mapped[Side] = mapped_column(primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), index=True)


class Vote(Base):
    """The verdict on a battle; the primary key allows one per battle, whoever clicks twice."""

    __tablename__ = "votes"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    winner: Mapped[Winner]
    turn: Mapped[int]
    """The number of turns the voter had seen."""
    criteria: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Criterion id -> `model_a`, `model_b` or `tie`; a criterion that was not rated is absent."""
    rubric_version: Mapped[str | None]
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    state: Mapped[VoteState] = mapped_column(default=VoteState.COUNTED)
    state_reason: Mapped[str | None]
    rated: Mapped[bool]
    """Whether it is in the pair counts: never for named models, an identity leak, or a vote that no longer counts."""
    shown_first: Mapped[Side] = mapped_column(default=Side.A)
    sequence: Mapped[int] = mapped_column(unique=True)
    """A number given in commit order."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    changed_at: Mapped[datetime] = mapped_column(default=now)


class VoterDecision(Base):
    """One decision of the operator about a voter; the latest holds, and the earlier ones stay as its history."""

    __tablename__ = "voter_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    decision: Mapped[VoterVerdict]
    reason: Mapped[str]
    votes: Mapped[int]
    """How many votes it changed."""
    decided_at: Mapped[datetime] = mapped_column(default=now)


class ImportedVote(Base):
    """The key of an imported vote at its source; importing the same vote again is skipped."""

    __tablename__ = "imported_votes"

    key: Mapped[str] = mapped_column(primary_key=True)
    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"))
    source: Mapped[str]
