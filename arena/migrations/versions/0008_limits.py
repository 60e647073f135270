"""What the limits count with, shared by all processes of an arena."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "start_counts",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_start_counts")),
    )
    op.create_index(op.f("ix_start_counts_day"), "start_counts", ["day"], unique=False)
    op.create_table(
        "start_slots",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "slot", name=op.f("pk_start_slots")),
    )
    op.create_index(op.f("ix_start_slots_at"), "start_slots", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("start_slots")
    op.drop_table("start_counts")
