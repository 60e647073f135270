"""How ratings moved, by the hour."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standing_history",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("rating", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["model_revisions.id"], name=op.f("fk_standing_history_revision_id")),
        sa.PrimaryKeyConstraint("revision_id", "at", name=op.f("pk_standing_history")),
    )
    op.create_index(op.f("ix_standing_history_at"), "standing_history", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("standing_history")
