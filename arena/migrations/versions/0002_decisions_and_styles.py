"""Decisions about voters, votes that are held, and how answers look."""

import sqlalchemy as sa
from alembic import op

from arena.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BEFORE = ("counted", "withdrawn", "excluded")
_NOW = ("counted", "withdrawn", "held", "excluded")


def upgrade() -> None:
    op.create_table(
        "answer_styles",
        sa.Column("answer_id", sa.String(), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("headings", sa.Integer(), nullable=False),
        sa.Column("lists", sa.Integer(), nullable=False),
        sa.Column("bold", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_answer_styles_answer_id")),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_answer_styles")),
    )
    op.create_table(
        "voter_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column("decision", _words("voterverdict", ("count", "hold", "exclude")), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("votes", sa.Integer(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name=op.f("fk_voter_decisions_voter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voter_decisions")),
    )
    op.create_index(op.f("ix_voter_decisions_voter_id"), "voter_decisions", ["voter_id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _remake_votes(_BEFORE, _NOW)
    else:
        _check_states(_NOW)


def downgrade() -> None:
    op.execute("UPDATE votes SET state = 'excluded' WHERE state = 'held'")
    if op.get_bind().dialect.name == "sqlite":
        _remake_votes(_NOW, _BEFORE)
    else:
        _check_states(_BEFORE)
    op.drop_table("voter_decisions")
    op.drop_table("answer_styles")


def _words(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)


def _check_states(states: tuple[str, ...]) -> None:
    words = ", ".join(f"'{state}'" for state in states)
    op.drop_constraint(op.f("ck_votes_votestate"), "votes", type_="check")
    op.create_check_constraint(op.f("ck_votes_votestate"), "votes", f"state IN ({words})")


def _remake_votes(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """SQLite changes a constraint only by making the table again; it has to be told what the table looked like."""
    with op.batch_alter_table("votes", copy_from=_votes(before), recreate="always") as batch:
        batch.alter_column("state", existing_type=_words("votestate", before), type_=_words("votestate", after))


def _votes(states: tuple[str, ...]) -> sa.Table:
    """The table of votes with these states."""
    return sa.Table(
        "votes",
        sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"}),
        sa.Column("battle_id", sa.String(), nullable=False),
        sa.Column("winner", _words("winner", ("model_a", "model_b", "tie", "both_bad")), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("rubric_version", sa.String(), nullable=True),
        sa.Column("voter_id", sa.String(), nullable=False),
        sa.Column("state", _words("votestate", states), nullable=False),
        sa.Column("state_reason", sa.String(), nullable=True),
        sa.Column("rated", sa.Boolean(), nullable=False),
        sa.Column("shown_first", _words("side", ("a", "b")), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["battle_id"], ["battles.id"], name="fk_votes_battle_id"),
        sa.ForeignKeyConstraint(["voter_id"], ["voters.id"], name="fk_votes_voter_id"),
        sa.PrimaryKeyConstraint("battle_id", name="pk_votes"),
        sa.UniqueConstraint("sequence", name="uq_votes_sequence"),
        sa.Index("ix_votes_voter_id", "voter_id"),
    )
