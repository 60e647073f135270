"""What judge models said of two answers; never a vote, and never in the counts."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arena.errors import FailureKind
from arena.tables.base import Base, new_id, now
from arena.tables.words import Winner


class JudgeVerdict(Base):
    """One question to a judge about two answers in one order, and what came of it; asked at most once with success."""

    __tablename__ = "judge_verdicts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    judge: Mapped[str]
    """Who judged, in which words it was asked: see `arena.judge.records.judge_key`."""
    model_id: Mapped[str] = mapped_column(index=True)
    """Its id in the roster at that time."""
    rubric_version: Mapped[str]
    question_version: Mapped[str]
    pair: Mapped[str] = mapped_column(index=True)
    """The two answers, whichever is seated where: see `arena.judge.items.pair_key`."""
    swapped: Mapped[bool]
    """Whether the pair's second answer was shown as A."""
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    """In which the answers stand; a campaign's may be judged before any battle shows them."""
    winner: Mapped[Winner | None]
    """By the letters the judge was shown, never `both_bad`; `None` where it failed."""
    criteria: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Criterion id -> `model_a`, `model_b` or `tie`, by the same letters."""
    reason: Mapped[str] = mapped_column(default="")
    """In the judge's words; of a failure, in the arena's."""
    failure: Mapped[FailureKind | None]
    attempts: Mapped[int]
    """Requests made for it, all runs together."""
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    """Of all attempts; counted from the text where the platform did not tell."""
    estimated: Mapped[bool]
    """Whether any of the tokens were."""
    cost_usd: Mapped[float | None]
    """By the roster's price at that time; `None` where it had none."""
    judged_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        UniqueConstraint(
            "judge", "rubric_version", "question_version", "pair", "swapped", name="uq_judge_verdicts_once"
        ),
    )
