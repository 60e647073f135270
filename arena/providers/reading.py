"""An answer while it is read from a platform's stream: what came of it, piece by piece, whoever sends it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from arena.errors import ProviderError
from arena.providers.base import Delta, Finish

LONGEST_EVENT = 4_000_000
"""Bytes; whoever sends more without ending an event is not streaming an answer."""


class EventReader(Protocol):
    """Splits bytes, as they arrive, into the data of events."""

    def feed(self, received: bytes) -> Iterable[bytes]:
        """The data of the events that `received` completes."""
        ...

    def close(self) -> Iterable[bytes]:
        """The data of a last event that nothing ended."""
        ...


@dataclass(slots=True)
class AnswerSoFar(ABC):
    """What was read of an answer; each platform says what an event of its means."""

    request_id: str | None = None
    finish_reason: str | None = None
    begun: bool = False
    """Text came."""
    tokens: tuple[int | None, int | None] = None, None
    """Of the input and of the output, as the platform counts them."""

    def gather(self, events: Iterable[bytes]) -> Iterator[Delta]:
        """What these events add to the answer, in one piece if anything; what comes before an error is still given.

        Raises what `read` does.
        """
        text, reasoning, failed = "", "", None
        try:
            for data in events:
                more_text, more_reasoning = self.read(data)
                text += more_text
                reasoning += more_reasoning
        except ProviderError as error:
            failed = error
        if text or reasoning:
            self.begun = self.begun or bool(text)
            yield Delta(text, reasoning)
        if failed is not None:
            raise failed

    @abstractmethod
    def read(self, data: bytes) -> tuple[str, str]:
        """The text and the reasoning in one event's data, either of which may be empty.

        Raises `ProviderError` for an error sent as an event, for an answer that the platform withholds, and for what is
        no event of its.
        """

    def finish(self) -> Finish:
        """The end of the answer; only where there was a finish reason."""
        return Finish(self.finish_reason or "", *self.tokens, self.request_id)
