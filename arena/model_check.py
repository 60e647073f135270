"""Asks every model of the roster one line, and says what is wrong with those that do not answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arena.errors import FailureKind, ProviderError
from arena.fleet import Fleet, ModelState, ModelStatus
from arena.providers.base import AnswerProgress, Deadlines, Message, Sampling, pump
from arena.roster import PLATFORM_NAMES

PROMPT = "Reply with the single word: ready."

_ADVICE: Mapping[FailureKind, str] = {
    FailureKind.RATE_LIMITED: "The platform's rate limit or quota is used up: wait, or ask the platform for more.",
    FailureKind.BAD_REQUEST: "The platform refused the request: check model_name, recommended_config and options.",
    FailureKind.SERVER_ERROR: "The platform failed on its side: try again later.",
    FailureKind.CONNECTION: "The server cannot be reached: check api_base, the network, and that the server runs.",
    FailureKind.NO_FIRST_TOKEN: "No text came in time: try again, or raise ARENA_FIRST_TOKEN_S.",
    FailureKind.SILENCE: "The answer stopped half way: try again, or raise ARENA_SILENCE_S.",
    FailureKind.TOO_SLOW: "The answer took too long: try again, or raise ARENA_ANSWER_S.",
    FailureKind.TOO_LONG: "The answer did not end: check the model's options.",
    FailureKind.CUT: "The stream was cut: check that api_base speaks OpenAI's streaming protocol, and try again.",
    FailureKind.EMPTY: "The answer was empty: raise max_new_tokens, or check the model.",
    FailureKind.MALFORMED: "The server sent no valid stream: check that api_base speaks OpenAI's protocol.",
    FailureKind.BLOCKED: "The platform's safety filter blocked a harmless prompt: check the model's settings there.",
}


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What came of asking one model."""

    model_id: str
    display_name: str
    platform: str
    """As people read it."""
    ready: bool
    reason: str
    """Why it is not ready and what to do about it; empty when ready."""
    first_token_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """The check for programs."""
        return {
            "model": self.model_id,
            "display_name": self.display_name,
            "platform": self.platform,
            "ready": self.ready,
            "reason": self.reason,
            "first_token_ms": None if self.first_token_ms is None else round(self.first_token_ms, 1),
        }


async def check_models(
    fleet: Fleet, deadlines: Deadlines, progress: Callable[[float], None] = lambda share: None
) -> Sequence[ModelCheck]:
    """Prepare and ask every model once, all at the same time; the roster's order.

    `progress` is called with the share of the models that are done, 0 to 1.
    """
    await fleet.prepare()
    statuses = fleet.statuses()
    done = 0

    async def check(status: ModelStatus) -> ModelCheck:
        nonlocal done
        checked = await _check(fleet, status, deadlines)
        done += 1
        progress(done / len(statuses))
        return checked

    return await asyncio.gather(*map(check, statuses))


async def _check(fleet: Fleet, status: ModelStatus, deadlines: Deadlines) -> ModelCheck:
    if status.state is not ModelState.READY:
        return _outcome(status, status.reason)
    answer = AnswerProgress()
    wanted = status.model.recommended_config
    sampling = Sampling(wanted.temperature, wanted.top_p, wanted.max_new_tokens)
    await pump(fleet.stream(status.model.id, [Message("user", PROMPT)], sampling), deadlines, answer)
    if answer.error is None:
        return _outcome(status, "", answer.first_token_ms)
    return _outcome(status, _reason(fleet, status, answer.error), answer.first_token_ms)


def _reason(fleet: Fleet, status: ModelStatus, error: ProviderError) -> str:
    """The fleet knows what to do about a wrong name or key; the rest is told by the kind of failure."""
    fleet.record_failure(status.model.id, error.kind, error.detail)
    now = next(s for s in fleet.statuses() if s.model.id == status.model.id)
    if now.state in (ModelState.NOT_READY, ModelState.RETIRED):
        return now.reason
    return _ADVICE.get(error.kind, str(error)) + (f" ({error.detail})" if error.detail else "")


def _outcome(status: ModelStatus, reason: str, first_token_ms: float | None = None) -> ModelCheck:
    model = status.model
    platform = PLATFORM_NAMES.get(model.platform, model.platform)
    return ModelCheck(model.id, model.display_name, platform, not reason, reason, first_token_ms)
