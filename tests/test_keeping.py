"""Votes are kept safe without anybody asking, and come back when the disk was emptied."""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from arena.backup import back_up, extent_of
from arena.backup_folder import made_at, stored_backups
from arena.config import Settings, load_settings
from arena.counts import read_counts, rebuild_counts
from arena.database import Database, open_database
from arena.errors import BackupError, ConfigError
from arena.forgetting import Policy, forget
from arena.hub import Hub
from arena.keeping import LATE, LOST, Keeper
from arena.parts import Parts, build_parts
from arena.reviving import Revived, revive
from arena.tables import Prompt, Vote, Voter, Winner, now
from arena.voters import VoterIdentity
from tests.arena_facts import add_models, add_vote
from tests.scripted_hub import TOKEN, ScriptedHub, scripted_hub
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

pytestmark = pytest.mark.sqlite
VOTER = VoterIdentity("someone")
REPO = "somebody/arena-backups"


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with scripted_hub() as running:
        yield running


@pytest.fixture
def space(tmp_path: Path) -> Settings:
    """A disk that a restart empties, and a bucket beside it."""
    return load_settings(data_dir=tmp_path / "disk", backup_dir=tmp_path / "bucket", temporary_storage=True)


def opened(settings: Settings) -> Database:
    return open_database(settings.resolved_database_url)


def vote(database: Database, times: int = 1) -> list[str]:
    heron, wren = add_models(database, "heron", "wren")
    return [add_vote(database, heron, wren, Winner.MODEL_A) for _ in range(times)]


def votes_of(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Vote)) or 0


def empty_disk(settings: Settings, database: Database) -> None:
    database.close()
    shutil.rmtree(settings.data_dir)


