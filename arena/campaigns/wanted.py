"""Which answers a campaign needs, and which of them are there."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.errors import ConfigError
from arena.tables import (
    Answer,
    Campaign,
    CampaignAnswer,
    CampaignItem,
    CampaignModel,
    CampaignPairs,
    CampaignPrompt,
    ModelRevision,
    Prompt,
)

FIXED = (CampaignPairs.ALL, CampaignPairs.UNIFORM)
"""Pairs that are known when the campaign is made; of the others every model answers every prompt."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One answer that a campaign needs."""

    conversation_id: str
    key: str
    """The prompt's."""
    prompt: str
    model_id: str
    attempts: int = 0
    """How often the model was asked already, in vain."""


def find_campaign(session: Session, campaign_id: str, *, lock: bool = False) -> Campaign:
    """The campaign; `lock` keeps other writers of it away until the transaction ends.

    Raises:
        ConfigError: there is none of that id; names those that there are.

    """
    campaign = session.get(Campaign, campaign_id, with_for_update=lock or None)
    if campaign is None:
        known = ", ".join(session.scalars(select(Campaign.id).order_by(Campaign.created_at.desc()).limit(20)))
        raise ConfigError(f"There is no campaign {campaign_id!r}" + (f"; there are {known}." if known else " yet."))
    return campaign


def model_ids(session: Session, campaign_id: str) -> Sequence[str]:
    """The campaign's models."""
    named = select(CampaignModel.model_id).where(CampaignModel.campaign_id == campaign_id)
    return session.scalars(named.order_by(CampaignModel.model_id)).all()


def needed_answers(session: Session, campaign: Campaign) -> Sequence[Wanted]:
    """Every answer that voters are to see, whether it is there or not; prompt by prompt in the file's order."""
    prompts = session.execute(
        select(CampaignPrompt.conversation_id, CampaignPrompt.key, Prompt.text)
        .join(Prompt, Prompt.conversation_id == CampaignPrompt.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign.id)
        .order_by(CampaignPrompt.place)
    ).all()
    models = model_ids(session, campaign.id)
    seated = _seated(session, campaign.id) if campaign.pairs in FIXED else None
    return [
        Wanted(conversation, key, text, model)
        for conversation, key, text in prompts
        for model in models
        if seated is None or (conversation, model) in seated
    ]


def _seated(session: Session, campaign_id: str) -> set[tuple[str, str]]:
    rows = session.execute(
        select(CampaignItem.conversation_id, CampaignItem.first_model, CampaignItem.second_model).where(
            CampaignItem.campaign_id == campaign_id
        )
    )
    return {(conversation, model) for conversation, *models in rows for model in models}


def stored_answers(session: Session, campaign_id: str) -> set[tuple[str, str]]:
    """(conversation, model) of every answer that is there."""
    rows = session.execute(
        select(CampaignAnswer.conversation_id, CampaignAnswer.model_id)
        .join(CampaignPrompt, CampaignPrompt.conversation_id == CampaignAnswer.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign_id)
    )
    return {(conversation, model) for conversation, model in rows}


def missing_answers(session: Session, campaign: Campaign) -> Sequence[Wanted]:
    """The answers that are still to be had."""
    stored = stored_answers(session, campaign.id)
    asked = {
        (conversation, model): attempts
        for conversation, model, attempts in session.execute(
            select(Answer.conversation_id, ModelRevision.model_id, func.count())
            .join(ModelRevision, ModelRevision.id == Answer.revision_id)
            .join(CampaignPrompt, CampaignPrompt.conversation_id == Answer.conversation_id)
            .where(CampaignPrompt.campaign_id == campaign.id)
            .group_by(Answer.conversation_id, ModelRevision.model_id)
        )
    }
    return [
        Wanted(w.conversation_id, w.key, w.prompt, w.model_id, asked.get((w.conversation_id, w.model_id), 0))
        for w in needed_answers(session, campaign)
        if (w.conversation_id, w.model_id) not in stored
    ]
