"""When the arena served, minute by minute."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class Minute(Base):
    """One minute in which the arena served, by any of its processes; a minute without a row was not served."""

    __tablename__ = "minutes"

    at: Mapped[datetime] = mapped_column(primary_key=True)
    """Its beginning."""
    ready: Mapped[int]
    """How many of the models that fight could be asked."""
    models: Mapped[int]
    """How many models fight."""
