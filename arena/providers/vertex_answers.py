"""What Vertex AI's events mean: text, thinking, the end, and answers that it withholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from arena.errors import FailureKind, ProviderError
from arena.providers.base import JsonSchema, Message
from arena.providers.failures import failure, kind_of_status
from arena.providers.reading import AnswerSoFar

if TYPE_CHECKING:
    from google.genai import types

_BLOCKED = frozenset(
    {"safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety", "image_prohibited_content"}
)
_ENDS = {"stop": "stop", "max_tokens": "length"}
"""The reasons that end an answer which may be shown, as `Finish` calls them."""
_NOTHING = "", ""


@dataclass(slots=True)
class VertexAnswer(AnswerSoFar):
    """One answer while its events arrive."""

    def read(self, data: bytes) -> tuple[str, str]:
        """See `AnswerSoFar.read`."""
        try:
            return self._read_chunk(orjson.loads(data))
        except (ValueError, AttributeError, TypeError, LookupError) as error:
            # Only its name goes to the log: what came may be a part of the answer.
            raise failure(FailureKind.MALFORMED, f"a chunk of another shape: {type(error).__name__}") from error

    def _read_chunk(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        if error := chunk.get("error"):
            raise _failure_of_event(error)
        if request_id := chunk.get("responseId"):
            self.request_id = str(request_id)
        if usage := chunk.get("usageMetadata"):
            self.tokens = _count(usage.get("promptTokenCount")), _count(usage.get("candidatesTokenCount"))
        if blocked := (chunk.get("promptFeedback") or {}).get("blockReason"):
            raise failure(FailureKind.BLOCKED, f"prompt: {blocked}", request_id=self.request_id)
        candidates = chunk.get("candidates")
        return self._read_candidate(candidates[0]) if candidates else _NOTHING

    def _read_candidate(self, candidate: Mapping[str, Any]) -> tuple[str, str]:
        if reason := candidate.get("finishReason"):
            self.finish_reason = self._checked(reason.lower())
        text, reasoning = "", ""
        for part in (candidate.get("content") or {}).get("parts") or []:
            said = part.get("text") or ""
            if part.get("thought"):
                reasoning += said
            else:
                text += said
        return text, reasoning

    def _checked(self, reason: str) -> str | None:
        """The finish reason, where it ends an answer that may be shown."""
        if reason in _BLOCKED:
            raise failure(FailureKind.BLOCKED, f"finish reason {reason}", request_id=self.request_id)
        if reason in _ENDS:
            return _ENDS[reason]
        if reason == "finish_reason_unspecified":
            return self.finish_reason
        raise failure(FailureKind.SERVER_ERROR, f"finish reason {reason}", request_id=self.request_id)


def _count(tokens: object) -> int | None:
    return tokens if isinstance(tokens, int) else None


def _failure_of_event(error: Mapping[str, Any]) -> ProviderError:
    """An error that came as an event, after status 200."""
    code = error.get("code")
    kind = kind_of_status(code if isinstance(code, int) else 500)
    return failure(kind, f"in mid-stream: {code} {error.get('status')} {error.get('message')}")


def contents_of(messages: Sequence[Message]) -> "list[types.Content]":
    """The conversation as Vertex AI takes it."""
    from google.genai import types

    roles = {"user": "user", "assistant": "model"}
    return [types.Content(role=roles[said.role], parts=[types.Part(text=said.content)]) for said in messages]


def schema_of(schema: JsonSchema) -> "types.Schema":
    """A JSON schema as Vertex AI takes it: objects are closed anyway, and properties come in their order."""
    from google.genai import types

    return types.Schema.model_validate(_ordered(schema))


def _ordered(schema: JsonSchema) -> dict[str, Any]:
    told = {key: value for key, value in schema.items() if key != "additionalProperties"}
    properties: Mapping[str, JsonSchema] = schema.get("properties", {})
    if properties:
        told["properties"] = {name: _ordered(part) for name, part in properties.items()}
        told["property_ordering"] = list(properties)
    return told
