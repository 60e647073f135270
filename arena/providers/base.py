"""What every provider promises, and the pump that turns its stream into an answer in progress."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol

from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.roster import ModelEntry

log = logging.getLogger(__name__)

LEAST_GATHERING_S = 0.1
"""The time between two frames where few battles run."""


@dataclass(frozen=True, slots=True)
class Message:
    """One earlier message of a conversation, or the visitor's latest."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is sampled."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 2000


JsonSchema = Mapping[str, Any]
"""What an answer must look like: an object with properties, in the part of JSON Schema that every platform takes."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer; `reasoning` is thinking that the platform sends apart and that is never shown."""

    text: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer, always the last event of a stream that did not fail."""

    reason: str
    """The platform's word, lower case: `stop`, …; an answer cut at its token limit is `length` on every platform."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    request_id: str | None = None


Event = Delta | Finish


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a model can be asked at all, told without spending a token."""

    ready: bool
    reason: str = ""
    """For the operator, when not ready: what is missing and what to do about it."""
    deployment: str | None = None
    """What the model's name resolved to, where it had to be resolved (a Vertex endpoint)."""
    retired: bool = False
    """The platform says that there is no such model (any more): not ready, and unlikely to become so."""
    shuts_down_on: date | None = None
    """When the platform has announced to shut the model down."""


class Provider(Protocol):
    """A source of answers: OpenAI's protocol, Vertex AI, or the offline demonstration."""

    async def prepare(self, model: ModelEntry) -> Readiness:
        """Load credentials and resolve `model`'s name; never raises for what the platform says, and spends no token."""
        ...

    def stream(
        self, model: ModelEntry, messages: Sequence[Message], sampling: Sampling, schema: JsonSchema | None = None
    ) -> AsyncIterator[Event]:
        """Ask `model` and yield its answer in order, ended by one `Finish`.

        `messages` alternate and end with the user's; the model's system prompt comes from its entry. Cancelling the
        task that iterates closes the connection at once, so an abandoned battle stops costing money.

        `schema` asks for an answer that is JSON of this shape. It is a wish: a server that refuses it is asked without,
        so the messages must say the same in words, and the answer must be checked.

        Raises `ProviderUnavailable` when trying again may help, `ProviderError` when it will not. A stream that ends
        without `Finish` was cut.
        """
        ...

    def deployment(self, model: ModelEntry) -> str | None:
        """What `model`'s name resolves to now, where it had to be resolved; it may change when a model moves."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long one attempt may take, in seconds, and how long its text may grow."""

    first_token_s: float = 10.0
    silence_s: float = 20.0
    answer_s: float = 120.0
    max_characters: int = 100_000


@dataclass(slots=True)
class Gathering:
    """How long an answer that has begun gathers before it is read on: about the time between two frames.

    Waking up for each token took most of what an answer costs. An arena says when, so that answers are read together.
    """

    seconds: Callable[[], float] = lambda: LEAST_GATHERING_S


@dataclass(slots=True)
class AnswerProgress:
    """One attempt while it runs, and what came of it. Written by its pump only; read by the battle at each frame."""

    text: str = ""
    reasoning: str = ""
    finish: Finish | None = None
    error: ProviderError | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each change; whoever waits for changes clears it."""

    @property
    def begun(self) -> bool:
        """There is text to show."""
        return bool(self.text)

    @property
    def complete(self) -> bool:
        """Finished with an answer in it: what a vote may be given on."""
        return self.finish is not None and self.error is None and bool(self.text.strip())


async def pump(events: AsyncIterator[Event], deadlines: Deadlines, progress: AnswerProgress) -> None:
    """Read a provider's stream to its end into `progress`, within the deadlines; run it as a task of its own.

    It waits for nothing but the network, so cancelling its task closes the connection within a millisecond. Failures
    end up in `progress.error`: a missing finish reason is `CUT`, no text is `EMPTY`, a missed deadline says which one.
    """
    started = asyncio.get_running_loop().time()
    try:
        await _read(events, deadlines, progress, started)
    except ProviderError as error:
        progress.error = error
    except Exception as error:
        # A bug in a provider fails this answer and reaches the log; the battle goes on to another model.
        log.exception("unexpected failure of a provider")
        progress.error = ProviderError(FailureKind.SERVER_ERROR, f"unexpected {type(error).__name__}")
    finally:
        progress.total_ms = _ms_since(started)
        progress.changed.set()
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def _read(events: AsyncIterator[Event], deadlines: Deadlines, progress: AnswerProgress, started: float) -> None:
    """Add one event after the other to `progress`; raises `ProviderError` for whatever is no good answer."""
    watch = _Watch(deadlines, progress, started)
    try:
        async with watch.limit:
            async for event in events:
                if isinstance(event, Finish):
                    if not progress.text.strip():
                        raise ProviderUnavailable(FailureKind.EMPTY, f"finish reason {event.reason}, no text")
                    progress.finish = event
                    return
                _add(event, deadlines, progress, started)
                watch.heard()
                progress.changed.set()
    except TimeoutError:
        if not watch.limit.expired():
            raise
        raise ProviderUnavailable(watch.missed, "the arena's deadline") from None
    finally:
        watch.end()
    raise ProviderUnavailable(FailureKind.CUT, "the stream ended without a finish reason")


class _Watch:
    """The deadlines of one stream, by one timer that is moved only when it rings: an event merely notes the time."""

    def __init__(self, deadlines: Deadlines, progress: AnswerProgress, started: float) -> None:
        self._deadlines = deadlines
        self._progress = progress
        self._started = self._heard_at = started
        self._loop = asyncio.get_running_loop()
        self.missed = FailureKind.NO_FIRST_TOKEN
        """Which deadline it was, once `limit` has expired."""
        self.limit = asyncio.timeout(None)
        """To be entered around the reading."""
        self._begun = False
        self._timer = self._loop.call_at(self._due()[1], self._ring)

    def heard(self) -> None:
        """Note that something came."""
        self._heard_at = self._loop.time()
        if not self._begun and self._progress.first_token_ms is not None:
            # From here on another deadline counts, which may be nearer.
            self._begun = True
            self._timer.cancel()
            self._ring()

    def end(self) -> None:
        """Watch no more."""
        self._timer.cancel()

    def _due(self) -> tuple[FailureKind, float]:
        """The next deadline on the loop's clock, and what missing it is called."""
        deadlines = self._deadlines
        if self._progress.first_token_ms is None:
            kind, due = FailureKind.NO_FIRST_TOKEN, self._started + deadlines.first_token_s
        else:
            kind, due = FailureKind.SILENCE, self._heard_at + deadlines.silence_s
        end = self._started + deadlines.answer_s
        return (kind, due) if due <= end else (FailureKind.TOO_SLOW, end)

    def _ring(self) -> None:
        self.missed, due = self._due()
        if due <= self._loop.time():
            self.limit.reschedule(due)
        else:
            self._timer = self._loop.call_at(due, self._ring)


def _add(delta: Delta, deadlines: Deadlines, progress: AnswerProgress, started: float) -> None:
    if progress.first_token_ms is None and (delta.text or delta.reasoning):
        progress.first_token_ms = _ms_since(started)
    progress.text += delta.text
    progress.reasoning += delta.reasoning
    if len(progress.text) + len(progress.reasoning) > deadlines.max_characters:
        raise ProviderError(FailureKind.TOO_LONG, f"more than {deadlines.max_characters} characters")


def _ms_since(started: float) -> float:
    return (asyncio.get_running_loop().time() - started) * 1000
