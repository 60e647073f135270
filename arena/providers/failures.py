"""What a platform's refusal means to the arena, whichever platform says it, and what of it may reach the log."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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


def failure(
    kind: FailureKind, detail: str, *secrets: str, request_id: str | None = None, retry_after_s: float | None = None
) -> ProviderError:
    """The arena's error for `kind`: `ProviderUnavailable` where the same request may succeed when tried again."""
    told = redacted(detail, *secrets)
    if request_id:
        told = f"{told} (request {request_id})"
    return (ProviderUnavailable if kind in _TRANSIENT else ProviderError)(kind, told, retry_after_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a response's `Retry-After` asks for, as a number or a date; `None` where it says nothing."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = _seconds_until(said)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(moment: str) -> float:
    try:
        return (parsedate_to_datetime(moment).replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return math.nan


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
