"""Operators' sessions that were signed out before their time."""

from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class ClosedSession(Base):
    """A session whose cookie opens nothing any more; forgotten once it would have ended by itself."""

    __tablename__ = "closed_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[float]
    """When it would have ended by itself, in seconds since 1970."""
