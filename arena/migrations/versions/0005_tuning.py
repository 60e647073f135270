"""Tuning jobs, their events and examples, and the models that came of them."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tuning_jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("base_model", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("hyperparameters", sa.JSON(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("training_file", sa.String(), nullable=False),
        sa.Column("training_sha256", sa.String(), nullable=False),
        sa.Column("training_lines", sa.Integer(), nullable=False),
        sa.Column("validation_file", sa.String(), nullable=True),
        sa.Column("validation_sha256", sa.String(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("estimated_cost", sa.Double(), nullable=True),
        sa.Column("recorded", sa.Boolean(), nullable=False),
        sa.Column("platform_file", sa.String(), nullable=True),
        sa.Column("platform_validation_file", sa.String(), nullable=True),
        sa.Column("tried_at", UtcDateTime(), nullable=True),
        sa.Column("platform_job", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("result_model", sa.String(), nullable=True),
        sa.Column("result_base", sa.String(), nullable=True),
        sa.Column("checkpoints", sa.JSON(), nullable=False),
        sa.Column("trained_tokens", sa.Integer(), nullable=True),
        sa.Column("dropped", sa.JSON(), nullable=False),
        sa.Column("dropped_lines", sa.Integer(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("held_by", sa.String(), nullable=True),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuning_jobs")),
        sa.UniqueConstraint("key", name=op.f("uq_tuning_jobs_key")),
    )
    op.create_index(op.f("ix_tuning_jobs_mark"), "tuning_jobs", ["mark"], unique=False)
    op.create_index(op.f("ix_tuning_jobs_due_at"), "tuning_jobs", ["due_at"], unique=False)
    op.create_table(
        "tuning_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("platform_id", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuning_jobs.id"], name=op.f("fk_tuning_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuning_events")),
        sa.UniqueConstraint("job_id", "platform_id", name=op.f("uq_tuning_events_job_id")),
    )
    op.create_index(op.f("ix_tuning_events_job_id"), "tuning_events", ["job_id"], unique=False)
    op.create_table(
        "tuning_examples",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column("prompt", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuning_jobs.id"], name=op.f("fk_tuning_examples_job_id")),
        sa.PrimaryKeyConstraint("job_id", "split", "line", name=op.f("pk_tuning_examples")),
    )
    op.create_index(op.f("ix_tuning_examples_battle_id"), "tuning_examples", ["battle_id"], unique=False)
    op.create_index(op.f("ix_tuning_examples_prompt"), "tuning_examples", ["prompt"], unique=False)
    op.create_table(
        "tuned_models",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("entry", sa.JSON(), nullable=False),
        sa.Column("training_sha256", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tuning_jobs.id"], name=op.f("fk_tuned_models_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tuned_models")),
        sa.UniqueConstraint("job_id", "step", name=op.f("uq_tuned_models_job_id")),
    )
    op.create_index(op.f("ix_tuned_models_job_id"), "tuned_models", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_table("tuned_models")
    op.drop_table("tuning_examples")
    op.drop_table("tuning_events")
    op.drop_table("tuning_jobs")
