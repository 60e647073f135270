"""What the Operations page says, in the words it says it in. Only ever made for the operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from arena import __version__
from arena.backup_folder import describe_backups
from arena.battle import Figures
from arena.config import Settings
from arena.fleet import ModelState, ModelStatus
from arena.limits import Today
from arena.tables import now
from arena.targets import ANSWER_S, COMPLETION, UPTIME, Kept
from arena.ui.board import READINESS


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model's row: every figure already in words."""

    id: str
    name: str
    part: str
    """What sets it apart from a model that fights: 'judge', 'not drawn'."""
    state: str
    badge: str
    notes: Sequence[str]
    """Why it is in that state, what to do about it, and what is to come."""
    deployment: str
    answers: str
    failures: str
    first_token: str


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target and how it was kept: a (value, 'kept' or 'missed' or '') a window."""

    name: str
    aim: str
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole page."""

    figures: Sequence[Fact]
    targets: Sequence[TargetRow]
    models: Sequence[ModelRow]
    warnings: Sequence[str]
    """What was left out of the roster file."""
    facts: Sequence[Fact]


def write_report(
    figures: Figures,
    statuses: Sequence[ModelStatus],
    settings: Settings,
    *,
    kept: Sequence[Kept],
    today: Today,
    backup_failure: str | None,
    votes: int,
    waiting: int,
    uptime_s: float,
    warnings: Sequence[str] = (),
) -> Report:
    """Put everything into words."""
    at = now()
    return Report(
        figures=_figures(figures, votes, waiting, uptime_s),
        targets=_targets(kept),
        models=[_model(status, at) for status in statuses],
        warnings=warnings,
        facts=_facts(settings, today, backup_failure),
    )


def _figures(figures: Figures, votes: int, waiting: int, uptime_s: float) -> Sequence[Fact]:
    completion = figures.completion
    return (
        Fact("Battles", f"{figures.started:,}"),
        Fact("Completion", "–" if completion is None else f"{completion:.1%}"),
        Fact("Votable", f"{figures.votable:,}"),
        Fact("Voted", f"{figures.voted:,}"),
        Fact("Rated votes", f"{votes:,}"),
        Fact("Void", f"{figures.void:,}"),
        Fact("Abandoned", f"{figures.abandoned:,}"),
        Fact("Running", f"{figures.running:,}"),
        Fact("In line", f"{waiting:,}"),
        Fact("Uptime", _duration(uptime_s)),
    )


def _targets(kept: Sequence[Kept]) -> Sequence[TargetRow]:
    def cells(target: str, words: Callable[[Kept], str]) -> Sequence[tuple[str, str]]:
        return [
            ("–", "")
            if getattr(window, target) is None
            else (words(window), "missed" if target in window.missed else "kept")
            for window in kept
        ]

    return (
        TargetRow("Models ready", "all of them", cells("models_ready", lambda window: f"{window.models_ready:.0%}")),
        TargetRow(
            "Battles completed",
            f"over {COMPLETION:.0%}",
            cells("completion", lambda window: f"{window.completion:.1%} of {window.battles:,}"),
        ),
        TargetRow("Uptime", f"over {UPTIME:.0%}", cells("uptime", lambda window: f"{window.uptime:.1%}")),
        TargetRow(
            "Time to answer",
            f"half under {ANSWER_S:.0f} s",
            cells("answer_s", lambda window: f"{window.answer_s:.1f} s, nine in ten {window.slow_answer_s:.1f} s"),
        ),
    )


def _model(status: ModelStatus, at: datetime) -> ModelRow:
    entry = status.model
    return ModelRow(
        id=entry.id,
        name=entry.display_name or entry.id,
        part="judge" if entry.role == "judge" else "not drawn" if entry.weight == 0 else "",
        state=READINESS[status.state],
        badge=status.state.value.replace("_", "-"),
        notes=[note for note in (status.reason, _rest(status, at), _shutdown(status, at)) if note],
        deployment=status.deployment or "",
        answers=f"{status.answers:,}",
        failures=", ".join(
            f"{count:,} {kind.value.replace('_', ' ')}" for kind, count in status.failures.items() if count
        ),
        first_token="–" if status.median_first_token_ms is None else f"{status.median_first_token_ms / 1000:.2f} s",
    )


def _rest(status: ModelStatus, at: datetime) -> str:
    """Until when it rests, if it does."""
    if status.state is not ModelState.RESTING or status.resting_until is None:
        return ""
    if status.resting_until <= at:
        return "The next battle that draws it tries it."
    return f"Until {status.resting_until:%H:%M:%S} UTC; Check again ends the rest."


def _shutdown(status: ModelStatus, at: datetime) -> str:
    """The countdown to the day on which its platform shuts it down, if one is announced."""
    if status.shuts_down_on is None:
        return ""
    days = (status.shuts_down_on - at.date()).days
    day = f"{status.shuts_down_on:%-d %B %Y}"
    if days < 0:
        return f"Its platform announced to shut it down on {day}."
    remaining = "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"
    return f"Its platform shuts it down {remaining}, on {day}."


def _facts(settings: Settings, today: Today, backup_failure: str | None) -> Sequence[Fact]:
    failure = [Fact("Not kept safe", backup_failure)] if backup_failure else []
    return (
        Fact("Version", __version__),
        Fact("Roster", str(settings.models) if not settings.demo else "offline demonstration"),
        Fact("Database", describe_database(settings.resolved_database_url)),
        Fact("Data folder", str(settings.data_dir)),
        Fact("Backups", describe_backups(settings)),
        *failure,
        *_today(settings, today),
    )


def _today(settings: Settings, today: Today) -> Sequence[Fact]:
    """What the day's limits leave, which begin anew at midnight UTC."""
    most, cap = settings.battles_per_day_in_all, settings.spend_per_day
    started = Fact("Started today", f"{today.starts:,}" + ("" if most is None else f" of {most:,}"))
    if today.dollars is None or cap is None:
        return (started,)
    return (started, Fact("Spent today", f"${today.dollars:,.2f} of ${cap:,.2f}"))


def describe_database(url: str) -> str:
    """Where the votes are, without the password or anything else that opens it; with the size of a SQLite file."""
    parsed = make_url(url).set(query={})
    shown = parsed.render_as_string(hide_password=True)
    file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
    if file is None or not file.is_file():
        return shown
    log = file.with_name(f"{file.name}-wal")
    size = file.stat().st_size + (log.stat().st_size if log.is_file() else 0)
    return f"{shown} ({_bytes(size)})"


def _bytes(size: int) -> str:
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= divisor:
            return f"{size / divisor:.1f} {unit}"
    return f"{size} bytes"


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
