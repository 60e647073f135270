"""How one model is doing: its state, its failures in a row, its rests after them, and the trial that ends a rest.

Times are seconds on the fleet's clock.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from arena.errors import FailureKind
from arena.roster import ModelEntry

NEVER = float("inf")
_LONGEST_REST_S = 600.0
_FIRST_LOOK_AGAIN_S = 10.0
"""When a model that is not ready is looked at again; doubled each time, up to the longest rest."""
_LOOK_AT_RETIRED_S = 3600.0
_NEEDED_SHARE = 0.1
"""The part of a rest that a model has at least, also where without it no battle can be."""


class ModelState(StrEnum):
    """What the operator sees of a model."""

    STARTING = "starting"
    READY = "ready"
    RESTING = "resting"
    NOT_READY = "not_ready"
    RETIRED = "retired"


@dataclass(slots=True)
class Health:
    """What is known of one model since the start of this process."""

    model: ModelEntry
    state: ModelState = ModelState.STARTING
    reason: str = ""
    shuts_down_on: date | None = None
    deployment: str | None = None
    """What its name meant when its platform was last asked about it."""
    answers: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    failures_in_row: int = 0
    last_failure_at: datetime | None = None
    rested_at: float = 0.0
    """When the latest rest began."""
    rest_s: float = 0.0
    """Length of the latest rest; 0 where the model does not rest."""
    resting_until: float = 0.0
    trial_until: float = 0.0
    """Until then the one battle that may try a rested model is doing so."""
    look_again_s: float = _FIRST_LOOK_AGAIN_S
    look_again_at: float = NEVER
    first_tokens_ms: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    def may_be_asked(self, now: float) -> bool:
        """Ready, and not resting; or rested, and not being tried by another battle."""
        return self.state is ModelState.READY and (self.rest_s == 0 or self.may_be_tried(now))

    def may_be_tried(self, now: float) -> bool:
        """Its rest is over and no trial is running."""
        return self.rest_s > 0 and now >= max(self.resting_until, self.trial_until)

    def cut_rest_short(self, now: float) -> None:
        """End a rest of which enough is over for a model that is needed; the next failure rests it for longer."""
        if self.rest_s > 0 and now >= self.rested_at + _NEEDED_SHARE * self.rest_s:
            self.resting_until = min(self.resting_until, now)

    def end_rest(self) -> None:
        """Forget the failures in a row."""
        self.failures_in_row = 0
        self.rest_s = self.resting_until = self.trial_until = 0.0

    def open(self, now: float) -> None:
        """The model can be asked; a resting one may be tried at once."""
        if self.state is not ModelState.READY:
            self.end_rest()
        self.state, self.reason = ModelState.READY, ""
        self.resting_until = min(self.resting_until, now)

    def close(self, state: ModelState, reason: str, now: float) -> None:
        """The model cannot be asked; when to look again depends on why."""
        self.state, self.reason = state, reason
        self.end_rest()
        if state is ModelState.RETIRED:
            self.look_again_at = now + _LOOK_AT_RETIRED_S
        else:
            self.look_again_at = now + self.look_again_s
            self.look_again_s = min(2 * self.look_again_s, _LONGEST_REST_S)

    def succeed(self, first_token_ms: float) -> None:
        """An answer finished: the failures in a row are forgotten."""
        self.answers += 1
        self.first_tokens_ms.append(first_token_ms)
        self.look_again_s = _FIRST_LOOK_AGAIN_S
        self.end_rest()

    def fail_in_row(self, now: float, *, rest_after: int, rest_s: float) -> bool:
        """One more failure in a row; whether the model rests now: after so many, and twice as long after its trial."""
        self.failures_in_row += 1
        if now < self.resting_until:
            return False  # a battle that had begun before the rest
        if self.rest_s > 0:
            self.rest_s = min(2 * self.rest_s, _LONGEST_REST_S)
        elif self.failures_in_row >= rest_after:
            self.rest_s = rest_s
        else:
            return False
        self.rested_at = now
        self.resting_until = now + self.rest_s
        self.trial_until = 0.0
        return True


def why_missing(model: ModelEntry) -> str:
    """For the operator: what to set so that it can be asked."""
    names = " and ".join(model.missing_variables)
    verb = "are" if len(model.missing_variables) > 1 else "is"
    return f"{names} {verb} not set: set it in the environment or in .env, then restart."


def why_not_found(model: ModelEntry) -> str:
    """For the operator: its platform does not know it."""
    return f"{_place(model)} has no model {model.model_name} (any more): correct model_name, or give it weight 0."


def why_unauthorised(model: ModelEntry) -> str:
    """For the operator: its platform refused the credentials, and where they are set."""
    credential = {
        "openai": "the API key: check OPENAI_API_KEY",
        "compatible": "the API key: check api_key of this entry",
        "vertex": "the credentials: check GOOGLE_APPLICATION_CREDENTIALS and the account's role Vertex AI User",
    }.get(model.platform, "the request")
    return f"{_place(model)} refused {credential}."


def _place(model: ModelEntry) -> str:
    places = {"openai": "OpenAI", "vertex": f"Vertex AI in project {model.project_id}"}
    return places.get(model.platform, f"The server at {model.api_base}")
