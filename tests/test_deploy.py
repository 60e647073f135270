"""`deploy_coaia_arena.sh`, run as people run it, with the virtual environment that runs these tests."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from arena.config import SHIPPED_DIR
from arena.service import duration
from tests.databases import environment_of

SCRIPT = SHIPPED_DIR / "deploy_coaia_arena.sh"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Deployment:
    """One data folder and port, and the script that manages what runs there."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ARENA_VENV": sys.prefix,
            "ARENA_DATA_DIR": str(self.data),
            "ARENA_PORT": str(self.port),
            **environment_of(self.data),
        }

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the script, from another folder."""
        return subprocess.run(
            [SCRIPT, *arguments],
            env={**self.environment, **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    @property
    def pid(self) -> int:
        return int((self.data / "arena.pid").read_text())


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path)
    yield deployment
    if (deployment.data / "arena.pid").exists():
        assert deployment.run("stop").returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(300)  # ten commands, each of which loads the arena
def test_a_service_starts_once_tells_how_it_does_and_stops(arena: Deployment) -> None:
    assert arena.run("status").returncode == 1

    started = arena.run("start")
    assert started.returncode == 0, started.stderr
    assert f"The arena runs at {arena.address} (process {arena.pid})." in started.stdout
    assert "Offline demonstration" in started.stdout
    assert "OPENAI_API_KEY is not set" in started.stderr
    assert httpx.get(f"{arena.address}/readyz").status_code == 200

    first = arena.pid
    again = arena.run("start")
    assert again.returncode == 0
    assert again.stdout == f"The arena runs already, at {arena.address} (process {first}).\n"

    status = arena.run("status")
    assert status.returncode == 0
    told = dict(re.findall(r"^(\w+) +(.+)$", status.stdout, re.MULTILINE))
    assert told["process"] == str(first)
    assert told["address"] == arena.address
    assert told["health"] == "ok"
    assert told["models"] == "3 of 3 ready"
    assert told["votes"] == "0"
    assert re.fullmatch(r"\d+ min \d+ s", told["uptime"])

    logged = arena.run("logs")
    assert f"Serving at {arena.address}" in logged.stdout
    password = (arena.data / "admin-password").read_text().strip()
    assert password not in started.stdout + status.stdout + logged.stdout

    assert told["backup"].startswith("none yet in ")
    assert arena.run("backup").returncode == 2
    assert "/demo-" in arena.run("backup", "--demo").stdout
    assert "/demo-" in re.findall(r"^backup +(.+)$", arena.run("status").stdout, re.MULTILINE)[0]

    assert arena.run("stop").stdout == "The arena has stopped.\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(arena.address)
    assert arena.run("stop").stdout == "The arena does not run.\n"


@pytest.mark.slow
def test_status_is_healthy_only_while_two_models_can_be_drawn_and_warns_where_nothing_can_be_kept(
    arena: Deployment, tmp_path: Path
) -> None:
    arena.data.mkdir(exist_ok=True)
    (arena.data / "backups").write_text("no folder")
    retired = {
        "api_type": "openai",
        "api_base": "http://127.0.0.1:9/v1",
        "model_name": "x",
        "api_key": "x",
        "weight": 0,
    }
    roster = tmp_path / "models.json"
    roster.write_text(json.dumps({"one": retired, "two": retired}))
    started = arena.run("start", ARENA_MODELS=str(roster))
    assert started.returncode == 0
    assert httpx.get(f"{arena.address}/healthz").status_code == 200
    assert httpx.get(f"{arena.address}/readyz").status_code == 503

    status = arena.run("status", ARENA_MODELS=str(roster))

    assert status.returncode == 1
    assert "health    0 models are ready to be drawn; a battle needs two.\n" in status.stdout
    assert "models    0 of 2 ready\n" in status.stdout
    unkept = f"No backup can be kept, nor any vote beside one: {arena.data / 'backups'} is no folder: "
    on_sqlite = not environment_of(arena.data)  # PostgreSQL has tools of its own
    assert (f"Warning: {unkept}" in started.stderr) is on_sqlite
    assert (f"\n  {unkept}" in status.stdout) is on_sqlite


@pytest.mark.slow
def test_status_tells_that_models_are_still_being_asked(arena: Deployment, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        entry = {"api_type": "openai", "api_base": base, "model_name": "x", "api_key": "x"}
        roster = tmp_path / "models.json"
        roster.write_text(json.dumps({"one": entry, "two": entry}))
        arena.data.mkdir()
        environment = {**arena.environment, "ARENA_MODELS": str(roster), "ARENA_FIRST_TOKEN_S": "100"}
        command = [sys.executable, str(SCRIPT.parent / "app.py"), "--service", str(arena.data)]
        with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.DEVNULL) as process:
            (arena.data / "arena.pid").write_text(f"{process.pid}\n")
            try:
                wait_until((arena.data / "arena.address").exists, 90)
                status = arena.run("status", ARENA_MODELS=str(roster))
            finally:
                process.kill()
        (arena.data / "arena.pid").unlink()

    assert status.returncode == 1
    assert "a battle needs two. 2 models still being asked: look again in a moment." in status.stdout
    assert "  one: starting." in status.stdout


@pytest.mark.slow
def test_after_a_crash_status_says_so_and_start_starts(arena: Deployment) -> None:
    assert arena.run("start").returncode == 0
    crashed = arena.pid
    os.kill(crashed, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{crashed}").exists())

    status = arena.run("status")
    assert status.returncode == 1
    assert "The arena does not run, though nobody stopped it." in status.stdout
    assert "Serving at" in status.stdout

    restarted = arena.run("restart")
    assert restarted.returncode == 0
    assert "stale pid file" in restarted.stdout
    assert arena.pid != crashed


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


@pytest.mark.slow
def test_a_pid_that_went_to_another_program_is_stale(arena: Deployment) -> None:
    """That program must neither be taken for the arena nor be stopped."""
    with subprocess.Popen(["sleep", "100"]) as other:
        arena.data.mkdir()
        (arena.data / "arena.pid").write_text(f"{other.pid}\n")

        assert arena.run("status").returncode == 1
        stopped = arena.run("stop")

        assert other.poll() is None
        other.kill()
    assert "stale pid file" in stopped.stdout
    assert not (arena.data / "arena.pid").exists()


@pytest.mark.slow
def test_a_port_in_use_stops_the_start_with_one_sentence(arena: Deployment) -> None:
    with socket.create_server(("127.0.0.1", arena.port)):
        started = arena.run("start")

    assert started.returncode == 2
    assert started.stdout == ""
    assert f"Error: Port {arena.port} is in use by another program" in started.stderr
    assert not (arena.data / "arena.pid").exists()


def test_a_broken_roster_stops_the_start_with_its_place(arena: Deployment, tmp_path: Path) -> None:
    roster = tmp_path / "mine.yaml"
    roster.write_text("one: {api_type: opanai}")

    started = arena.run("start", ARENA_MODELS=str(roster))

    assert started.returncode == 2
    assert f"Error: {roster}: one: api_type" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.slow
def test_a_crash_at_start_is_told_with_the_end_of_the_log(arena: Deployment) -> None:
    arena.data.mkdir()
    (arena.data / "demo.db").write_bytes(b"this is no database " * 100)

    started = arena.run("start")

    assert started.returncode == 1
    assert "The arena ended while it started, with status 2. The end of its log:" in started.stdout
    assert "demo.db cannot be opened: file is not a database." in started.stdout
    assert arena.run("status").stdout == "The arena does not run.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "usage:"),
        ([], "usage:"),
        (["start", "--port", "80"], "start takes no options"),
        (["logs", "-x"], "logs"),
    ],
)
def test_wrong_use_exits_with_two(arena: Deployment, arguments: list[str], told: str) -> None:
    (arena.data / "logs").mkdir(parents=True)
    (arena.data / "logs" / "arena.log").write_text("")

    wrong = arena.run(*arguments)

    assert wrong.returncode == 2
    assert told in wrong.stderr


def test_a_wrong_setting_is_one_sentence(arena: Deployment) -> None:
    wrong = arena.run("status", ARENA_DRAIN_S="soon")

    assert wrong.returncode == 2
    assert wrong.stderr.startswith("ARENA_DRAIN_S: ")


def test_a_log_can_be_followed(arena: Deployment) -> None:
    (arena.data / "logs").mkdir(parents=True)
    log = arena.data / "logs" / "arena.log"
    log.write_text("an old line\n")
    follower = subprocess.Popen([SCRIPT, "logs", "-f"], env=arena.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "an old line\n"
        with log.open("a") as more:
            more.write("a new line\n")
        assert follower.stdout.readline() == "a new line\n"
    finally:
        follower.kill()
        follower.communicate()


# A bare machine: a copy of the script with a python3 of our own making, so that nothing is installed.


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with the script in it, and one that comes first in PATH."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    shutil.copy(SCRIPT, home)
    (home / "requirements.txt").write_text("first==1\n")
    return home, programs


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def on_bare_machine(home: Path, programs: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment: Mapping[str, str] = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home)}
    return subprocess.run(
        [home / SCRIPT.name, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


NAMES = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")


def test_a_machine_without_a_recent_python_is_told_what_to_install(machine: tuple[Path, Path]) -> None:
    home, programs = machine
    for name in NAMES:
        program(programs / name, "exit 1")

    told = on_bare_machine(home, programs, "start")

    assert told.returncode == 1
    assert told.stderr == (
        "Python 3.11 or newer is missing; install it with: sudo apt-get install -y python3 python3-venv\n"
    )


def test_a_machine_without_pythons_venv_is_told_which_package_to_install(machine: tuple[Path, Path]) -> None:
    home, programs = machine
    for name in NAMES:
        program(programs / name, 'case "$*" in *ensurepip*|*"-m venv"*) exit 1 ;; esac')

    told = on_bare_machine(home, programs, "start")

    assert told.returncode == 1
    assert told.stderr == "Python's venv module is missing; install it with: sudo apt-get install -y python3-venv\n"
    assert not (home / ".venv").exists()


FAKE_PYTHON = r"""
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"-m pip install"*) echo "$*" >>pip.txt ;;
  *arena.service*) echo "$*" >>service.txt ;;
