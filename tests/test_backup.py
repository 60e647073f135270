"""Backups hold every vote that was acknowledged, and a restore loses none either."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from arena.backup import back_up, restore
from arena.backup_folder import describe_backups, newest_backup
from arena.cli import main
from arena.config import SHIPPED_DIR
from arena.database import Database, open_database
from arena.errors import BackupError, ConfigError
from arena.tables import Vote, Winner
from tests.arena_facts import add_models, add_vote, take_back
from tests.conftest import SettingsFactory
from tests.databases import sqlite_in

pytestmark = pytest.mark.sqlite


def votes_in(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("SELECT count(*) FROM votes").fetchone()[0])
    finally:
        connection.close()


def vote(database: Database, times: int = 1) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for _ in range(times):
        add_vote(database, heron, wren, Winner.MODEL_A)


def folder_of(file: Path) -> set[str]:
    return {path.name for path in file.parent.iterdir()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose arena has three votes and does not run."""
    database = open_database(sqlite_in(tmp_path / "data"))
    vote(database, 3)
    database.close()
    return tmp_path / "data"


def test_a_backup_taken_while_votes_come_in_holds_every_vote_acknowledged_before(
    database: Database, make_settings: SettingsFactory
) -> None:
    heron, wren = add_models(database, "heron", "wren")
    acknowledged, enough, stop = 0, threading.Event(), threading.Event()

    def keep_voting() -> None:
        nonlocal acknowledged
        while not stop.is_set():
            add_vote(database, heron, wren, Winner.TIE)
            acknowledged += 1
            if acknowledged >= 5:
                enough.set()

    voting = threading.Thread(target=keep_voting)
    voting.start()
    try:
        assert enough.wait(30)
        for _ in range(5):
            before = acknowledged
            made = back_up(make_settings())
            assert made.votes == votes_in(made.file) >= before
    finally:
        stop.set()
        voting.join()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Vote)) == acknowledged


