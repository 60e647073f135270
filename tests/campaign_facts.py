"""Campaigns for tests: made as the command makes them, and filled without asking anybody."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from arena.campaigns.archive import keep_answer
from arena.campaigns.plan import NewCampaign, create_campaign
from arena.campaigns.prompts import CampaignText
from arena.campaigns.wanted import find_campaign, missing_answers
from arena.database import Database
from arena.roster import ModelEntry, Roster
from arena.tables import Answer, CampaignPairs, ModelRevision, new_id, now
from tests.arena_facts import add_models


def add_campaign(
    database: Database,
    *,
    prompts: int = 3,
    models: Sequence[str] = ("hare", "tortoise"),
    answered: bool = True,
    **asked: Any,
) -> str:
    """A campaign `spring` whose answers are all there; returns its id."""
    roster = Roster({m: ModelEntry(id=m, api_type="openai", model_name=m, display_name=m.title()) for m in models})
    new = NewCampaign(
        **{
            "id": "spring",
            "name": "Spring review",
            "models": tuple(models),
            "prompts": [CampaignText(f"p{number}", f"Prompt number {number}?") for number in range(1, prompts + 1)],
            "question": "Which answer sees further?",
            "question_version": "7",
            "pairs": CampaignPairs.ALL,
            **asked,
        }
    )
    create_campaign(database, roster, new, random.Random(1))
    if answered:
        answer_all(database, new.id)
    return new.id


def answer_all(database: Database, campaign_id: str) -> None:
    """Give every missing answer, as `<model> on <prompt>`."""
    with database.read() as session:
        missing = missing_answers(session, find_campaign(session, campaign_id))
    revisions = dict(zip(names := sorted({one.model_id for one in missing}), add_models(database, *names), strict=True))
    with database.write() as session:
        for one in missing:
            answer = Answer(
                id=new_id(),
                conversation_id=one.conversation_id,
                revision_id=revisions[one.model_id],
                turn=1,
                attempt=1,
                text=f"{one.model_id} on {one.key}",
                finish_reason="stop",
                sampling={},
            )
            session.add(answer)
            session.flush()
            keep_answer(session, one, answer.id, paid=True)
        find_campaign(session, campaign_id).filled_at = now()


def revisions_of(database: Database, models: Sequence[str]) -> Sequence[int]:
    """The models' revisions."""
    with database.read() as session:
        known = dict(session.execute(select(ModelRevision.model_id, ModelRevision.id)).all())
    return [known[model] for model in models]
