"""Wrong passwords, counted by all processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wrong_passwords",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrong_passwords")),
    )
    op.create_index(op.f("ix_wrong_passwords_address"), "wrong_passwords", ["address"], unique=False)
    op.create_index(op.f("ix_wrong_passwords_at"), "wrong_passwords", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("wrong_passwords")
