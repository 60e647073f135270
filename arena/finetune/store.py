"""Jobs in the database: stored once for each plan, held by one process at a time."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from arena.database import Database
from arena.errors import TuningError
from arena.finetune.plan import Plan
from arena.finetune.platform import Dropped, PlatformEvent
from arena.finetune.prompts import prompts_of_file
from arena.preferences.manifest import line_map_path
from arena.tables import TuningEvent, TuningExample, TuningJob, now

LEASE = timedelta(minutes=2)
"""How long a process that ended in the middle of a step keeps others from it; longer than any request of a step."""
_AT_ONCE = 5_000
"""Rows of one transaction, so that no vote waits long for it."""


def add_job(database: Database, plan: Plan) -> TuningJob:
    """Store a job that is to be sent; nothing has been sent yet.

    Raises:
        TuningError: the plan has problems, or the same was sent before and has not failed.

    """
    if plan.problems:
        raise TuningError(" ".join(plan.problems))
    try:
        with database.write() as session:
            earlier = session.scalars(select(TuningJob).where(TuningJob.mark == plan.mark)).all()
            for job in earlier:
                if job.outcome in (None, "succeeded"):
                    raise TuningError(_already(job))
            job = _new_job(plan, len(earlier) + 1)
            session.add(job)
    except IntegrityError:
        raise TuningError("The same job was started by somebody else at this moment; see `jobs`.") from None
    record_examples(database, job)
    return job


def _already(job: TuningJob) -> str:
    state = "has succeeded" if job.outcome else "is on its way"
    return (
        f"Exactly this was sent already: job {job.id} {state}. Change the file, the name or a hyperparameter to train "
        "again."
    )


def _new_job(plan: Plan, attempt: int) -> TuningJob:
    return TuningJob(
        key=f"{plan.mark}-{attempt}",
        mark=plan.mark,
        platform=plan.platform,
        base_model=plan.base_model,
        method=plan.method,
        hyperparameters=dict(plan.hyperparameters),
        name=plan.name,
        parent=plan.parent,
        training_file=str(plan.file.resolve()),
        training_sha256=plan.training.sha256,
        training_lines=plan.training.lines,
        validation_file=str(plan.validation_file.resolve()) if plan.validation_file else None,
        validation_sha256=plan.validation.sha256 if plan.validation else None,
        tokens=plan.training.tokens,
        estimated_cost=plan.cost,
    )


def record_examples(database: Database, job: TuningJob) -> None:
    """Note whose vote and which prompt each line is, unless that was done; what a stopped process left is redone."""
    if job.recorded:
        return
    with database.write() as session:
        session.execute(delete(TuningExample).where(TuningExample.job_id == job.id))
    for split, file in (("train", job.training_file), ("validation", job.validation_file)):
        rows = _examples(job.id, split, Path(file)) if file else iter(())
        while portion := list(islice(rows, _AT_ONCE)):
            with database.write() as session:
                session.execute(insert(TuningExample), portion)
    note(database, job.id, recorded=True)


def _examples(job_id: str, split: str, file: Path) -> Iterator[dict[str, Any]]:
    with line_map_path(file).open(encoding="utf-8") as lines:
        for facts, prompt in zip(map(json.loads, lines), prompts_of_file(file), strict=True):
            row = {"job_id": job_id, "split": split, "line": facts["line"]}
            yield {**row, "battle_id": facts["battle"], "prompt": prompt}


def find_job(database: Database, beginning: str) -> TuningJob:
    """The one job whose id, or id at the platform, is or begins with `beginning`.

    Raises:
        TuningError: none does, or several do.

    """
    with database.read() as session:
        begins = or_(
            TuningJob.id.startswith(beginning, autoescape=True),
            TuningJob.platform_job.startswith(beginning, autoescape=True),
        )
        found = session.scalars(select(TuningJob).where(begins).limit(2)).all() if beginning else []
    if len(found) != 1:
        many = "Several jobs begin" if found else "No job begins"
        raise TuningError(f"{many} with {beginning!r}: `python -m arena jobs` lists them.")
    return found[0]


def read_job(database: Database, job_id: str) -> TuningJob:
    """The job as it is now."""
    with database.read() as session:
        return session.get_one(TuningJob, job_id)


def list_jobs(database: Database) -> Sequence[TuningJob]:
    """Every job, the newest first."""
    with database.read() as session:
        return session.scalars(select(TuningJob).order_by(TuningJob.created_at.desc(), TuningJob.id)).all()


def events_of(database: Database, job_id: str) -> Sequence[TuningEvent]:
    """What happened to a job, the oldest first."""
    with database.read() as session:
        rows = select(TuningEvent).where(TuningEvent.job_id == job_id)
        return session.scalars(rows.order_by(TuningEvent.at, TuningEvent.id)).all()


def due_jobs(database: Database, moment: datetime) -> Sequence[str]:
    """The ids of jobs whose next step is due and that nobody holds, the longest due first."""
    with database.read() as session:
        free = or_(TuningJob.held_until.is_(None), TuningJob.held_until < moment)
        due = select(TuningJob.id).where(TuningJob.ended_at.is_(None), TuningJob.due_at <= moment, free)
        return session.scalars(due.order_by(TuningJob.due_at)).all()


def next_due(database: Database) -> datetime | None:
    """When the next step of any job can be done here; `None` where none goes on."""
    with database.read() as session:
        jobs = session.execute(select(TuningJob.due_at, TuningJob.held_until).where(TuningJob.ended_at.is_(None))).all()
    return min((max(due, held or due) for due, held in jobs), default=None)


def hold(database: Database, job_id: str, holder: str) -> bool:
    """Take or renew the right to do a job's next step; `False` where another process has it, or it has ended."""
    moment = now()
    free = or_(TuningJob.held_by.is_(None), TuningJob.held_by == holder, TuningJob.held_until < moment)
    taking = update(TuningJob).where(TuningJob.id == job_id, TuningJob.ended_at.is_(None), free)
    with database.write() as session:
        taken = session.execute(taking.values(held_by=holder, held_until=moment + LEASE))
        return bool(taken.rowcount)  # type: ignore[attr-defined]  # a CursorResult, as of every UPDATE


