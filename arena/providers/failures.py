"""What a platform's refusal means to the arena, whichever platform says it, and what of it may reach the log."""

import re

from arena.errors import FailureKind, ProviderError, ProviderUnavailable

_KINDS = {
    401: FailureKind.UNAUTHORISED,
    403: FailureKind.UNAUTHORISED,
    404: FailureKind.NOT_FOUND,
    410: FailureKind.NOT_FOUND,
    408: FailureKind.CONNECTION,
    429: FailureKind.RATE_LIMITED,
}
_TRANSIENT = frozenset(
    {FailureKind.RATE_LIMITED, FailureKind.CONNECTION, FailureKind.SERVER_ERROR, FailureKind.MALFORMED}
)
_KEY_LIKE = re.compile(r"Bearer\s+[^\s'\"]+|\b(?:sk|pk|hf|gsk|xai|ya29|AIza)[-_.][\w*.-]{6,}|AIza[\w-]{20,}")
_DETAIL_CHARACTERS = 400


def failure(kind: FailureKind, detail: str, *secrets: str, request_id: str | None = None) -> ProviderError:
    """The arena's error for `kind`: `ProviderUnavailable` where the same request may succeed when tried again."""
    told = redacted(detail, *secrets)
    if request_id:
        told = f"{told} (request {request_id})"
    return (ProviderUnavailable if kind in _TRANSIENT else ProviderError)(kind, told)


def kind_of_status(status: int) -> FailureKind:
    """What an HTTP status of a platform means."""
    if status >= 500:
        return FailureKind.SERVER_ERROR
    return _KINDS.get(status, FailureKind.BAD_REQUEST)


def redacted(text: str, *secrets: str) -> str:
    """`text` on one short line without the given secrets and without whatever else looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _KEY_LIKE.sub("***", " ".join(text.split()))[:_DETAIL_CHARACTERS]
