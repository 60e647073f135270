"""How far campaigns are, for the operator."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from arena.campaigns.costs import spent
from arena.campaigns.items import undrawn_prompts
from arena.campaigns.wanted import FIXED, find_campaign, model_ids, needed_answers, stored_answers
from arena.database import Database
from arena.roster import Price
from arena.spending import Cost
from arena.tables import (
    Answer,
    Campaign,
    CampaignAssignment,
    CampaignItem,
    CampaignPrompt,
    ModelRevision,
    Vote,
    VoteState,
)

Prices = Mapping[str, Price | None]
"""By model id."""


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """The answers of one model."""

    model_id: str
    needed: int
    stored: int
    failures: Mapping[str, int]
    """Attempts in vain, by kind."""


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """One campaign, as far as it is."""

    id: str
    name: str
    scope: str
    created_at: datetime
    ended_at: datetime | None
    prompts: int
    models: tuple[ModelProgress, ...]
    pairs: str
    items: int
    """All that will be judged, also those whose pairs are not drawn yet."""
    ready: int
    """Items whose answers are both there; also those that are drawn when their prompt is first judged."""
    judged: int
    """Votes that fill a voter's place; withdrawn ones and repeats left out."""
    asked: int
    """Places: items times voters for each."""
    complete: int
    """Items judged by as many as asked."""
    voters_per_item: int
    repeats: int
    repeat_share: float
    voters: int
    cost: Cost
    budget_usd: float | None
    budget_tokens: int | None

    @property
    def answers(self) -> tuple[int, int]:
        """Answers that are there, and those that are needed."""
        return sum(model.stored for model in self.models), sum(model.needed for model in self.models)

    @property
    def state(self) -> str:
        """In a word or two."""
        stored, needed = self.answers
        if self.ended_at is not None:
            return "ended"
        if self.items and self.complete == self.items:
            return "all judged"
        if stored < needed:
            return "being filled" if stored else "to be filled"
        return "being judged"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        stored, needed = self.answers
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "scope": self.scope,
            "created_at": self.created_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "prompts": self.prompts,
            "pairs": self.pairs,
            "answers": {"stored": stored, "needed": needed},
            "items": {"all": self.items, "ready": self.ready, "complete": self.complete},
            "votes": {"given": self.judged, "asked": self.asked, "repeats": self.repeats, "voters": self.voters},
            "cost": {"tokens": self.cost.tokens, "usd": round(self.cost.usd, 6)},
            "budget": {"tokens": self.budget_tokens, "usd": self.budget_usd},
            "models": [
                {"model": m.model_id, "needed": m.needed, "stored": m.stored, "failures": dict(m.failures)}
                for m in self.models
            ],
        }


def list_campaigns(database: Database, prices: Prices) -> Sequence[CampaignProgress]:
    """Every campaign, the newest first."""
    with database.read() as session:
        campaigns = session.scalars(select(Campaign).order_by(Campaign.created_at.desc())).all()
        return [_progress(session, campaign, prices) for campaign in campaigns]


def campaign_progress(database: Database, campaign_id: str, prices: Prices) -> CampaignProgress:
    """One campaign.

    Raises:
        ConfigError: there is none of that id.

    """
    with database.read() as session:
        return _progress(session, find_campaign(session, campaign_id), prices)


def _progress(session: Session, campaign: Campaign, prices: Prices) -> CampaignProgress:
    of_campaign = CampaignPrompt.campaign_id == campaign.id
    prompts = session.scalar(select(func.count()).where(of_campaign)) or 0
    stored = stored_answers(session, campaign.id)
    drawn = session.execute(
        select(CampaignItem.conversation_id, CampaignItem.first_model, CampaignItem.second_model).where(
            CampaignItem.campaign_id == campaign.id
        )
    ).all()
    undrawn = 0 if campaign.pairs in FIXED else prompts - len({conversation for conversation, *_ in drawn})
    items = len(drawn) + undrawn * campaign.pairs_per_prompt
    judged, complete = _judged(session, campaign)
    repeats, voters = _people(session, campaign.id)
    return CampaignProgress(
        id=campaign.id,
        name=campaign.name,
        scope=campaign.scope,
        created_at=campaign.created_at,
        ended_at=campaign.ended_at,
        prompts=prompts,
        models=_models(session, campaign, stored),
        pairs=campaign.pairs.value,
        items=items,
        ready=sum((c, first) in stored and (c, second) in stored for c, first, second in drawn)
        + len(undrawn_prompts(session, campaign)) * campaign.pairs_per_prompt,
        judged=judged,
        asked=items * campaign.voters_per_item,
        complete=complete,
        voters_per_item=campaign.voters_per_item,
        repeats=repeats,
        repeat_share=campaign.repeat_share,
        voters=voters,
        cost=spent(session, campaign.id, prices),
        budget_usd=campaign.budget_usd,
        budget_tokens=campaign.budget_tokens,
    )


def _models(session: Session, campaign: Campaign, stored: set[tuple[str, str]]) -> tuple[ModelProgress, ...]:
    needed = Counter(one.model_id for one in needed_answers(session, campaign))
    there = Counter(model for _, model in stored)
    failures: dict[str, dict[str, int]] = {}
    rows = session.execute(
        select(ModelRevision.model_id, Answer.failure, func.count())
        .join(ModelRevision, ModelRevision.id == Answer.revision_id)
        .join(CampaignPrompt, CampaignPrompt.conversation_id == Answer.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign.id, Answer.failure.is_not(None))
        .group_by(ModelRevision.model_id, Answer.failure)
    )
    for model, kind, count in rows:
        failures.setdefault(model, {})[str(kind)] = count
    return tuple(
        ModelProgress(model, needed[model], there[model], failures.get(model, {}))
        for model in model_ids(session, campaign.id)
    )


def _judged(session: Session, campaign: Campaign) -> tuple[int, int]:
    """Votes that fill a place, and items that have all of theirs; what is only reserved is left out."""
    votes = (
        select(CampaignAssignment.item_id, func.count().label("votes"))
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .join(Vote, Vote.battle_id == CampaignAssignment.battle_id)
        .where(
            CampaignItem.campaign_id == campaign.id,
            CampaignAssignment.repeat == 0,
            Vote.state != VoteState.WITHDRAWN,
        )
        .group_by(CampaignAssignment.item_id)
        .subquery()
    )
    judged = session.scalar(select(func.sum(votes.c.votes))) or 0
    complete = session.scalar(select(func.count()).where(votes.c.votes >= campaign.voters_per_item)) or 0
    return judged, complete


def _people(session: Session, campaign_id: str) -> tuple[int, int]:
    """Repeats that were judged, and voters who judged anything."""
    row = session.execute(
        select(func.sum(CampaignAssignment.repeat), func.count(distinct(CampaignAssignment.voter_id)))
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(CampaignItem.campaign_id == campaign_id, CampaignAssignment.battle_id.is_not(None))
    ).one()
    return row[0] or 0, row[1]
