"""Whether this machine is fit to run the arena."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena.config import SHIPPED_DIR
from arena.errors import ConfigError
from arena.machine_check import (
    GIGABYTE,
    Finding,
    Level,
    available_memory,
    check_backups,
    check_disk,
    check_file_system,
    check_local_servers,
    check_memory,
    check_port,
    check_python,
    check_roster,
    check_shared_secrets,
    check_variables,
    check_writable,
    inspect,
    is_local,
    require_local_database,
    sqlite_file,
)
from arena.mounts import file_system_of, is_mounted
from arena.roster import load_roster
from tests.conftest import SettingsFactory


@pytest.fixture
def answering() -> Iterator[type[http.server.BaseHTTPRequestHandler]]:
    """A handler whose server listens at `address`, and answers what `body` and `status` say."""

    class Handler(http.server.BaseHTTPRequestHandler):
        address = ""
        status = 200
        body = b"{}"

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Handler.address = f"127.0.0.1:{server.server_address[1]}"
        yield Handler
        server.shutdown()
        thread.join()


def sentences(findings: "list[Finding] | Iterator[Finding]", level: Level) -> str:
    return "\n".join(finding.sentence for finding in findings if finding.level is level)


def test_the_interpreter_must_be_new_enough() -> None:
    assert check_python((3, 12)).level is Level.FINE
    assert check_python((3, 10)).level is Level.ERROR
    assert "install Python 3.11" in check_python((3, 9)).sentence


@pytest.mark.parametrize(
    ("gigabytes", "level"),
    [(0.1, Level.ERROR), (0.5, Level.WARNING), (2, Level.FINE)],
    ids=["none", "little", "enough"],
)
def test_a_full_disk_is_told_before_the_start(gigabytes: float, level: Level, tmp_path: Path) -> None:
    found = check_disk(tmp_path, int(gigabytes * GIGABYTE))

    assert found.level is level
    assert str(tmp_path) in found.sentence


@pytest.mark.parametrize(
    ("gigabytes", "level"), [(0.1, Level.ERROR), (0.3, Level.WARNING), (2, Level.FINE), (None, Level.FINE)]
)
def test_too_little_memory_is_told_before_the_start(gigabytes: float | None, level: Level) -> None:
    assert check_memory(None if gigabytes is None else int(gigabytes * GIGABYTE)).level is level


def test_free_memory_is_what_linux_says_a_process_can_have(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       16384000 kB\nMemAvailable:    2048000 kB\n")

    assert available_memory(tmp_path / "meminfo") == 2048000 * 1024
    assert available_memory(tmp_path / "nowhere") is None


def test_a_data_folder_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert check_writable(tmp_path / "yet" / "to" / "come").level is Level.FINE
    assert "is no folder" in check_writable(tmp_path / "file").sentence


def test_a_data_folder_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "arena.machine_check.os.access", lambda place, _: place != tmp_path
    )  # nothing is forbidden to root

    assert check_writable(tmp_path / "data").level is Level.ERROR


@pytest.mark.sqlite
def test_a_folder_of_backups_that_cannot_be_written_to_is_told_before_the_first_vote(
    make_settings: SettingsFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    settings = make_settings(backup_dir=bucket, models=SHIPPED_DIR / "models.yaml", port=0)
    assert "bucket" not in sentences(iter(inspect(settings, {})), Level.WARNING)
    monkeypatch.setattr("arena.machine_check.os.access", lambda place, _: place != bucket)

    told = sentences(iter(inspect(settings, {})), Level.WARNING)

    assert f"{bucket} cannot be written to by user " in told
    assert "change its owner, or name another with ARENA_BACKUP_DIR." in told
    assert check_backups(make_settings(backup_dir=bucket, demo=True)) == []
    assert check_backups(make_settings(backup_dir=bucket, database_url="postgresql+psycopg://arena@db/arena")) == []


@pytest.mark.sqlite
def test_without_a_database_an_arena_cannot_start_where_backups_cannot_be_read(
    make_settings: SettingsFactory, tmp_path: Path
) -> None:
    (tmp_path / "bucket").write_text("no folder")
    settings = make_settings(backup_dir=tmp_path / "bucket")

    assert [found.level for found in check_backups(settings)] == [Level.ERROR]

    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "arena.db").touch()
    assert [found.level for found in check_backups(settings)] == [Level.WARNING]


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/share rw - nfs4 server:/share rw
31 22 0:41 / /mnt/bucket rw - fuse.s3fs s3fs rw
32 22 0:42 / /mnt/with\\040space rw - cifs //server/share rw
33 30 8:2 / /mnt/share/local rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "ext4"),
        ("/mnt/share/data", "nfs4"),
        ("/mnt/bucket", "fuse.s3fs"),
        ("/mnt/with space/x", "cifs"),
        ("/mnt/share/local/data", "xfs"),
        ("/mnt/shared", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_the_innermost_mount(
    place: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr("arena.mounts.existing_parent", lambda path: path)

    assert file_system_of(Path(place), tmp_path / "mountinfo") == kind


def test_a_mount_from_the_same_disk_is_one_too(tmp_path: Path) -> None:
    """As a volume is where Docker keeps containers as plain folders of the machine's disk."""
    (tmp_path / "mountinfo").write_text(f"36 35 98:0 /volumes/backups {tmp_path} rw,noatime - ext4 /dev/sda1 rw\n")

    assert is_mounted(tmp_path, tmp_path / "mountinfo")
    assert not is_mounted(tmp_path / "beside", tmp_path / "mountinfo")
    assert is_mounted(Path("/"), tmp_path / "none")
    assert not is_mounted(tmp_path, tmp_path / "none")


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("nfs", Level.ERROR),
        ("nfs4", Level.ERROR),
        ("cifs", Level.ERROR),
        ("smb3", Level.ERROR),
        ("fuse.gcsfuse", Level.ERROR),
        ("fuse.rclone", Level.ERROR),
        ("fuse.mount-s3", Level.ERROR),
        ("fuse.sshfs", Level.ERROR),
        ("ext4", Level.FINE),
        ("overlay", Level.FINE),
        ("fuseblk", Level.FINE),
        ("fuse.fuse-overlayfs", Level.FINE),
        ("", Level.FINE),
    ],
)
@pytest.mark.sqlite
def test_a_database_on_a_network_or_bucket_mount_is_refused(
    kind: str, level: Level, make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arena.machine_check.file_system_of", lambda _: kind)

    found = check_file_system(make_settings(), {})

    assert found.level is level
    if level is Level.ERROR:
        assert "ARENA_DATA_DIR" in found.sentence
        with pytest.raises(ConfigError, match="SQLite loses votes"):
            require_local_database(make_settings(), {})
        require_local_database(make_settings(database_url="postgresql+psycopg://arena@db/arena"), {})


@pytest.mark.sqlite
def test_a_spaces_bucket_is_refused_whatever_it_is_mounted_as(make_settings: SettingsFactory) -> None:
    settings = make_settings(data_dir=Path("/data/arena"))

    assert check_file_system(settings, {"SPACE_ID": "someone/arena"}).level is Level.ERROR
    assert check_file_system(settings, {}).level is Level.FINE


def test_only_sqlite_has_a_file() -> None:
    assert sqlite_file("sqlite:///data/arena.db") == Path("data/arena.db")
    assert sqlite_file("sqlite:////srv/arena.db") == Path("/srv/arena.db")
    assert sqlite_file("postgresql+psycopg://arena@db/arena") is None
    assert sqlite_file("no url at all") is None


def test_what_several_arenas_must_share_is_asked_for_on_postgresql_only(make_settings: SettingsFactory) -> None:
    url = "postgresql+psycopg://arena@localhost/arena"
    told = [finding.sentence for finding in check_shared_secrets(make_settings(database_url=url, secret="s"))]

    assert [sentence.split(" is not set")[0] for sentence in told] == ["ARENA_ADMIN_PASSWORD"]
    assert check_shared_secrets(make_settings(database_url=url, secret="s", admin_password="p")) == []
    assert check_shared_secrets(make_settings(database_url="sqlite:///arena.db")) == []


def test_a_free_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert check_port("127.0.0.1", port).level is Level.FINE
    assert check_port("0.0.0.0", port).level is Level.FINE


def test_it_is_told_whether_an_arena_or_another_program_has_the_port(
    answering: type[http.server.BaseHTTPRequestHandler],
) -> None:
    host, _, port = vars(answering)["address"].partition(":")
    stranger = check_port(host, int(port))
    answering.body = json.dumps({"status": "ok", "version": "0.1.0", "uptime_s": 5}).encode()  # type: ignore[attr-defined]
    arena = check_port("0.0.0.0", int(port))

    assert stranger.level is arena.level is Level.ERROR
    assert "in use by another program" in stranger.sentence
    assert f"Another arena answers at http://127.0.0.1:{port}" in arena.sentence


def test_a_misspelt_setting_is_told_with_the_right_one() -> None:
    told = sentences(check_variables({"ARENA_PROT": "80", "ARENA_PORT": "80", "ARENA_VENV": "x"}), Level.WARNING)

    assert told == "ARENA_PROT is no setting of the arena; did you mean ARENA_PORT?"


def test_credentials_that_are_not_there_are_told(tmp_path: Path) -> None:
    given = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}

    assert str(tmp_path / "key.json") in sentences(check_variables(given), Level.WARNING)
    (tmp_path / "key.json").write_text("{}")
    assert sentences(check_variables(given), Level.WARNING) == ""


