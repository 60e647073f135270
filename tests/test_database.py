"""Tables and transactions: what the database itself guarantees."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from arena.database import Database, open_database
from arena.errors import ConfigError
from arena.tables import Base, Conversation, ConversationKind, Voter
from tests.databases import a_new_one, database_of


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert differences == []


def test_opening_twice_keeps_what_is_stored(tmp_path: Path) -> None:
    url = database_of(tmp_path / "kept")
    first = open_database(url)
    with first.write() as session:
        session.add(Voter(id="v1"))
    first.close()

    second = open_database(url)
    with second.read() as session:
        assert session.get(Voter, "v1") is not None
    second.close()


def test_a_database_of_a_newer_arena_is_refused(tmp_path: Path) -> None:
    url = database_of(tmp_path)
    store = open_database(url)
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()

    with pytest.raises(ConfigError, match="newer arena"):
        open_database(url)


@pytest.mark.sqlite
def test_every_connection_is_durable_and_checks_references(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_row_that_points_nowhere_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Conversation(kind=ConversationKind.CHAT, voter_id="nobody"))


def test_a_word_outside_the_vocabulary_is_refused_by_the_database_itself(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Voter(id="v1"))
        session.flush()
        session.execute(
            text(
                "INSERT INTO conversations (id, kind, voter_id, history, challenge_tags, created_at) "
                "VALUES ('c', 'CHAT', 'v1', '[]', '[]', '2026-01-01')"
            )
        )


def test_words_are_stored_as_the_interface_names_them(database: Database) -> None:
    with database.write() as session:
        session.add(Voter(id="v1"))
        session.flush()
        session.add(Conversation(id="c", kind=ConversationKind.SIDE_BY_SIDE, voter_id="v1"))

    with database.read() as session:
        assert session.execute(text("SELECT kind FROM conversations")).scalar() == "side_by_side"


def test_moments_come_back_in_utc_and_need_a_zone(database: Database) -> None:
    paris = timezone(timedelta(hours=2))
    with database.write() as session:
        session.add(Voter(id="v1", created_at=datetime(2026, 7, 1, 12, tzinfo=paris)))
    with database.read() as session:
        stored = session.get_one(Voter, "v1").created_at

    assert stored == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert stored.tzinfo is UTC
    with pytest.raises(StatementError, match="no time zone"), database.write() as session:
        session.add(Voter(id="v2", created_at=datetime(2026, 7, 1)))


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        session.add(Voter(id="v1"))
        session.flush()
        raise RuntimeError

    with database.read() as session:
        assert session.get(Voter, "v1") is None


@pytest.mark.sqlite
def test_two_writers_take_turns_so_that_no_update_is_lost(database: Database) -> None:
    """Each of 4 threads reads a number and writes it back one higher, 25 times."""
    from concurrent.futures import ThreadPoolExecutor

    from arena.tables import Counter

    with database.write() as session:
        session.add(Counter(name="n", value=0))

    def add_one(_: int) -> None:
        with database.write() as session:
            counter = session.get_one(Counter, "n")
            counter.value += 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(100)))

    with database.read() as session:
        assert session.get_one(Counter, "n").value == 100


@pytest.mark.parametrize("url", ["mysql://localhost/arena", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_an_unsupported_database_says_what_is_supported(url: str) -> None:
    with pytest.raises(ConfigError, match="ARENA_DATABASE_URL must"):
        Database(url)


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgresql_database_that_cannot_hold_all_text_is_refused_with_what_to_do(
    encoding: str, postgres_socket: Path
) -> None:
    url = a_new_one(postgres_socket, f"template0 ENCODING '{encoding}'")

    with pytest.raises(ConfigError, match=f"keeps text as {encoding}, .* `createdb --encoding=UTF8"):
        open_database(url)


def test_a_file_that_is_no_database_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "arena.db").write_text("not a database at all, but long enough to be read as a header of one " * 20)

    with pytest.raises(ConfigError, match=r"arena\.db cannot be opened"):
        open_database(f"sqlite:///{tmp_path / 'arena.db'}")