def release(database: Database, job_id: str, holder: str) -> None:
    """Give the right back."""
    giving = update(TuningJob).where(TuningJob.id == job_id, TuningJob.held_by == holder)
    with database.write() as session:
        session.execute(giving.values(held_by=None, held_until=None))


def note(database: Database, job_id: str, **columns: object) -> TuningJob:
    """Change a job's columns; returns it as it is then."""
    with database.write() as session:
        job = session.get_one(TuningJob, job_id)
        for name, value in columns.items():
            setattr(job, name, value)
        return job


def note_events(database: Database, job_id: str, events: Sequence[PlatformEvent]) -> None:
    """Store the events that are new."""
    with database.write() as session:
        known = set(session.scalars(select(TuningEvent.platform_id).where(TuningEvent.job_id == job_id)))
        for event in events:
            if event.id not in known:
                known.add(event.id)
                row = TuningEvent(job_id=job_id, platform_id=event.id, at=event.at, level=event.level)
                row.message = event.message
                session.add(row)


def known_platform_jobs(database: Database, mark: str) -> frozenset[str]:
    """The platform's ids of the earlier attempts at the same."""
    with database.read() as session:
        ids = session.scalars(select(TuningJob.platform_job).where(TuningJob.mark == mark))
        return frozenset(one for one in ids if one is not None)


def mapped_back(database: Database, job_id: str, dropped: Sequence[Dropped]) -> list[dict[str, Any]]:
    """Dropped examples with the battles that they were made of."""
    lines = [one.line for one in dropped]
    wanted = select(TuningExample.line, TuningExample.battle_id).where(
        TuningExample.job_id == job_id, TuningExample.split == "train", TuningExample.line.in_(lines)
    )
    with database.read() as session:
        battles = {line: battle for line, battle in session.execute(wanted)}
    return [{"line": one.line, "reason": one.reason, "battle": battles.get(one.line)} for one in dropped]


def request_cancel(database: Database, job_id: str) -> TuningJob:
    """Ask for a job's end; whoever follows it does the rest.

    Raises:
        TuningError: it has ended.

    """
    job = read_job(database, job_id)
    if job.ended_at is not None:
        raise TuningError(f"Job {job.id} has ended already: {job.outcome}.")
    return note(database, job_id, cancel_requested=True, due_at=now(), looks=0)