def test_models_without_their_variables_are_named() -> None:
    roster = load_roster(SHIPPED_DIR / "models.yaml", {})

    found = list(check_roster(roster))

    assert sentences(iter(found), Level.FINE) == "4 models in the roster."
    assert sentences(iter(found), Level.WARNING) == "coaia-openai-latest will not be ready: OPENAI_API_KEY is not set."


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://192.168.1.20:8000/v1", True),
        ("http://gpu.local/v1", True),
        ("http://host.docker.internal:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://8.8.8.8/v1", False),
    ],
)
def test_only_servers_of_ones_own_network_are_asked(address: str, local: bool) -> None:
    assert is_local(address) is local


def test_a_local_server_that_does_not_answer_is_named(
    answering: type[http.server.BaseHTTPRequestHandler], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"127.0.0.1:{listener.getsockname()[1]}"
    there = vars(answering)["address"]
    answering.status = 401  # type: ignore[attr-defined]
    entries = {
        name: {"api_type": "openai", "api_base": f"http://{address}/v1"}
        for name, address in (("ollama", silent), ("vllm", there), ("again", there))
    }
    (tmp_path / "models.yaml").write_text(json.dumps(entries))

    found = check_local_servers(load_roster(tmp_path / "models.yaml", {}))

    assert sentences(iter(found), Level.WARNING) == (
        f"ollama: no server answers at {silent}: start it, or correct api_base."
    )
    assert len(found) == 2


def test_everything_is_looked_at_and_a_broken_roster_is_an_error(
    make_settings: SettingsFactory, tmp_path: Path
) -> None:
    fine = inspect(make_settings(models=SHIPPED_DIR / "models.yaml", port=0), {})
    broken = inspect(make_settings(models=tmp_path / "nowhere.yaml", port=0), {})
    demo = inspect(make_settings(models=tmp_path / "nowhere.yaml", port=0, demo=True), {})

    assert max(finding.level for finding in fine) < Level.ERROR
    assert "nowhere.yaml: no such file" in sentences(iter(broken), Level.ERROR)
    assert sentences(iter(demo), Level.ERROR) == ""
