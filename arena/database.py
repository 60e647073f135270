"""Tables, engine and migrations. No query of one use case: those live beside the use case."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar
from uuid import uuid4

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from arena.errors import ConfigError, FailureKind

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
BUSY_TIMEOUT_S = 15
"""How long a writer waits for SQLite's single write lock."""
MIGRATION_LOCK = 0x61_72_65_6E_61
"""The advisory lock on PostgreSQL of whoever brings the tables up to date."""


class Winner(StrEnum):
    """The verdict, in the words of the public arena data sets."""

    MODEL_A = "model_a"
    MODEL_B = "model_b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


class Mode(StrEnum):
    """Where a battle came from; only `battle`, `campaign` and anonymous `imported` battles are rated."""

    BATTLE = "battle"
    SIDE_BY_SIDE = "side_by_side"
    CAMPAIGN = "campaign"
    IMPORTED = "imported"


class BattleState(StrEnum):
    """How far a battle is. A vote is possible in `votable` only."""

    RUNNING = "running"
    VOTABLE = "votable"
    VOTED = "voted"
    VOID = "void"
    ABANDONED = "abandoned"


class VoteState(StrEnum):
    """Whether a vote counts. Nothing is ever deleted: a vote that no longer counts says why in `state_reason`."""

    COUNTED = "counted"
    WITHDRAWN = "withdrawn"
    HELD = "held"
    """Set aside until the operator has decided about its voter; it would be rated if it counted, as `EXCLUDED`."""
    EXCLUDED = "excluded"


class VoterVerdict(StrEnum):
    """What the operator decided about a voter's votes."""

    COUNT = "count"
    HOLD = "hold"
    EXCLUDE = "exclude"


class Side(StrEnum):
    """A seat of a battle."""

    A = "a"
    B = "b"


class ConversationKind(StrEnum):
    """What a conversation was held for."""

    BATTLE = "battle"
    SIDE_BY_SIDE = "side_by_side"
    CHAT = "chat"
    CAMPAIGN = "campaign"
    IMPORTED = "imported"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones; this puts UTC back, and refuses a moment without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read in UTC."""
        return value if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _stored(kind: type[StrEnum]) -> Enum:
    """Store a word's value ('model_a', not 'MODEL_A') as text, refused by the database if it is not one of them."""
    values = [word.value for word in kind]
    return Enum(
        kind,
        values_callable=lambda _: values,
        native_enum=False,
        create_constraint=True,
        length=20,
        name=kind.__name__.lower(),
    )


def new_id() -> str:
    """A random id that tells nothing about what it names."""
    return uuid4().hex


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Parent of every table; says once how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    """Every constraint has a name, without which SQLite's tables could not be changed later."""

    type_annotation_map: ClassVar = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[dict[str, str]]: JSON,
        Winner: _stored(Winner),
        Mode: _stored(Mode),
        BattleState: _stored(BattleState),
        VoteState: _stored(VoteState),
        VoterVerdict: _stored(VoterVerdict),
        Side: _stored(Side),
        ConversationKind: _stored(ConversationKind),
        FailureKind: _stored(FailureKind),
    }


class ModelRevision(Base):
    """What a roster id stood for at one time. A change of what answers makes a new revision, never merged silently."""

    __tablename__ = "model_revisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of everything below that decides what answers: see `arena.revisions`."""
    model_id: Mapped[str] = mapped_column(index=True)
    number: Mapped[int]
    """1, 2, … in the order in which this id changed."""
    platform: Mapped[str]
    api_name: Mapped[str]
    deployment: Mapped[str | None]
    """What the API name resolved to (a Vertex endpoint), where it had to be resolved."""
    system_prompt: Mapped[str | None]
    sampling: Mapped[dict[str, Any]]
    display_name: Mapped[str]
    family: Mapped[str | None]
    version: Mapped[str | None]
    parent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("model_id", "number"),)


