"""How ratings moved: what the standings said at some hours."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class StandingHistory(Base):
    """One revision's rating as it stood at the end of an hour; made from the votes, and can be made again."""

    __tablename__ = "standing_history"

    revision_id: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    """The beginning of the hour. Hours of the last two days; of earlier days the last hour with votes."""
    rating: Mapped[float]
    """Elo points, as the ends of the 95% interval."""
    low: Mapped[float]
    high: Mapped[float]
    votes: Mapped[int]
    sequence: Mapped[int]
    """The newest commit number at that moment."""
