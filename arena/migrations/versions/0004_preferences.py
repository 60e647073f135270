"""Battles that the operator keeps out of training files."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "withheld_battles",
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("withheld_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_withheld_battles_battle_id")),
        sa.PrimaryKeyConstraint("battle_id", name=op.f("pk_withheld_battles")),
    )


def downgrade() -> None:
    op.drop_table("withheld_battles")