class Voter(Base):
    """A pseudonymous person: a random id from a signed cookie, or a signed-in account. Never an address."""

    __tablename__ = "voters"

    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Conversation(Base):
    """The visitor's side of a conversation; answers of any number of models hang from it."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[ConversationKind]
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    history: Mapped[list[dict[str, str]]] = mapped_column(default=list)
    """Messages shared by all sides before turn 1 ("Continue from this answer"): [{"role": …, "content": …}, …]."""
    challenge_id: Mapped[str | None]
    challenge_tags: Mapped[list[str]] = mapped_column(default=list)
    language: Mapped[str | None]
    """ISO 639-1 code of the first prompt."""
    language_method: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Prompt(Base):
    """One user turn of a conversation."""

    __tablename__ = "prompts"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    """1, 2, …"""
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Answer(Base):
    """What one revision said at one turn, at one attempt. A failure is a fact in `failure`, never words in `text`."""

    __tablename__ = "answers"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), index=True)
    turn: Mapped[int]
    attempt: Mapped[int]
    """1, 2, … within one seat's turn: a retry or a replacement is a further attempt."""
    side: Mapped[Side | None]
    """The seat the attempt was made for; kept for failed attempts too."""
    text: Mapped[str] = mapped_column(default="")
    reasoning: Mapped[str] = mapped_column(default="")
    finish_reason: Mapped[str | None]
    """The platform's word, lower case: `stop`, `length`, … `None` until the answer has finished."""
    failure: Mapped[FailureKind | None]
    sampling: Mapped[dict[str, Any]]
    """What was asked for: temperature, top_p, max_new_tokens."""
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    request_id: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    first_token_ms: Mapped[float | None]
    """From sending to the first text or reasoning."""
    total_ms: Mapped[float | None]
    """From sending to the end."""
    identity_findings: Mapped[list[str]] = mapped_column(default=list)
    """Phrases in which the answer names its maker or model; see `arena.identity`."""

    __table_args__ = (Index("ix_answers_conversation_turn", "conversation_id", "turn"),)


class Battle(Base):
    """Two seats over one conversation."""

    __tablename__ = "battles"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    mode: Mapped[Mode]
    state: Mapped[BattleState] = mapped_column(default=BattleState.RUNNING, index=True)
    state_reason: Mapped[str | None]
    turn: Mapped[int] = mapped_column(default=1)
    """The latest turn."""
    revision_a: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"))
    revision_b: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"))
    """Who sits where now; a replacement before any text was shown changes it."""
    question: Mapped[str]
    question_version: Mapped[str]
    continues_battle_id: Mapped[str | None] = mapped_column(ForeignKey("battles.id"))
    continues_side: Mapped[Side | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    closed_at: Mapped[datetime | None]
    first_shown_ms: Mapped[float | None]
    """From sending to the first text shown, at the first turn."""
    answered_ms: Mapped[float | None]
    """From sending to both answers complete, at the first turn."""


class Seat(Base):
    """Which answer a side showed at a turn."""

    __tablename__ = "seats"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    side: Mapped[Side] = mapped_column(primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), index=True)


class Vote(Base):
    """The verdict on a battle; the primary key allows one per battle, whoever clicks twice."""

    __tablename__ = "votes"

    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"), primary_key=True)
    winner: Mapped[Winner]
    turn: Mapped[int]
    """The number of turns the voter had seen."""
    criteria: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Criterion id -> `model_a`, `model_b` or `tie`; a criterion that was not rated is absent."""
    rubric_version: Mapped[str | None]
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    state: Mapped[VoteState] = mapped_column(default=VoteState.COUNTED)
    state_reason: Mapped[str | None]
    rated: Mapped[bool]
    """Whether it is in the pair counts: never for named models, an identity leak, or a vote that no longer counts."""
    shown_first: Mapped[Side] = mapped_column(default=Side.A)
    sequence: Mapped[int] = mapped_column(unique=True)
    """A number given in commit order."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    changed_at: Mapped[datetime] = mapped_column(default=now)


class VoterDecision(Base):
    """One decision of the operator about a voter; the latest holds, and the earlier ones stay as its history."""

    __tablename__ = "voter_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    voter_id: Mapped[str] = mapped_column(ForeignKey("voters.id"), index=True)
    decision: Mapped[VoterVerdict]
    reason: Mapped[str]
    votes: Mapped[int]
    """How many votes it changed."""
    decided_at: Mapped[datetime] = mapped_column(default=now)


