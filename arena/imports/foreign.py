"""A vote from another arena, as every reader hands it over, and the reasons for which one is left out."""

from dataclasses import dataclass
from datetime import datetime

from arena.tables import Winner

NAMED = "the models were named"


@dataclass(frozen=True, slots=True)
class ForeignTurn:
    """One prompt with the two answers to it."""

    prompt: str
    answers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class ForeignVote:
    """One vote of another arena that is worth keeping."""

    key: str
    """The same for the same vote, in whichever file it comes."""
    models: tuple[str, str]
    winner: Winner
    unrated_reason: str | None = None
    """Why the vote is kept but not rated, such as models that the voter knew; `None` where it is rated."""
    turns: tuple[ForeignTurn, ...] = ()
    """Empty where the source publishes no text."""
    address: str = ""
    """The voter's address, where the source has it; only its keyed hash is ever stored."""
    at: datetime | None = None
    own_battle: str | None = None
    """The battle's id, where the file looks like an export of an arena such as this one."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line or row that is left out."""

    reason: str


class LeftOut(Exception):
    """Raised inside a reader at whatever makes a vote unusable; `str()` is the reason in the report."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one line or row became, and how much of its file has been read."""

    outcome: ForeignVote | Skipped
    bytes_read: int


def clean(text: str) -> str:
    """`text` as any database can store it: half of a surrogate pair becomes `?`, and NUL the replacement mark."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
