"""Tuning jobs, what their platforms said of them, what they were trained on, and the models that came of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arena.tables.base import Base, new_id, now


class TuningJob(Base):
    """One job at a platform, from the decision to send it to its end. `status` is the platform's word, whatever it is.

    How far it is shows in what is filled: no `platform_file` yet to be uploaded, no `platform_job` yet to be started,
    no `ended_at` yet to be followed.
    """

    __tablename__ = "tuning_jobs"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    key: Mapped[str] = mapped_column(unique=True)
    """`mark`, and which attempt at it this is: the same plan cannot be stored twice."""
    mark: Mapped[str] = mapped_column(index=True)
    """SHA-256 of all that is sent, shortened; the job carries it at the platform, where it is found again by it."""
    platform: Mapped[str]
    """`openai` or `vertex`."""
    base_model: Mapped[str]
    method: Mapped[str]
    """`preference` or `supervised`."""
    hyperparameters: Mapped[dict[str, Any]]
    name: Mapped[str]
    """The tuned model's name at the platform, as far as the platform lets one choose it."""
    parent: Mapped[str | None]
    """The roster's id of the model that is tuned further."""
    training_file: Mapped[str]
    """Path at the time of sending."""
    training_sha256: Mapped[str]
    training_lines: Mapped[int]
    validation_file: Mapped[str | None]
    validation_sha256: Mapped[str | None]
    tokens: Mapped[int]
    """Estimated tokens of one pass over the training file."""
    estimated_cost: Mapped[float | None]
    """US dollars."""
    recorded: Mapped[bool] = mapped_column(default=False)
    """Whether all of its examples are in `tuning_examples`."""
    platform_file: Mapped[str | None]
    """The training file's id or address at the platform."""
    platform_validation_file: Mapped[str | None]
    tried_at: Mapped[datetime | None]
    """When the platform was last asked to start the job without a clear answer: it may run there."""
    platform_job: Mapped[str | None]
    status: Mapped[str | None]
    """The platform's latest word."""
    trouble: Mapped[str | None]
    """Why the latest step did not succeed, a sentence; it is tried again while the job has not ended."""
    outcome: Mapped[str | None]
    """`succeeded`, `failed`, `cancelled`, `not_sent`; filled with `ended_at`."""
    reason: Mapped[str | None]
    """Why it failed or was not sent: the platform's words where it gave some."""
    result_model: Mapped[str | None]
    """What is asked for an answer: the tuned model's name, or the endpoint that it is deployed to."""
    result_base: Mapped[str | None]
    """What a further job names as its base model."""
    checkpoints: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """`{"step": …, "model": …, "metrics": {…}}` each, in order."""
    trained_tokens: Mapped[int | None]
    """As the platform counts and bills them."""
    dropped: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Examples the platform left out: `{"line": …, "reason": …, "battle": …}` each; a sample where there are many."""
    dropped_lines: Mapped[int | None]
    """How many it left out; `None` where it does not say."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    due_at: Mapped[datetime] = mapped_column(default=now, index=True)
    """When to do its next step."""
    looks: Mapped[int] = mapped_column(default=0)
    """Steps in a row without news: they make the next one wait longer."""
    held_by: Mapped[str | None]
    """Who does its next step now, and until when: one process at a time."""
    held_until: Mapped[datetime | None]


class TuningEvent(Base):
    """Something that happened to a job: the platform's own event, or a change that the arena saw."""

    __tablename__ = "tuning_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("tuning_jobs.id"), index=True)
    platform_id: Mapped[str]
    """The platform's id of the event, or one of the arena's making: the same event is stored once."""
    at: Mapped[datetime]
    level: Mapped[str]
    """`info`, `warn`, `error`, or whatever word the platform uses."""
    message: Mapped[str]

    __table_args__ = (UniqueConstraint("job_id", "platform_id"),)


class TuningExample(Base):
    """A line of a job's files and whose vote it is."""

    __tablename__ = "tuning_examples"

    job_id: Mapped[str] = mapped_column(ForeignKey("tuning_jobs.id"), primary_key=True)
    split: Mapped[str] = mapped_column(primary_key=True)
    """`train` or `validation`."""
    line: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, …"""
    battle_id: Mapped[str] = mapped_column(index=True)
    prompt: Mapped[str]
    """What makes two prompts the same one, hashed: see `arena.finetune.prompts`."""

    __table_args__ = (Index("ix_tuning_examples_prompt", "prompt"),)


class TunedModel(Base):
    """A roster entry that came of a job; `models.yaml` wins where both name an id."""

    __tablename__ = "tuned_models"

    id: Mapped[str] = mapped_column(primary_key=True)
    """The roster's id."""
    job_id: Mapped[str] = mapped_column(ForeignKey("tuning_jobs.id"), index=True)
    step: Mapped[int | None]
    """The checkpoint's step; `None` is the job's final model."""
    entry: Mapped[dict[str, Any]]
    """As it would stand in `models.yaml`; never a key."""
    training_sha256: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("job_id", "step"),)
