"""The minutes in which the arena served."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "minutes",
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=False),
        sa.Column("models", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_minutes")),
    )


def downgrade() -> None:
    op.drop_table("minutes")
