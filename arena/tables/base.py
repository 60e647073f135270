"""What every table shares: how Python types are stored, and how constraints are named."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import JSON, DateTime, Dialect, Enum, MetaData, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

from arena.errors import FailureKind
from arena.tables.words import (
    BattleState,
    CampaignPairs,
    ConversationKind,
    Mode,
    Side,
    VoterVerdict,
    VoteState,
    Winner,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones; this puts UTC back, and refuses a moment without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read in UTC."""
        return value if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def stored_words(kind: type[StrEnum]) -> Enum:
    """Store a word's value ('model_a', not 'MODEL_A') as text, refused by the database if it is not one of them."""
    values = [word.value for word in kind]
    return Enum(
        kind,
        values_callable=lambda _: values,
        native_enum=False,
        create_constraint=True,
        length=20,
        name=kind.__name__.lower(),
    )


def new_id() -> str:
    """A random id that tells nothing about what it names."""
    return uuid4().hex


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Parent of every table; says once how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    """Every constraint has a name, without which SQLite's tables could not be changed later."""

    type_annotation_map: ClassVar = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[dict[str, str]]: JSON,
        list[dict[str, Any]]: JSON,
        Winner: stored_words(Winner),
        Mode: stored_words(Mode),
        BattleState: stored_words(BattleState),
        VoteState: stored_words(VoteState),
        VoterVerdict: stored_words(VoterVerdict),
        Side: stored_words(Side),
        ConversationKind: stored_words(ConversationKind),
        FailureKind: stored_words(FailureKind),
        CampaignPairs: stored_words(CampaignPairs),
    }
