"""What ratings are computed from, kept in the transaction of each vote."""

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class PairCount(Base):
    """How often each verdict fell between two revisions: all that a leaderboard needs, kept with each vote."""

    __tablename__ = "pair_counts"

    scope: Mapped[str] = mapped_column(primary_key=True)
    """`battle`, `imported`, or `campaign:<id>`."""
    criterion: Mapped[str] = mapped_column(primary_key=True, default="")
    """Empty for the overall verdict, else `<criterion>@<rubric's version>`."""
    revision_low: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), primary_key=True)
    revision_high: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), primary_key=True)
    wins_low: Mapped[int] = mapped_column(default=0)
    wins_high: Mapped[int] = mapped_column(default=0)
    ties: Mapped[int] = mapped_column(default=0)
    both_bad: Mapped[int] = mapped_column(default=0)
    sequence: Mapped[int] = mapped_column(index=True)
    """The commit number of the latest change, so that a reader fetches only what is newer than what it has."""

    __table_args__ = (CheckConstraint("revision_low < revision_high", name="ordered_pair"),)


class Counter(Base):
    """Numbers handed out in commit order: the row lock makes a later number a later commit."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
