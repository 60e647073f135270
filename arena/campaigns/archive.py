"""Answers that models gave to the same prompts before: all that a model which cannot be asked any more has to say."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.campaigns.wanted import Wanted
from arena.database import Database
from arena.tables import Answer, CampaignAnswer, Conversation, ModelRevision, Prompt


def take_from_archive(database: Database, wanted: Sequence[Wanted]) -> Sequence[Wanted]:
    """Use each model's latest whole answer to the same words, asked without anything before; returns what is left."""
    with database.write() as session:
        left = []
        for one in wanted:
            answer_id = _earlier(session, one)
            if answer_id is None:
                left.append(one)
            else:
                keep_answer(session, one, answer_id, paid=False)
        return left


def keep_answer(session: Session, wanted: Wanted, answer_id: str, *, paid: bool) -> bool:
    """Make an answer the one that voters see; `False` if another one is already."""
    try:
        with session.begin_nested():
            session.add(
                CampaignAnswer(
                    conversation_id=wanted.conversation_id, model_id=wanted.model_id, answer_id=answer_id, paid=paid
                )
            )
    except IntegrityError:
        return False
    return True


def _earlier(session: Session, wanted: Wanted) -> str | None:
    rows = session.execute(
        select(Answer.id, Answer.text, Conversation.history)
        .join(Prompt, Prompt.conversation_id == Answer.conversation_id)
        .join(Conversation, Conversation.id == Answer.conversation_id)
        .join(ModelRevision, ModelRevision.id == Answer.revision_id)
        .where(
            Prompt.turn == 1,
            Answer.turn == 1,
            Prompt.text == wanted.prompt,
            ModelRevision.model_id == wanted.model_id,
            Answer.finish_reason.is_not(None),
            Answer.failure.is_(None),
        )
        .order_by(Answer.started_at.desc())
    )
    return next((answer for answer, text, history in rows if text.strip() and not history), None)
