"""Who speaks, what was asked, and what each model said."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arena.errors import FailureKind
from arena.tables.base import Base, new_id, now
from arena.tables.words import ConversationKind, Side


class ModelRevision(Base):
    """What a roster id stood for at one time. A change of what answers makes a new revision, never merged silently."""

    __tablename__ = "model_revisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of everything below that decides what answers: see `arena.revisions`."""
    model_id: Mapped[str] = mapped_column(index=True)
    number: Mapped[int]
    """1, 2, … in the order in which this id changed."""
    platform: Mapped[str]
    api_name: Mapped[str]
    deployment: Mapped[str | None]
    """What the API name resolved to (a Vertex endpoint), where it had to be resolved."""
    system_prompt: Mapped[str | None]
    sampling: Mapped[dict[str, Any]]
    display_name: Mapped[str]
    family: Mapped[str | None]
    version: Mapped[str | None]
    parent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("model_id", "number"),)


class Voter(Base):
    """A pseudonymous person: a random id from a signed cookie, or a signed-in account. Never an address."""

    __tablename__ = "voters"

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Conversation(Base):
    """The visitor's side of a conversation; answers of any number of models hang from it."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[ConversationKind]
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    history: Mapped[list[dict[str, str]]] = mapped_column(default=list)
    """Messages shared by all sides before turn 1 ("Continue from this answer"): [{"role": …, "content": …}, …]."""
    challenge_id: Mapped[str | None]
    challenge_tags: Mapped[list[str]] = mapped_column(default=list)
    language: Mapped[str | None]
    """ISO 639-1 code of the first prompt."""
    language_method: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Prompt(Base):
    """One user turn of a conversation."""

    __tablename__ = "prompts"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, …"""
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Answer(Base):
    """What one revision said at one turn, at one attempt. A failure is a fact in `failure`, never words in `text`."""

    __tablename__ = "answers"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), index=True)
    turn: Mapped[int]
    attempt: Mapped[int]
    """1, 2, … within one seat's turn: a retry or a replacement is a further attempt."""
    side: Mapped[Side | None]
    """The seat the attempt was made for; kept for failed attempts too."""
    text: Mapped[str] = mapped_column(default="")
    reasoning: Mapped[str] = mapped_column(default="")
    finish_reason: Mapped[str | None]
    """The platform's word, lower case: `stop`, `length`, … `None` until the answer has finished."""
    failure: Mapped[FailureKind | None]
    sampling: Mapped[dict[str, Any]]
    """What was asked for: temperature, top_p, max_new_tokens."""
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    request_id: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    first_token_ms: Mapped[float | None]
    """From sending to the first text or reasoning."""
    total_ms: Mapped[float | None]
    """From sending to the end."""
    identity_findings: Mapped[list[str]] = mapped_column(default=list)
    """Phrases in which the answer names its maker or model; see `arena.identity`."""

    __table_args__ = (Index("ix_answers_conversation_turn", "conversation_id", "turn"),)


class AnswerStyle(Base):
    """How an answer looks, as far as style control asks; made from its text, and can be made again."""

    __tablename__ = "answer_styles"

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), primary_key=True)
    characters: Mapped[int]
    headings: Mapped[int]
    lists: Mapped[int]
    bold: Mapped[int]