def test_a_backup_is_one_file_that_only_its_owner_reads(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup"]) == 0

    (file,) = (data / "backups").iterdir()
    assert re.fullmatch(r"arena-\d{8}T\d{6}Z\.db", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    told = capsys.readouterr().out
    assert told.endswith(f"backups/{file.name}: {file.stat().st_size:,} bytes, 3 votes\n")


def test_backups_within_one_second_overwrite_nothing(data: Path, make_settings: SettingsFactory) -> None:
    made = [back_up(make_settings()).file for _ in range(12)]

    assert len(set(made)) == 12
    assert set(made) == set((data / "backups").iterdir())
    assert newest_backup(make_settings()) == made[-1]


@pytest.mark.usefixtures("data")
def test_a_named_backup_never_replaces_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.db"
    assert main(["backup", "--out", str(file)]) == 0
    held = file.read_bytes()

    assert main(["backup", "--out", str(file)]) == 2

    assert capsys.readouterr().err == f"{file} exists already; a backup overwrites nothing.\n"
    assert file.read_bytes() == held


def test_the_newest_backup_is_told_where_people_look(data: Path, make_settings: SettingsFactory) -> None:
    settings = make_settings()
    assert describe_backups(settings).startswith(f"none yet in {data / 'backups'}")
    (data / "backups").mkdir()
    for name in ("arena-20260131T120000Z.db", "arena-20260131T120000Z-2.db", "demo-20270101T000000Z.db", "else.db"):
        (data / "backups" / name).write_text("a backup")
    newest = data / "backups" / "arena-20260131T120000Z-2.db"
    assert describe_backups(settings) == f"{newest}, made on 31 January 2026 at 12:00 UTC"
    assert "pg_dump" in describe_backups(make_settings(database_url="postgresql+psycopg://h/arena"))


def test_a_name_that_a_killed_process_had_reserved_is_no_backup(data: Path, make_settings: SettingsFactory) -> None:
    made = back_up(make_settings()).file
    (made.parent / "arena-29991231T000000Z.db").touch()

    assert newest_backup(make_settings()) == made


def test_without_a_database_a_backup_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup"]) == 2
    assert capsys.readouterr().err.startswith(f"There is no database {tmp_path / 'data' / 'arena.db'}")
    assert not (tmp_path / "data").exists()


def test_postgresql_is_sent_to_its_own_program(capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--database", "postgresql+psycopg://nobody@127.0.0.1:1/arena"]
    assert main(["backup", *url]) == 2
    assert "pg_dump" in capsys.readouterr().err
    assert main(["restore", "any", *url]) == 2
    assert "pg_restore" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_sentence(
    data: Path, make_settings: SettingsFactory, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Nothing can be written in"):
        back_up(make_settings(backup_dir=tmp_path / "file" / "backups"))
    assert folder_of(data / "arena.db") == {"arena.db"}


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_no_partial_file(data: Path, tmp_path: Path) -> None:
    # A limit on the size of any file this one process writes fails SQLite's writes as a full disk does.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

    done = subprocess.run(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
         "from arena.cli import main; raise SystemExit(main(['backup']))"],
        env={**os.environ, "PYTHONPATH": str(SHIPPED_DIR), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path, preexec_fn=limit, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(r"The backup could not be finished: .+\. Nothing of it is kept\.\n", done.stderr)
    assert list((data / "backups").iterdir()) == []


def test_a_damaged_database_is_never_backed_up_as_if_it_were_sound(data: Path, make_settings: SettingsFactory) -> None:
    damage(data / "arena.db")
    with pytest.raises(BackupError):
        back_up(make_settings())
    assert list((data / "backups").glob("*")) == []


def damage(file: Path) -> None:
    """Overwrite every page but the first."""
    with file.open("r+b") as database:
        database.seek(4096)
        database.write(b"\xff" * (file.stat().st_size - 4096))


def test_a_restore_brings_votes_back_and_keeps_what_was_there(
    data: Path, make_settings: SettingsFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = back_up(make_settings()).file
    database = open_database(make_settings().resolved_database_url)
    vote(database, 4)
    database.close()

    assert main(["restore", str(kept)]) == 0

    told = capsys.readouterr().out
    assert told.startswith(f"{data / 'arena.db'} holds 3 votes now.\n")
    former = newest_backup(make_settings())
    assert former is not None
    assert f"The former database is kept: {former}\n" in told
    assert (votes_in(data / "arena.db"), votes_in(former), votes_in(kept)) == (3, 7, 3)
    assert {name for name in folder_of(data / "arena.db") if "arena.db" in name} == {"arena.db"}


def test_a_restore_into_an_empty_data_folder_is_how_an_arena_moves(
    data: Path, make_settings: SettingsFactory, tmp_path: Path
) -> None:
    kept = back_up(make_settings()).file
    restored = restore(make_settings(data_dir=tmp_path / "new"), kept)
    assert (restored.votes, restored.former) == (3, None)
    assert votes_in(tmp_path / "new" / "arena.db") == 3
    assert votes_in(data / "arena.db") == 3


def first_tables(file: Path) -> None:
    """Take a database back to the tables of the first arenas."""
    older = Database(f"sqlite:///{file}")
    take_back(older, "0001")
    older.close()


def test_an_older_backup_gets_todays_tables(data: Path, make_settings: SettingsFactory) -> None:
    kept = back_up(make_settings()).file
    first_tables(kept)

    restore(make_settings(), kept)

    with sqlite3.connect(data / "arena.db") as restored:
        tables = {name for (name,) in restored.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    restored.close()
    assert tables >= {"voter_decisions", "answer_styles"}


def test_a_damaged_database_is_kept_as_it_is_when_a_backup_replaces_it(
    data: Path, make_settings: SettingsFactory
) -> None:
    kept = back_up(make_settings()).file
    damage(data / "arena.db")
    held = (data / "arena.db").read_bytes()

    restored = restore(make_settings(), kept)

    assert votes_in(data / "arena.db") == 3
    assert restored.former is not None
    assert restored.former.read_bytes()[4096:] == held[4096:]


@pytest.fixture
def bad_files(data: Path, make_settings: SettingsFactory, tmp_path: Path) -> dict[str, Path]:
    """What somebody may take for a backup."""
    files = {name: tmp_path / f"{name}.db" for name in ("damaged", "text", "foreign", "newer", "missing")}
    assert data.is_dir()
    for name in ("damaged", "newer"):
        back_up(make_settings(), files[name])
    damage(files["damaged"])
    files["text"].write_text("not a database at all\n" * 500)
    for name, statement in (
        ("foreign", "CREATE TABLE birds (name)"),
        ("newer", "UPDATE alembic_version SET version_num = '9999'"),
    ):
        with sqlite3.connect(files[name]) as connection:
            connection.execute(statement)
        connection.close()
    return files


@pytest.mark.parametrize("kind", ["damaged", "text", "foreign", "newer", "missing"])
def test_what_is_no_sound_backup_is_refused_and_nothing_changes(
    kind: str, bad_files: dict[str, Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = (data / "arena.db").read_bytes()

    assert main(["restore", str(bad_files[kind])]) == 2

    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert (data / "arena.db").read_bytes() == held
    assert folder_of(data / "arena.db") <= {"arena.db", "arena.lock"}


def test_a_restore_is_refused_while_the_service_runs(
    data: Path, make_settings: SettingsFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = back_up(make_settings()).file
    command = [sys.executable, "-c", "input()", "--service", str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        (data / "arena.pid").write_text(f"{process.pid}\n")
        assert main(["restore", str(kept)]) == 2
        process.communicate(b"\n")
    assert capsys.readouterr().err == "The arena runs; stop it first: ./deploy_coaia_arena.sh stop\n"
    assert list((data / "backups").iterdir()) == [kept]
    assert main(["restore", str(kept)]) == 0  # the pid file is stale now


def test_a_restore_is_refused_while_anything_else_has_the_database_open(
    data: Path, make_settings: SettingsFactory
) -> None:
    kept = back_up(make_settings()).file
    database = open_database(make_settings().resolved_database_url)
    vote(database)
    with pytest.raises(ConfigError, match=r"Something else uses .*arena\.db; stop it first"):
        restore(make_settings(), kept)
    vote(database)
    database.close()
    assert votes_in(data / "arena.db") == 5


@pytest.mark.usefixtures("data")
def test_the_present_database_is_no_backup_of_itself(make_settings: SettingsFactory) -> None:
    settings = make_settings()
    with pytest.raises(ConfigError, match="present database"):
        restore(settings, settings.data_dir / "arena.db")


def test_a_demonstrations_backup_never_becomes_a_real_arena(tmp_path: Path, make_settings: SettingsFactory) -> None:
    demo = open_database(make_settings(demo=True).resolved_database_url)
    heron, wren = add_models(demo, "heron", "wren", platform="demo")
    add_vote(demo, heron, wren, Winner.MODEL_A)
    demo.close()
    kept = back_up(make_settings(demo=True)).file

    with pytest.raises(ConfigError, match="restore it with --demo"):
        restore(make_settings(), kept)

    assert not (tmp_path / "data" / "arena.db").exists()
    assert restore(make_settings(demo=True), kept).votes == 1
