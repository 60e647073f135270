"""What Vertex AI's chunks mean: text, thinking, the end, and answers that it withholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from arena.errors import FailureKind
from arena.providers.base import Delta, Finish, JsonSchema, Message
from arena.providers.failures import failure

if TYPE_CHECKING:
    import httpx
    from google.genai import types

_BLOCKED = frozenset(
    {"safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety", "image_prohibited_content"}
)


@dataclass(slots=True)
class VertexAnswer:
    """One answer while its chunks arrive."""

    finish_reason: str | None = None
    response_id: str | None = None
    usage: "types.GenerateContentResponseUsageMetadata | None" = None
    opened: "list[httpx.Response]" = field(default_factory=list)

    def read(self, chunk: "types.GenerateContentResponse") -> Delta | None:
        """The piece of the answer in a chunk; raises `ProviderError` where the platform withheld it."""
        self.response_id = chunk.response_id or self.response_id
        self.usage = chunk.usage_metadata or self.usage
        feedback = chunk.prompt_feedback
        if feedback and feedback.block_reason:
            raise failure(FailureKind.BLOCKED, f"prompt: {feedback.block_reason.value}", request_id=self.response_id)
        return self._read_candidate(chunk.candidates[0]) if chunk.candidates else None

    def finish(self) -> Finish:
        """The end of the answer; only where there was a finish reason."""
        usage = self.usage
        return Finish(
            reason="length" if self.finish_reason == "max_tokens" else self.finish_reason or "",
            input_tokens=usage.prompt_token_count if usage else None,
            output_tokens=usage.candidates_token_count if usage else None,
            request_id=self.response_id,
        )

    def _read_candidate(self, candidate: "types.Candidate") -> Delta | None:
        if candidate.finish_reason:
            self.finish_reason = self._checked(str(candidate.finish_reason.value).lower())
        parts = (candidate.content.parts if candidate.content else None) or []
        text = "".join(part.text or "" for part in parts if not part.thought)
        reasoning = "".join(part.text or "" for part in parts if part.thought)
        return Delta(text, reasoning) if text or reasoning else None

    def _checked(self, reason: str) -> str | None:
        """The finish reason, where it ends an answer that may be shown."""
        if reason in _BLOCKED:
            raise failure(FailureKind.BLOCKED, f"finish reason {reason}", request_id=self.response_id)
        if reason in ("stop", "max_tokens"):
            return reason
        if reason == "finish_reason_unspecified":
            return self.finish_reason
        raise failure(FailureKind.SERVER_ERROR, f"finish reason {reason}", request_id=self.response_id)


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
