"""The first tables."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "model_revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("api_name", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=True),
        sa.Column("system_prompt", sa.String(), nullable=True),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_revisions")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_model_revisions_fingerprint")),
        sa.UniqueConstraint("model_id", "number", name=op.f("uq_model_revisions_model_id")),
    )
    with op.batch_alter_table("model_revisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_revisions_model_id"), ["model_id"], unique=False)

    op.create_table(
        "voters",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voters")),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "battle",
                "side_by_side",
                "chat",
                "campaign",
                "imported",
                name="conversationkind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("challenge_id", sa.String(), nullable=True),
        sa.Column("challenge_tags", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("language_method", sa.String(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name=op.f("fk_conversations_voter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conversations_voter_id"), ["voter_id"], unique=False)

    op.create_table(
        "pair_counts",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("criterion", sa.String(), nullable=False),
        sa.Column("revision_low", sa.Integer(), nullable=False),
        sa.Column("revision_high", sa.Integer(), nullable=False),
        sa.Column("wins_low", sa.Integer(), nullable=False),
        sa.Column("wins_high", sa.Integer(), nullable=False),
        sa.Column("ties", sa.Integer(), nullable=False),
        sa.Column("both_bad", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.CheckConstraint("revision_low < revision_high", name=op.f("ck_pair_counts_ordered_pair")),
        sa.ForeignKeyConstraint(["revision_high"], ["model_revisions.id"], name=op.f("fk_pair_counts_revision_high")),
        sa.ForeignKeyConstraint(["revision_low"], ["model_revisions.id"], name=op.f("fk_pair_counts_revision_low")),
        sa.PrimaryKeyConstraint("scope", "criterion", "revision_low", "revision_high", name=op.f("pk_pair_counts")),
    )
    with op.batch_alter_table("pair_counts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pair_counts_sequence"), ["sequence"], unique=False)

    op.create_table(
        "answers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column(
            "side", sa.Enum("a", "b", name="side", native_enum=False, create_constraint=True, length=20), nullable=True
        ),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("reasoning", sa.String(), nullable=False),
        sa.Column("finish_reason", sa.String(), nullable=True),
        sa.Column(
            "failure",
            sa.Enum(
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
                name="failurekind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("first_token_ms", sa.Double(), nullable=True),
        sa.Column("total_ms", sa.Double(), nullable=True),
        sa.Column("identity_findings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_answers_conversation_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["model_revisions.id"], name=op.f("fk_answers_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
    )
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_conversation_id"), ["conversation_id"], unique=False)
        batch_op.create_index("ix_answers_conversation_turn", ["conversation_id", "turn"], unique=False)
        batch_op.create_index(batch_op.f("ix_answers_revision_id"), ["revision_id"], unique=False)

    op.create_table(
        "battles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column(
            "mode",
            sa.Enum(
                "battle",
                "side_by_side",
                "campaign",
                "imported",
                name="mode",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "votable",
                "voted",
                "void",
                "abandoned",
                name="battlestate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("state_reason", sa.String(), nullable=True),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("revision_a", sa.Integer(), nullable=False),
        sa.Column("revision_b", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("question_version", sa.String(), nullable=False),
        sa.Column("continues_battle_id", sa.String(), nullable=True),
        sa.Column(
            "continues_side",
            sa.Enum("a", "b", name="side", native_enum=False, create_constraint=True, length=20),
            nullable=True,
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("first_shown_ms", sa.Double(), nullable=True),
        sa.Column("answered_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["continues_battle_id"], ["battles.id"], name=op.f("fk_battles_continues_battle_id")),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_battles_conversation_id")),
        sa.ForeignKeyConstraint(["revision_a"], ["model_revisions.id"], name=op.f("fk_battles_revision_a")),
        sa.ForeignKeyConstraint(["revision_b"], ["model_revisions.id"], name=op.f("fk_battles_revision_b")),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name=op.f("fk_battles_voter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_battles")),
    )
    with op.batch_alter_table("battles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_battles_conversation_id"), ["conversation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_battles_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_battles_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_battles_voter_id"), ["voter_id"], unique=False)

    op.create_table(
        "prompts",
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_prompts_conversation_id")),
        sa.PrimaryKeyConstraint("conversation_id", "turn", name=op.f("pk_prompts")),
    )
    op.create_table(
        "imported_votes",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_imported_votes_battle_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_imported_votes")),
    )
    op.create_table(
        "seats",
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column(
            "side", sa.Enum("a", "b", name="side", native_enum=False, create_constraint=True, length=20), nullable=False
        ),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_seats_answer_id")),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_seats_battle_id")),
        sa.PrimaryKeyConstraint("battle_id", "side", "turn", name=op.f("pk_seats")),
    )
    with op.batch_alter_table("seats", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_seats_answer_id"), ["answer_id"], unique=False)

    op.create_table(
        "votes",
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column(
            "winner",
            sa.Enum(
                "model_a",
                "model_b",
                "tie",
                "both_bad",
                name="winner",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=True),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "counted",
                "withdrawn",
                "excluded",
                name="votestate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("state_reason", sa.String(), nullable=True),
        sa.Column("rated", sa.Boolean(), nullable=False),
        sa.Column(
            "shown_first",
            sa.Enum("a", "b", name="side", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name=op.f("fk_votes_battle_id")),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name=op.f("fk_votes_voter_id")),
        sa.PrimaryKeyConstraint("battle_id", name=op.f("pk_votes")),
        sa.UniqueConstraint("sequence", name=op.f("uq_votes_sequence")),
    )
    with op.batch_alter_table("votes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_votes_voter_id"), ["voter_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("votes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_votes_voter_id"))

    op.drop_table("votes")
    with op.batch_alter_table("seats", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_seats_answer_id"))

    op.drop_table("seats")
    op.drop_table("imported_votes")
    op.drop_table("prompts")
    with op.batch_alter_table("battles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_battles_voter_id"))
        batch_op.drop_index(batch_op.f("ix_battles_state"))
        batch_op.drop_index(batch_op.f("ix_battles_created_at"))
        batch_op.drop_index(batch_op.f("ix_battles_conversation_id"))

    op.drop_table("battles")
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_answers_revision_id"))
        batch_op.drop_index("ix_answers_conversation_turn")
        batch_op.drop_index(batch_op.f("ix_answers_conversation_id"))

    op.drop_table("answers")
    with op.batch_alter_table("pair_counts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pair_counts_sequence"))

    op.drop_table("pair_counts")
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversations_voter_id"))

    op.drop_table("conversations")
    op.drop_table("voters")
    with op.batch_alter_table("model_revisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_model_revisions_model_id"))

    op.drop_table("model_revisions")
    op.drop_table("counters")
