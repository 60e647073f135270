"""How a scripted platform's tuning jobs go, and what goes wrong on the way; shared by both platforms."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mishap(StrEnum):
    """What may happen to one request; a plain `int` is an HTTP status instead."""

    DONE_THEN_CUT = "done_then_cut"
    """What was asked for is done, and the connection reset before the answer."""
    CUT = "cut"
    """The connection is reset, and nothing was done."""


@dataclass(frozen=True)
class Trouble:
    """One request that does not go well."""

    what: Mishap | int
    message: str = "Scripted trouble."
    code: str | None = None
    """OpenAI's error code."""


@dataclass(frozen=True)
class JobScript:
    """How a job goes: at each look it is one status further, and stays in the last."""

    statuses: Sequence[str]
    failure: str | None = None
    """The platform's words for a job that ends in failure."""
    steps: Sequence[int] = (40, 80)
    """Checkpoints on the way."""
    dropped: Mapping[int, str] = field(default_factory=dict)
    """Line -> why it was left out."""
    tokens: int = 1234


@dataclass
class ScriptedJob:
    """A job at a scripted platform."""

    id: str
    request: dict[str, Any]
    script: JobScript
    looks: int = 0
    cancelled: bool = False

    @property
    def status(self) -> str:
        """Its status now."""
        return self.script.statuses[min(self.looks, len(self.script.statuses) - 1)]


class Troubles:
    """Troubles that wait for requests: the next one of its kind meets the first."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Trouble]] = defaultdict(deque)

    def add(self, operation: str, *troubles: Trouble) -> None:
        """Let the next requests of this kind meet these, one each."""
        self._waiting[operation].extend(troubles)

    def take(self, operation: str) -> Trouble | None:
        """What the present request meets."""
        return self._waiting[operation].popleft() if self._waiting[operation] else None
