"""Wrong passwords of the last quarter of an hour. Holds no address and nothing that was typed."""

from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base


class WrongPassword(Base):
    """One attempt at the operator's password that was not right, or is being looked at."""

    __tablename__ = "wrong_passwords"

    id: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(index=True)
    """A keyed hash of whence it came."""
    at: Mapped[float] = mapped_column(index=True)
    """Seconds since 1970."""