class AnswerStyle(Base):
    """How an answer looks, as far as style control asks; made from its text, and can be made again."""

    __tablename__ = "answer_styles"

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), primary_key=True)
    characters: Mapped[int]
    headings: Mapped[int]
    lists: Mapped[int]
    bold: Mapped[int]


class PairCount(Base):
    """How often each verdict fell between two revisions: all that a leaderboard needs, kept with each vote."""

    __tablename__ = "pair_counts"

    scope: Mapped[str] = mapped_column(primary_key=True)
    """`battle`, `imported`, or `campaign:<id>`."""
    criterion: Mapped[str] = mapped_column(primary_key=True, default="")
    """Empty for the overall verdict."""
    revision_low: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), primary_key=True)
    revision_high: Mapped[int] = mapped_column(ForeignKey("model_revisions.id"), primary_key=True)
    wins_low: Mapped[int] = mapped_column(default=0)
    wins_high: Mapped[int] = mapped_column(default=0)
    ties: Mapped[int] = mapped_column(default=0)
    both_bad: Mapped[int] = mapped_column(default=0)
    sequence: Mapped[int] = mapped_column(index=True)
    """The commit number of the latest change, so that a reader fetches only what is newer than what it has."""

    __table_args__ = (CheckConstraint("revision_low < revision_high", name="ordered_pair"),)


class Counter(Base):
    """Numbers handed out in commit order: the row lock makes a later number a later commit."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


class ImportedVote(Base):
    """The key of an imported vote at its source; importing the same vote again is skipped."""

    __tablename__ = "imported_votes"

    key: Mapped[str] = mapped_column(primary_key=True)
    battle_id: Mapped[str] = mapped_column(ForeignKey("battles.id"))
    source: Mapped[str]


class Database:
    """The arena's store: sessions for blocking code, threads for async code, migrations at opening.

    No session outlives the function it is opened in; a session is passed down, never opened twice.
    """

    def __init__(self, url: str) -> None:
        """Connect to `url` (SQLite or PostgreSQL); the tables are made or brought up to date by `migrate`.

        Raises:
            ConfigError: the URL is malformed, or names a database that the arena does not support.

        """
        self.engine = _create_engine(url)
        self._writing_engine = self.engine.execution_options(write=True)
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self._writing_engine, expire_on_commit=False)
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="database")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; nothing it changes is kept."""
        with self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session for one transaction: committed at the end, rolled back if anything is raised.

        On SQLite the write lock is taken at once, so that what is read inside cannot change before the commit.
        """
        with self._writers.begin() as session:
            yield session

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run blocking `function` in one of the store's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

    def later(self, function: Callable[[], object]) -> None:
        """Run blocking `function` in one of the store's own threads, soon; not at all once the store is closing."""
        with suppress(RuntimeError):
            self._threads.submit(function)

    def migrate(self) -> None:
        """Bring the tables up to date; a fresh database gets all of them. Of arenas that start at once one does it.

        Raises:
            ConfigError: the database does not answer, or is newer than this arena.

        """
        from alembic import command  # noqa: PLC0415 - 0.2 s that `--help` need not pay
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util.exc import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self._writing_engine.begin() as connection:
                if connection.dialect.name == "postgresql":  # SQLite's write lock is taken already
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigError(f"The database was written by a newer arena ({error}); update this one.") from error
        except DatabaseError as error:
            place = self.engine.url.render_as_string(hide_password=True)
            raise ConfigError(f"The database {place} cannot be opened: {error.orig}.") from error

    def close(self) -> None:
        """Finish what runs and close every connection."""
        self._threads.shutdown()
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Connect to `url` and bring its tables up to date; a SQLite file and its folder are made where missing.

    Raises:
        ConfigError: see `Database` and `Database.migrate`.

    """
    database = Database(url)
    database.migrate()
    return database


def _create_engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError("ARENA_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://…") from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    elif engine.dialect.name != "postgresql":
        raise ConfigError("ARENA_DATABASE_URL must be sqlite:///FILE or postgresql+psycopg://…")
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    """Set up each connection: write-ahead log, full durability, foreign keys, transactions begun by us."""
    if not engine.url.database or engine.url.database == ":memory:":
        raise ConfigError("ARENA_DATABASE_URL must name a file: an in-memory database would lose every vote.")
    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # pysqlite would otherwise begin transactions on its own, and too late
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
