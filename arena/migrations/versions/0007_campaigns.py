"""Campaigns: prompts answered ahead of time, their items, and who judged which; where a battle's vote counts."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("battles", sa.Column("scope", sa.String(), nullable=True))
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("question_version", sa.String(), nullable=False),
        sa.Column("pairs", _pairs(), nullable=False),
        sa.Column("pairs_per_prompt", sa.Integer(), nullable=False),
        sa.Column("voters_per_item", sa.Integer(), nullable=False),
        sa.Column("repeat_share", sa.Double(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("reveals", sa.Boolean(), nullable=False),
        sa.Column("budget_usd", sa.Double(), nullable=True),
        sa.Column("budget_tokens", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("filled_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    op.create_table(
        "campaign_models",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_models_campaign_id")),
        sa.PrimaryKeyConstraint("campaign_id", "model_id", name=op.f("pk_campaign_models")),
    )
    op.create_table(
        "campaign_prompts",
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_prompts_campaign_id")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_campaign_prompts_conversation_id")
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_campaign_prompts")),
        sa.UniqueConstraint("campaign_id", "key", name=op.f("uq_campaign_prompts_campaign_id")),
    )
    op.create_table(
        "campaign_answers",
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("answer_id", sa.String(), nullable=False),
        sa.Column("paid", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_campaign_answers_answer_id")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["campaign_prompts.conversation_id"],
            name=op.f("fk_campaign_answers_conversation_id"),
        ),
        sa.PrimaryKeyConstraint("conversation_id", "model_id", name=op.f("pk_campaign_answers")),
    )
    op.create_index(op.f("ix_campaign_answers_answer_id"), "campaign_answers", ["answer_id"], unique=False)
    op.create_table(
        "campaign_items",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("first_model", sa.String(), nullable=False),
        sa.Column("second_model", sa.String(), nullable=False),
        sa.CheckConstraint("first_model < second_model", name=op.f("ck_campaign_items_ordered_models")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_items_campaign_id")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["campaign_prompts.conversation_id"], name=op.f("fk_campaign_items_conversation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_items")),
        sa.UniqueConstraint(
            "conversation_id", "first_model", "second_model", name=op.f("uq_campaign_items_conversation_id")
        ),
    )
    op.create_index(op.f("ix_campaign_items_campaign_id"), "campaign_items", ["campaign_id"], unique=False)
    op.create_table(
        "campaign_assignments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("swapped", sa.Boolean(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("battle_id", sa.String(), nullable=True),
        sa.Column("judged_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_campaign_assignments_battle_id")),
        sa.ForeignKeyConstraint(["item_id"], ["campaign_items.id"], name=op.f("fk_campaign_assignments_item_id")),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name=op.f("fk_campaign_assignments_voter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_assignments")),
        sa.UniqueConstraint("battle_id", name=op.f("uq_campaign_assignments_battle_id")),
        sa.UniqueConstraint("item_id", "voter_id", "repeat", name=op.f("uq_campaign_assignments_item_id")),
    )
    op.create_index("ix_campaign_assignments_voter_item", "campaign_assignments", ["voter_id", "item_id"], unique=False)


def downgrade() -> None:
    for table in (
        "campaign_assignments",
        "campaign_items",
        "campaign_answers",
        "campaign_prompts",
        "campaign_models",
        "campaigns",
    ):
        op.drop_table(table)
    op.drop_column("battles", "scope")


def _pairs() -> sa.Enum:
    words = ("all", "uniform", "separate", "leader")
    return sa.Enum(*words, name="campaignpairs", native_enum=False, create_constraint=True, length=20)
