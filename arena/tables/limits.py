"""How much was asked for lately, by whom: what the limits count with. Holds no text and no address."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class StartCount(Base):
    """How many turns a subject has started, and what they cost today."""

    __tablename__ = "start_counts"

    subject: Mapped[str] = mapped_column(primary_key=True)
    """`all`, `voter:<id>` or `address:<keyed hash>`; forgotten after two days."""
    total: Mapped[int]
    """Turns since the row was made; numbers the slots."""
    day: Mapped[str] = mapped_column(index=True)
    """The day in UTC, `2026-11-23`, that the following are of."""
    starts: Mapped[int]
    spent: Mapped[int] = mapped_column(BigInteger)
    """Millionths of a US dollar: what ended turns cost, and estimates of those that run. Of `all` only."""


class StartSlot(Base):
    """When a subject last used one of the places that it has in a minute."""

    __tablename__ = "start_slots"

    subject: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)
    """From 0 to the limit, less one; used in turn."""
    at: Mapped[float] = mapped_column(index=True)
    """Seconds since 1970."""
