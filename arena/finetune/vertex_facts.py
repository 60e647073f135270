"""What Vertex AI tells of a tuning job, in the arena's words. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.finetune.platform import Checkpoint, Dropped, JobFacts, Outcome, PlatformEvent

if TYPE_CHECKING:
    from google.genai import types

_OUTCOMES: dict[str, Outcome] = {
    "JOB_STATE_SUCCEEDED": "succeeded",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "succeeded",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_EXPIRED": "failed",
    "JOB_STATE_CANCELLED": "cancelled",
}


def facts_of(told: "types.TuningJob") -> JobFacts:
    """The job as it is told. Vertex AI keeps no list of events: changes of state stand for them."""
    status = _word(told.state)
    tuned = told.tuned_model
    saved = [one for one in (tuned.checkpoints or [] if tuned else []) if one.endpoint]
    dropped, number = _dropped(told)
    tokens = _stat(told, "total_billable_token_count")
    return JobFacts(
        id=told.name or "",
        status=status,
        outcome=_OUTCOMES.get(status),
        reason=told.error.message if told.error else None,
        model=(tuned.endpoint or tuned.model) if tuned else None,
        base=tuned.model if tuned else None,
        checkpoints=[Checkpoint(one.step or 0, str(one.endpoint)) for one in saved],
        trained_tokens=tokens if isinstance(tokens, int) else None,
        dropped=dropped,
        dropped_lines=number,
        events=_events(told, status),
    )


def _word(state: object) -> str:
    """The platform's word for a state; the SDK's enumeration grows a member for one that it does not know."""
    return str(getattr(state, "value", state) or "JOB_STATE_UNSPECIFIED")


def _stats(told: "types.TuningJob") -> object | None:
    stats = told.tuning_data_stats
    if stats is None:
        return None
    return stats.preference_optimization_data_stats or stats.supervised_tuning_data_stats


def _stat(told: "types.TuningJob", name: str) -> object | None:
    return getattr(_stats(told), name, None)


def _dropped(told: "types.TuningJob") -> tuple[Sequence[Dropped], int | None]:
    """The examples left out, their numbers beginning at 1, and how many; a supervised job calls them truncated."""
    stats = _stats(told)
    lines = getattr(stats, "dropped_example_indices", None) or getattr(stats, "truncated_example_indices", None) or []
    reasons = getattr(stats, "dropped_example_reasons", None) or []
    told_of = [Dropped(int(line), reasons[at] if at < len(reasons) else "") for at, line in enumerate(lines)]
    number = getattr(stats, "total_truncated_example_count", None)
    return told_of, number if number is not None else (len(told_of) if stats is not None else None)


def _events(told: "types.TuningJob", status: str) -> Sequence[PlatformEvent]:
    moment = told.end_time or told.update_time or told.start_time or told.create_time
    if moment is None:
        return ()
    detail = _word(told.tuning_job_state) if told.tuning_job_state else ""
    message = f"{status}: {detail}" if detail else status
    level = "error" if _OUTCOMES.get(status) == "failed" else "info"
    return (PlatformEvent(f"state:{message}", moment, level, message),)
