"""OpenAI's stream of chat completion chunks, read from its raw bytes: half the cost of the SDK's own parsing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from arena.errors import FailureKind, ProviderError
from arena.providers.failures import failure, kind_of_status
from arena.providers.reading import LONGEST_EVENT, AnswerSoFar

_NOTHING = "", ""


@dataclass
class ServerSentEvents:
    """Splits bytes, as they arrive, into the data of server-sent events."""

    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    seen: int = 0
    """How many events came."""

    def feed(self, received: bytes) -> list[bytes]:
        """The data of the events that `received` completes."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > LONGEST_EVENT:
            raise failure(FailureKind.MALFORMED, "an event without end")
        return self._collect(lines)

    def close(self) -> list[bytes]:
        """The data of a last event that no blank line ended."""
        return self._collect([self._rest, b""])

    def _collect(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            bare = line.rstrip(b"\r")
            if bare.startswith(b"data:"):
                self._data.append(bare[5:].removeprefix(b" "))
            elif not bare and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        self.seen += len(events)
        return events


@dataclass(slots=True)
class Completion(AnswerSoFar):
    """One answer while its chunks arrive."""

    def read(self, data: bytes) -> tuple[str, str]:
        """See `AnswerSoFar.read`."""
        if data == b"[DONE]":
            return _NOTHING
        chunk = _parse(data)
        try:
            return self._read_chunk(chunk)
        except (AttributeError, TypeError, KeyError) as error:
            raise failure(FailureKind.MALFORMED, f"a chunk of another shape: {error}") from error

    def _read_chunk(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        if error := chunk.get("error"):
            raise _failure_of_event(error, self.request_id)
        self.request_id = self.request_id or chunk.get("id")
        if usage := chunk.get("usage"):
            self.tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
        choices = chunk.get("choices") or []
        return self._read_choice(choices[0]) if choices else _NOTHING

    def _read_choice(self, choice: Mapping[str, Any]) -> tuple[str, str]:
        if reason := choice.get("finish_reason"):
            self.finish_reason = str(reason).lower()
        if self.finish_reason == "content_filter":
            raise failure(FailureKind.BLOCKED, "finish reason content_filter", request_id=self.request_id)
        if self.finish_reason == "error":
            raise failure(FailureKind.SERVER_ERROR, "finish reason error", request_id=self.request_id)
        delta = choice.get("delta") or {}
        text = delta.get("content") or delta.get("refusal") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        if not isinstance(text, str) or not isinstance(reasoning, str):
            raise failure(FailureKind.MALFORMED, "a delta that is not text", request_id=self.request_id)
        return text, reasoning


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise failure(FailureKind.MALFORMED, f"an event that is not JSON: {error}") from error
    if not isinstance(chunk, dict):
        raise failure(FailureKind.MALFORMED, f"an event that is a {type(chunk).__name__}")
    return chunk


def _failure_of_event(error: object, request_id: str | None) -> ProviderError:
    """An error that came as an event, after status 200."""
    said = error if isinstance(error, Mapping) else {"message": str(error)}
    code = said.get("code")
    status = code if isinstance(code, int) else 429 if code == "rate_limit_exceeded" else 500
    return failure(kind_of_status(status), f"in mid-stream: {code} {said.get('message')}", request_id=request_id)
