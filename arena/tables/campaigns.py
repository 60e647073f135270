"""Prompt sets answered ahead of time, who answers them, and which voter judged which pair of answers."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base, new_id, now
from arena.tables.words import CampaignPairs


class Campaign(Base):
    """A set of prompts, a set of models, and how their answers are to be judged."""

    __tablename__ = "campaigns"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Chosen by the operator; part of the address that voters are given."""
    name: Mapped[str]
    question: Mapped[str]
    question_version: Mapped[str]
    pairs: Mapped[CampaignPairs]
    """Which pairs of models are judged."""
    pairs_per_prompt: Mapped[int]
    voters_per_item: Mapped[int]
    repeat_share: Mapped[float]
    """The share of a voter's items that come a second time with swapped seats, 0 to 1."""
    scope: Mapped[str]
    """Where its votes count: `battle`, or `campaign:<id>`."""
    reveals: Mapped[bool]
    """Whether a voter learns the names after each vote; otherwise when the campaign has ended."""
    budget_usd: Mapped[float | None]
    budget_tokens: Mapped[int | None]
    """What all requests of the campaign may cost together; `None` is no limit."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    filled_at: Mapped[datetime | None]
    """When filling last came to its end: prompts that still lack an answer are judged on what is there."""
    ended_at: Mapped[datetime | None]


class CampaignModel(Base):
    """One of a campaign's models; it need not be in the roster any more."""

    __tablename__ = "campaign_models"

    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(primary_key=True)


class CampaignPrompt(Base):
    """One of a campaign's prompts; its words are those of its conversation, from which the answers hang."""

    __tablename__ = "campaign_prompts"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), primary_key=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"))
    key: Mapped[str]
    """The prompt's id in its file, or its number there."""
    place: Mapped[int]
    """1, 2, … in the file's order."""

    __table_args__ = (UniqueConstraint("campaign_id", "key"),)


class CampaignAnswer(Base):
    """The answer of a model to a prompt that voters see; one, whoever asked and how often."""

    __tablename__ = "campaign_answers"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("campaign_prompts.conversation_id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), index=True)
    paid: Mapped[bool]
    """Asked for this campaign; not brought in from a file or taken from earlier answers."""


class CampaignItem(Base):
    """A prompt and two models: what one voter judges at a time. It is ready once both have answered."""

    __tablename__ = "campaign_items"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"), index=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("campaign_prompts.conversation_id"))
    first_model: Mapped[str]
    second_model: Mapped[str]

    __table_args__ = (
        UniqueConstraint("conversation_id", "first_model", "second_model"),
        CheckConstraint("first_model < second_model", name="ordered_models"),
    )


class CampaignAssignment(Base):
    """An item given to a voter: reserved until `expires_at`, judged once it has a battle."""

    __tablename__ = "campaign_assignments"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    item_id: Mapped[str] = mapped_column(ForeignKey("campaign_items.id"))
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"))
    repeat: Mapped[int] = mapped_column(default=0)
    """0 at the first showing, 1 at the second, with the seats swapped."""
    swapped: Mapped[bool]
    """The item's second model sits on side A."""
    expires_at: Mapped[datetime]
    battle_id: Mapped[str | None] = mapped_column(ForeignKey("battles.id"), unique=True)
    judged_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        UniqueConstraint("item_id", "voter_id", "repeat"),
        Index("ix_campaign_assignments_voter_item", "voter_id", "item_id"),
    )