esac
"""


def test_packages_are_installed_again_only_when_the_requirements_changed(machine: tuple[Path, Path]) -> None:
    home, programs = machine
    for name in NAMES:
        program(programs / name, FAKE_PYTHON)

    for _ in range(2):
        assert on_bare_machine(home, programs, "start").returncode == 0
    assert len((home / "pip.txt").read_text().splitlines()) == 1

    (home / "requirements.txt").write_text("second==2\n")
    assert on_bare_machine(home, programs, "start").returncode == 0
    assert len((home / "pip.txt").read_text().splitlines()) == 2
    assert (home / "service.txt").read_text().splitlines() == ["-m arena.service start"] * 3


def test_an_installation_that_fails_is_one_sentence_and_is_tried_again(machine: tuple[Path, Path]) -> None:
    home, programs = machine
    for name in NAMES:
        program(programs / name, FAKE_PYTHON.replace(">>pip.txt", ">>pip.txt; exit 1"))

    for _ in range(2):
        told = on_bare_machine(home, programs, "start")
        assert told.returncode == 1
        assert told.stderr.startswith("The packages of requirements.txt could not be installed")
    assert len((home / "pip.txt").read_text().splitlines()) == 2


def test_before_the_first_start_there_is_nothing_to_stop(machine: tuple[Path, Path]) -> None:
    home, programs = machine

    assert on_bare_machine(home, programs, "stop").returncode == 0
    assert on_bare_machine(home, programs, "status").returncode == 1


def test_the_apt_line_of_the_readme_is_the_one_that_continuous_integration_runs() -> None:
    in_readme = re.search(r"^apt-get update && apt-get install -y (.+)$", (SHIPPED_DIR / "README.md").read_text(), re.M)
    in_ci = re.search(r"apt-get update && apt-get install -y ([^']+)'", (SHIPPED_DIR / ".ci" / "run").read_text())

    assert in_readme is not None
    assert in_ci is not None
    assert in_readme[1] == in_ci[1]


@pytest.mark.parametrize(
    ("seconds", "told"), [(5, "0 min 5 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
)
def test_an_uptime_is_said_as_people_say_it(seconds: float, told: str) -> None:
    assert duration(seconds) == told
