"""What judge models said of pairs of answers."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_WINNER = sa.Enum(
    *("model_a", "model_b", "tie", "both_bad"), native_enum=False, create_constraint=True, length=20, name="winner"
)
_FAILURE = sa.Enum(
    *(
        "unauthorised",
        "not_found",
        "rate_limited",
        "bad_request",
        "server_error",
        "connection",
        "no_first_token",
        "silence",
        "too_slow",
        "too_long",
        "cut",
        "empty",
        "malformed",
        "blocked",
        "not_configured",
    ),
    native_enum=False,
    create_constraint=True,
    length=20,
    name="failurekind",
)


def upgrade() -> None:
    op.create_table(
        "judge_verdicts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("question_version", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column("winner", _WINNER, nullable=True),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("failure", _FAILURE, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("judged_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_judge_verdicts_battle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_verdicts")),
        sa.UniqueConstraint(
            "judge", "rubric_version", "question_version", "pair", "swapped", name="uq_judge_verdicts_once"
        ),
    )
    op.create_index(op.f("ix_judge_verdicts_model_id"), "judge_verdicts", ["model_id"])
    op.create_index(op.f("ix_judge_verdicts_pair"), "judge_verdicts", ["pair"])
    op.create_index(op.f("ix_judge_verdicts_battle_id"), "judge_verdicts", ["battle_id"])


def downgrade() -> None:
    op.drop_table("judge_verdicts")
