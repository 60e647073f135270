"""What a platform that tunes models promises to the rest of the arena, whichever it is. All of it blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from arena.errors import TuningError

PlatformName = Literal["openai", "vertex"]
Method = Literal["preference", "supervised"]
Outcome = Literal["succeeded", "failed", "cancelled"]
REQUEST_S = 30.0
"""Deadline of one request that carries no file; longer than any platform takes, shorter than a job's lease."""


class PlatformRefusal(TuningError):
    """The platform answered and did nothing. `lasting`: it would refuse the same again."""

    def __init__(self, sentence: str, *, lasting: bool) -> None:
        super().__init__(sentence)
        self.lasting = lasting


class PlatformSilence(TuningError):
    """No answer that can be relied on: whether the platform did what was asked is not known."""


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a platform is asked to train."""

    mark: str
    """At most 63 lower case letters and digits, under which the job is found again."""
    base_model: str
    method: Method
    hyperparameters: Mapping[str, Any]
    name: str
    training: str
    """The uploaded file."""
    validation: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way to a platform."""

    path: Path
    sha256: str
    split: str

    @property
    def name(self) -> str:
        """Its name at the platform: the same content has the same name, so that it is found again."""
        return f"coaia-arena-{self.sha256[:24]}-{self.split}.jsonl"


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """Something a platform tells of a job."""

    id: str
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model saved on the way."""

    step: int
    model: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """An example that the platform left out."""

    line: int
    """1, 2, … of the training file."""
    reason: str


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as its platform tells it now."""

    id: str
    status: str
    """The platform's own word, known to the arena or not."""
    outcome: Outcome | None
    """`None` while it goes on, and for a status that the arena does not know."""
    reason: str | None = None
    """Why it failed, in the platform's words."""
    model: str | None = None
    """What is asked for an answer."""
    base: str | None = None
    """What a further job names as its base model."""
    checkpoints: Sequence[Checkpoint] = ()
    trained_tokens: int | None = None
    dropped: Sequence[Dropped] = ()
    """A sample, where there are many."""
    dropped_lines: int | None = None
    events: Sequence[PlatformEvent] = ()


@dataclass(frozen=True, slots=True)
class Preflight:
    """What asking costs nothing and tells before a job is started."""

    problems: Sequence[str] = ()
    """Why the platform would not take the job, a sentence each."""
    shuts_down_on: date | None = None
    """When the base model, and with it what is tuned from it, is announced to be shut down."""


class TuningPlatform(Protocol):
    """A platform; one connection's worth of clients. Every method raises `PlatformRefusal` or `PlatformSilence`."""

    def preflight(self, base_model: str) -> Preflight:
        """Whether the base model exists for these credentials, and whether jobs are taken at all."""

    def upload(self, file: Upload) -> str:
        """Bring a file there, unless it is there already; returns what a job calls it."""

    def find(self, mark: str, known: frozenset[str]) -> str | None:
        """The id of a job that carries `mark` and is not among `known`, started by whom and when ever."""

    def create(self, order: JobOrder) -> str:
        """Start the job; returns its id. After `PlatformSilence` it may run all the same."""

    def look(self, job: str) -> JobFacts:
        """The job as it is now, with its events and checkpoints."""

    def cancel(self, job: str) -> None:
        """Ask for the job's end; that it has ended is told by `look`."""

    def close(self) -> None:
        """Close every connection."""
