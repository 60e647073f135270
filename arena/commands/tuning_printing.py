"""What the commands about tuning print: plans before they are sent, jobs and how they stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arena.terminal import print_table, tell

if TYPE_CHECKING:
    from arena.finetune import Plan
    from arena.tables import TuningEvent, TuningJob


def job_as_json(job: "TuningJob") -> dict[str, Any]:
    """A job for programs."""
    plain = ("id", "platform", "base_model", "method", "hyperparameters", "name", "parent", "training_sha256")
    numbers = ("training_lines", "tokens", "estimated_cost", "trained_tokens", "dropped_lines")
    state = ("platform_job", "status", "outcome", "reason", "trouble", "result_model", "checkpoints", "dropped")
    times = ("created_at", "sent_at", "checked_at", "ended_at")
    told = {name: getattr(job, name) for name in (*plain, *numbers, *state)}
    return told | {name: moment.isoformat() if (moment := getattr(job, name)) else None for name in times}


def state_of(job: "TuningJob") -> str:
    """How a job stands, in one line."""
    if job.outcome == "succeeded":
        return f"succeeded: {job.result_model}"
    if job.outcome is not None:
        return job.outcome.replace("_", " ") + (f": {job.reason}" if job.reason else "")
    status = job.status or ("is being sent" if job.platform_file else "waits to be sent")
    asked = " (cancelling)" if job.cancel_requested else ""
    return f"{status}{asked}" + (f": {job.trouble}" if job.trouble else "")


def row_of(job: "TuningJob") -> Sequence[str]:
    """A job's row in the list of all."""
    started = f"{job.sent_at:%Y-%m-%d %H:%M}" if job.sent_at else "–"
    state = "succeeded" if job.outcome == "succeeded" else state_of(job)
    return (job.id[:8], job.platform, job.base_model, str(job.training_lines), started, state, job.result_model or "–")


def facts_of(job: "TuningJob") -> Sequence[Sequence[str]]:
    """What is known of a job, but for its events: names and values."""
    from arena.finetune.hyperparameters import in_words
    from arena.finetune.plan import in_dollars

    cost = "not known" if job.estimated_cost is None else f"{in_dollars(job.estimated_cost)}, estimated"
    rows = [
        ("Platform", job.platform),
        ("Its id there", job.platform_job or "–"),
        ("State", state_of(job)),
        ("Base model", job.base_model),
        ("Method", job.method),
        ("Hyperparameters", in_words(job.platform, job.method, job.hyperparameters)),
        ("File", f"{job.training_file} ({job.training_lines:,} lines, SHA-256 {job.training_sha256})"),
        ("Cost", cost),
    ]
    if job.trained_tokens is not None:
        rows.append(("Trained tokens", f"{job.trained_tokens:,}"))
    if job.dropped_lines:
        rows.append(("Left out", f"{job.dropped_lines:,} of {job.training_lines:,} lines"))
    rows += [(f"Step {one['step']}", str(one["model"])) for one in job.checkpoints]
    return rows


def event_as_json(event: "TuningEvent") -> dict[str, Any]:
    """An event for programs."""
    return {"at": event.at.isoformat(), "level": event.level, "message": event.message}


def print_plan(plan: "Plan") -> None:
    """Print what would be sent and what it would cost; warnings go to standard error."""
    epochs = f"{plan.epochs} epochs" + (" assumed, the platform chooses" if plan.epochs_assumed else "")
    rows = [
        ("File", f"{plan.file} ({plan.training.lines:,} lines, {plan.training.bytes:,} bytes)"),
        ("SHA-256", plan.training.sha256),
        ("Trained for", plan.method),
        ("Base model", plan.base_model),
        ("Hyperparameters", plan.settings),
        ("Name", plan.name),
        ("Tokens", f"about {plan.training.tokens:,} in the file, {plan.trained_tokens:,} trained ({epochs})"),
        ("Cost", plan.cost_in_words),
    ]
    if plan.price_source:
        rows.append(("Price", plan.price_source))
    if plan.validation is not None:
        rows.insert(2, ("Validation", f"{plan.validation_file} ({plan.validation.lines:,} lines)"))
    print_table(("To", plan.platform_name), rows)
    for warning in plan.warnings:
        tell(f"Note: {warning}")
