"""Every failure the arena raises on purpose.

`str(error)` is a sentence for whoever caused it: a visitor, or for `ConfigError` the operator. It never holds a key, an
address or a provider's own words; those go to the log as the error's cause. The pages and commands turn an `ArenaError`
into a notice; anything else is a bug and must reach the log as a traceback.
"""

from enum import StrEnum


class ArenaError(Exception):
    """Base class: caught at the edges (pages, commands, routes) and nowhere else."""


class ConfigError(ArenaError):
    """The environment, the roster or a command's input is unusable; says what to change."""


class BackupError(ArenaError):
    """A backup could not be made, or a file is none; nothing was changed."""


class TuningError(ArenaError):
    """A tuning job could not be started, followed, cancelled or registered.

    For the operator only: it may hold the platform's own words, never a key.
    """


class BattleError(ArenaError):
    """A visitor asked for something that the battle's present state, or a limit, does not allow.

    `reason` is a word under which refusals are counted, such as `limit_minute` or `not_yours`.
    """

    def __init__(self, sentence: str, *, reason: str = "not_possible") -> None:
        super().__init__(sentence)
        self.reason = reason


def reason_of(error: ArenaError) -> str:
    """The word under which a refusal is counted."""
    return error.reason if isinstance(error, BattleError) else "not_possible"


class FailureKind(StrEnum):
    """Why an answer failed; stored with the answer and counted, never shown to a visitor before the vote."""

    UNAUTHORISED = "unauthorised"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    BAD_REQUEST = "bad_request"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    NO_FIRST_TOKEN = "no_first_token"  # noqa: S105 - a token of text
    SILENCE = "silence"
    TOO_SLOW = "too_slow"
    TOO_LONG = "too_long"
    CUT = "cut"
    EMPTY = "empty"
    MALFORMED = "malformed"
    BLOCKED = "blocked"
    NOT_CONFIGURED = "not_configured"


class ProviderError(ArenaError):
    """A model's provider failed to answer, and the same request would fail again.

    `kind` says how; `str(error)` is the neutral sentence a visitor may read; `detail` is for the operator's log (it may
    hold the provider's own words, never a key); `retry_after_s` is how long the platform asks to be left alone.
    """

    def __init__(self, kind: FailureKind, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__("One of the models could not answer.")
        self.kind = kind
        self.detail = detail
        self.retry_after_s = retry_after_s


class ProviderUnavailable(ProviderError):
    """A rate limit, time-out, dropped connection or server error: the same request may succeed when tried again."""