@pytest.fixture
async def arena_on_a_space(space: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings of an arena with two models that answer."""
    with ScriptedOpenAI({"api-one": Script(text="One."), "api-two": Script(text="Two.")}) as llm:
        entry = {"api_type": "openai", "api_base": llm.url, "api_key": "none"}
        roster = tmp_path / "roster.json"
        roster.write_text(json.dumps({name: {**entry, "model_name": f"api-{name}"} for name in ("one", "two")}))
        yield space.model_copy(update={"models": roster, "pace_characters_per_s": 50_000})


async def play_and_vote(parts: Parts) -> None:
    await parts.fleet.prepare()
    *_, last = [view async for view in parts.arena.fight("Hello", VOTER)]
    await parts.arena.vote(last.battle_id, VOTER, Winner.MODEL_A)


async def test_an_arena_whose_disk_was_emptied_starts_with_every_acknowledged_vote(arena_on_a_space: Settings) -> None:
    parts = build_parts(arena_on_a_space)
    await play_and_vote(parts)
    parts.keeper.do_what_is_due(now())
    await play_and_vote(parts)
    before = parts.leaderboard.standings()
    await parts.aclose()
    shutil.rmtree(arena_on_a_space.data_dir)

    parts = build_parts(arena_on_a_space)

    assert votes_of(parts.database) == 2
    after = parts.leaderboard.standings()
    assert [(row.model_id, row.votes) for row in after.rows] == [(row.model_id, row.votes) for row in before.rows]
    assert [row.rating for row in after.rows] == pytest.approx([row.rating for row in before.rows])
    assert parts.keeper.note is None
    await parts.aclose()


def test_a_backup_is_made_when_one_is_due_and_votes_have_come(space: Settings) -> None:
    database = opened(space)
    keeper = Keeper(space, database, None)
    keeper.do_what_is_due(now())
    assert stored_backups(space) == []

    vote(database)
    keeper.do_what_is_due(now())
    keeper.do_what_is_due(now())
    assert [extent_of(file).votes for file in stored_backups(space)] == [1]

    tomorrow = now() + timedelta(hours=25)
    keeper.do_what_is_due(tomorrow)
    assert len(stored_backups(space)) == 1
    vote(database)
    keeper.do_what_is_due(tomorrow)
    assert [extent_of(file).votes for file in stored_backups(space)] == [1, 2]

    for number, backup in enumerate(stored_backups(space)):  # the clock was a year ahead, and is put right
        as_made_on(backup, now() + timedelta(days=365 + number))
    vote(database)
    keeper.do_what_is_due(now())
    assert [extent_of(file).votes for file in stored_backups(space)] == [3, 1, 2]
    database.close()


def as_made_on(backup: Path, day: datetime) -> Path:
    return backup.rename(backup.with_name(f"arena-{day:%Y%m%dT%H%M%SZ}.db"))


def test_old_backups_go_but_never_the_one_with_the_most_votes(space: Settings) -> None:
    settings = space.model_copy(update={"backup_keep": 2})
    database = opened(settings)
    vote(database, 5)
    largest = as_made_on(back_up(settings).file, now() - timedelta(days=9))
    empty_disk(settings, database)
    database = opened(settings)
    vote(database)
    smaller = [as_made_on(back_up(settings).file, now() - timedelta(days=day)) for day in (8, 7, 6)]

    Keeper(settings, database, None).do_what_is_due(now() + timedelta(hours=1))
    vote(database)
    Keeper(settings, database, None).do_what_is_due(now() + timedelta(hours=1))

    assert stored_backups(settings)[:-1] == [largest, smaller[-1]]
    database.close()


def test_the_backup_with_the_most_votes_comes_back_and_a_damaged_one_is_passed_over(space: Settings) -> None:
    database = opened(space)
    vote(database, 3)
    as_made_on(back_up(space).file, now() - timedelta(days=3))
    vote(database)
    damaged = as_made_on(back_up(space).file, now() - timedelta(days=2))
    empty_disk(space, database)
    damaged.write_bytes(damaged.read_bytes()[:5000])
    database = opened(space)
    vote(database)
    back_up(space)
    empty_disk(space, database)

    revive(space, None)

    database = opened(space)
    assert votes_of(database) == 3
    database.close()


def damage(file: Path) -> None:
    """Overwrite the last page: counts can be read as before, the votes cannot."""
    with file.open("r+b") as database:
        database.seek(-4096, 2)
        database.write(b"\xff" * 4096)


def test_damage_that_shows_only_when_everything_is_read_costs_no_vote(space: Settings, hub: ScriptedHub) -> None:
    """The backup before it, and the log of the votes since, bring everything back."""
    settings, remote = space.model_copy(update={"backup_hours": 0}), Hub(REPO, TOKEN, hub.url)
    database = opened(settings)
    keeper = Keeper(settings, database, remote)
    for day in (2, 1):
        for battle in vote(database, 2):
            keeper.stored(battle)
        as_made_on(back_up(settings).file, now() - timedelta(days=day))
        keeper.do_what_is_due(now())
    empty_disk(settings, database)
    older, newer = stored_backups(settings)
    damage(newer)
    assert extent_of(newer, closed=True).votes == 4
    latest = remote.snapshots()[-1].path
    hub.files[latest] = hub.files[latest][:-4096] + b"\xff" * 4096

    assert revive(settings, remote) == Revived(older, 2)

    database = opened(settings)
    assert votes_of(database) == 4
    database.close()


_CONNECTED: list[str] = []


def _note_connections(event: str, arguments: tuple[object, ...]) -> None:
    if event == "sqlite3.connect":
        _CONNECTED.append(str(arguments[0]))


def test_where_backups_are_kept_sqlite_opens_nothing_but_closed_files(space: Settings) -> None:
    """A bucket knows no locks, and takes a file as one stream from its first byte to its last."""
    sys.addaudithook(_note_connections)  # stays for this process, which it costs nothing
    database = opened(space)
    vote(database, 2)
    Keeper(space, database, None).do_what_is_due(now())
    empty_disk(space, database)
    revive(space, None)

    there = [place for place in _CONNECTED if str(space.backup_dir) in place]
    assert there
    assert all("immutable=1" in place for place in there)
    assert list(space.data_dir.iterdir()) == [space.data_dir / "arena.db"]


def test_where_backups_are_all_damaged_the_arena_does_not_start_empty(space: Settings) -> None:
    space.resolved_backup_dir.mkdir()
    (space.resolved_backup_dir / "arena-20260101T000000Z.db").write_text("no database")

    with pytest.raises(ConfigError, match="does not start empty"):
        revive(space, None)


def test_where_backups_cannot_be_looked_at_the_arena_does_not_start_empty(space: Settings) -> None:
    space.resolved_backup_dir.write_text("no folder")

    with pytest.raises(ConfigError, match=r"bucket cannot be read \(Not a directory\).*does not start empty"):
        revive(space, None)


def test_a_data_folder_that_its_owner_emptied_stays_empty(make_settings: type[Settings]) -> None:
    """Where backups lie in the data folder itself, nothing is brought back unasked."""
    settings = make_settings()
    database = opened(settings)
    vote(database)
    back_up(settings)
    database.close()
    Path(str(database.engine.url.database)).unlink()

    assert revive(settings, None) is None


def test_a_dataset_keeps_snapshots_and_votes_privately_and_gives_them_back(hub: ScriptedHub, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "disk", backup_repo=REPO, temporary_storage=True)
    remote = Hub(REPO, TOKEN, hub.url)
    database = opened(settings)
    keeper = Keeper(settings, database, remote)
    for battle in vote(database, 3):
        keeper.stored(battle)
    keeper.do_what_is_due(now())
    for battle in vote(database, 2):
        keeper.stored(battle)
    keeper.do_what_is_due(now())
    commits = hub.commits
    keeper.do_what_is_due(now())
    assert (keeper.failure, hub.private, hub.commits) == (None, {REPO}, commits)
    assert keeper.note == LATE
    empty_disk(settings, database)

    hub.failing = "/votes/"
    with pytest.raises(ConfigError, match=r"could not be reached.*does not start empty"):
        revive(settings, remote)
    assert not Path(settings.resolved_database_url.removeprefix("sqlite:///")).exists()
    hub.failing = None

    assert revive(settings, remote) == Revived(Path(REPO) / remote.snapshots()[-1].path, 2)
    database = opened(settings)
    assert votes_of(database) == 5
    database.close()


def test_votes_of_a_dataset_that_cannot_be_written_down_are_told_in_a_sentence(
    hub: ScriptedHub, tmp_path: Path
) -> None:
    settings = load_settings(data_dir=tmp_path / "disk", backup_repo=REPO, temporary_storage=True)
    settings.data_dir.mkdir()
    settings.resolved_backup_dir.write_text("no folder")

    with pytest.raises(ConfigError, match=r"votes cannot be written to .*does not start empty"):
        revive(settings, Hub(REPO, TOKEN, hub.url))


def test_a_snapshot_that_did_not_arrive_is_sent_again(hub: ScriptedHub, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "disk", backup_repo=REPO, temporary_storage=True)
    remote = Hub(REPO, TOKEN, hub.url)
    database = opened(settings)
    keeper = Keeper(settings, database, remote)
    vote(database)
    hub.failing = "/large/"

    keeper.do_what_is_due(now())
    keeper.do_what_is_due(now())
    assert (keeper.failure or "").startswith(f"The dataset {REPO}")
    assert remote.snapshots() == []
    hub.failing = None
    keeper.do_what_is_due(now())

    assert keeper.failure is None
    assert [snapshot.changes for snapshot in remote.snapshots()] == [1]
    database.close()


def test_votes_given_before_the_first_backup_come_back_from_their_log(space: Settings) -> None:
    database = opened(space)
    keeper = Keeper(space, database, None)
    for battle in vote(database, 2):
        keeper.stored(battle)
    empty_disk(space, database)

    assert revive(space, None) == Revived(None, 2)
    database = opened(space)
    assert votes_of(database) == 2
    database.close()


@pytest.mark.parametrize(("policy", "stay"), [("deleted", 1), ("kept", 3)])
def test_nothing_of_a_forgotten_voter_comes_back_with_older_backups_and_votes(
    space: Settings, policy: Policy, stay: int
) -> None:
    settings = space.model_copy(update={"forgotten_votes": policy})
    database = opened(settings)
    keeper = Keeper(settings, database, None)
    heron, wren = add_models(database, "heron", "wren")
    keeper.stored(add_vote(database, heron, wren, Winner.TIE, voter="anna", turns=(("Anna's secret", "1", "2"),)))
    keeper.do_what_is_due(now())
    for voter, text in (("anna", "Another secret"), ("ben", "Nothing to hide")):
        keeper.stored(add_vote(database, heron, wren, Winner.MODEL_A, voter=voter, turns=((text, "1", "2"),)))

    forget(database, "anna", policy)
    keeper.forgotten("anna")
    empty_disk(settings, database)

    assert revive(settings, None) is not None
    database = opened(settings)
    with database.read() as session:
        assert set(session.scalars(select(Prompt.text))) <= {"Nothing to hide", ""}
        assert "anna" not in session.scalars(select(Voter.id)).all()
    assert votes_of(database) == stay
    before = read_counts(database, ["battle"]).ties.tolist()
    rebuild_counts(database)
    assert read_counts(database, ["battle"]).ties.tolist() == before
    database.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_dataset_that_refuses_stops_an_empty_start_and_is_told_while_running(
    hub: ScriptedHub, tmp_path: Path, status: int
) -> None:
    settings = load_settings(data_dir=tmp_path / "disk", backup_repo=REPO, temporary_storage=True)
    hub.status = status
    remote = Hub(REPO, TOKEN, hub.url)
    with pytest.raises(ConfigError, match=f"{REPO} answered {status}; check HF_TOKEN.*does not start empty"):
        revive(settings, remote)

    database = opened(settings)
    vote(database)
    keeper = Keeper(settings, database, remote)
    keeper.do_what_is_due(now())
    assert (keeper.failure or "").startswith(f"The dataset {REPO} answered {status}")
    assert keeper.note == LOST
    hub.status = None
    keeper.do_what_is_due(now() + timedelta(hours=25))
    assert keeper.failure is None
    database.close()


def test_a_snapshot_that_arrives_incomplete_is_no_backup(hub: ScriptedHub, tmp_path: Path) -> None:
    hub.losing = True
    file = tmp_path / "arena-20260101T000000Z.db"
    file.write_bytes(b"database" * 1000)

    with pytest.raises(BackupError, match="keeps 7999 of 8000 bytes"):
        Hub(REPO, TOKEN, hub.url).keep_snapshot(file, 7, 9)


def test_a_bucket_that_cannot_be_written_costs_no_vote_and_is_told_to_everybody(space: Settings) -> None:
    database = opened(space)
    keeper = Keeper(space, database, None)
    (battle,) = vote(database)
    space.resolved_backup_dir.write_text("a file where the bucket should be")

    keeper.stored(battle)

    keeper.do_what_is_due(now())
    assert keeper.note == LOST
    assert "could not be written" in (keeper.failure or "")
    assert votes_of(database) == 1

    space.resolved_backup_dir.unlink()
    keeper.do_what_is_due(now())
    assert keeper.note is None
    empty_disk(space, database)
    for backup in stored_backups(space):
        backup.unlink()
    assert revive(space, None) == Revived(None, 1)


def test_a_backups_name_tells_when_it_was_made(space: Settings) -> None:
    database = opened(space)
    vote(database)
    before = now().replace(microsecond=0)
    first, second = back_up(space).file, back_up(space).file
    assert before <= made_at(first) <= made_at(second) <= now()
    database.close()
