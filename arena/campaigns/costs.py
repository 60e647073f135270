"""What a campaign's own requests have cost so far, read from what is stored of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, case, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from arena.roster import Price
from arena.spending import Cost, Exchange, tokens_in
from arena.tables import Answer, CampaignAnswer, CampaignPrompt, ModelRevision, Prompt


def spent(session: Session, campaign_id: str, prices: Mapping[str, Price | None]) -> Cost:
    """The cost of every request of the campaign, answered or not; `prices` by model id."""
    total = Cost()
    for model, read, written, failure, sampling, *texts in session.execute(_requests(campaign_id)):
        prompt, system, text, reasoning = texts
        exchange = Exchange(
            sent=tokens_in([prompt, system or ""]),
            received=tokens_in([text, reasoning]),
            counted=(read, written),
            failure=failure,
            longest=sampling.get("max_new_tokens") or 0,
        )
        total += exchange.cost(prices.get(model))
    return total


def _requests(campaign_id: str) -> Select[*tuple[Any, ...]]:
    brought_in = select(CampaignAnswer.answer_id).where(CampaignAnswer.answer_id == Answer.id, ~CampaignAnswer.paid)
    return (
        select(
            *(ModelRevision.model_id, Answer.input_tokens, Answer.output_tokens, Answer.failure, Answer.sampling),
            *(_unless(Answer.input_tokens, text) for text in (Prompt.text, ModelRevision.system_prompt)),
            *(_unless(Answer.output_tokens, text) for text in (Answer.text, Answer.reasoning)),
        )
        .join(ModelRevision, ModelRevision.id == Answer.revision_id)
        .join(CampaignPrompt, CampaignPrompt.conversation_id == Answer.conversation_id)
        .join(Prompt, Prompt.conversation_id == Answer.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign_id, ~brought_in.exists())
    )


def _unless(counted: InstrumentedAttribute[int | None], text: InstrumentedAttribute[Any]) -> ColumnElement[str]:
    """The text, where the platform did not count its tokens; texts are long, and most are counted."""
    return case((counted.is_(None), text), else_="")
