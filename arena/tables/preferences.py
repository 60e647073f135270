"""What the operator decides about training data."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base, now


class WithheldBattle(Base):
    """A battle that the operator keeps out of training files; its vote counts as before."""

    __tablename__ = "withheld_battles"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    reason: Mapped[str]
    withheld_at: Mapped[datetime] = mapped_column(default=now)
