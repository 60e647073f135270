"""A judge's verdict belongs to a conversation: the answers of a campaign may be judged before any battle shows them."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0010"
down_revision = "0009"
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


_KEPT = (
    "id, judge, model_id, rubric_version, question_version, pair, swapped, winner, criteria, reason, "
    "failure, attempts, input_tokens, output_tokens, estimated, cost_usd, judged_at"
)


def upgrade() -> None:
    _remake("conversation_id", "conversations", "battles.conversation_id", "battles.id = judge_verdicts.battle_id")


def downgrade() -> None:
    battle = "(SELECT min(id) FROM battles WHERE battles.conversation_id = judge_verdicts.conversation_id)"
    _remake("battle_id", "battles", "battles.id AS battle_id", f"battles.id = {battle}")


def _remake(column: str, owner: str, value: str, matching: str) -> None:
    """SQLite can neither add a column that must not be empty nor drop one that refers to another table."""
    op.execute(
        f"CREATE TEMPORARY TABLE kept AS SELECT judge_verdicts.*, {value} "  # noqa: S608 - our own words
        f"FROM judge_verdicts JOIN battles ON {matching}"
    )
    op.drop_table("judge_verdicts")
    op.create_table(
        "judge_verdicts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=False),
        sa.Column("question_version", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column(column, sa.String(), nullable=False),
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
        sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=op.f(f"fk_judge_verdicts_{column}")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_verdicts")),
        sa.UniqueConstraint(
            "judge", "rubric_version", "question_version", "pair", "swapped", name="uq_judge_verdicts_once"
        ),
    )
    op.create_index(op.f("ix_judge_verdicts_model_id"), "judge_verdicts", ["model_id"])
    op.create_index(op.f("ix_judge_verdicts_pair"), "judge_verdicts", ["pair"])
    op.create_index(op.f(f"ix_judge_verdicts_{column}"), "judge_verdicts", [column])
    columns = f"{_KEPT}, {column}"
    op.execute(f"INSERT INTO judge_verdicts ({columns}) SELECT {columns} FROM kept")  # noqa: S608 - our own words
    op.execute("DROP TABLE kept")
