"""Settings: where they come from, and what a wrong one says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from arena.config import SHIPPED_DIR, load_settings, read_environment
from arena.errors import ConfigError


def test_the_arena_listens_on_this_machine_only_unless_told_otherwise() -> None:
    settings = load_settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 7860)


def test_flags_win_over_the_environment_which_wins_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("ARENA_PORT=1001\nARENA_HOST=10.0.0.1\nARENA_QUESTION=From the file?\n")
    monkeypatch.setenv("ARENA_PORT", "1002")
    monkeypatch.setenv("ARENA_HOST", "10.0.0.2")

    settings = load_settings(port=1003, host=None)

    assert (settings.port, settings.host, settings.question) == (1003, "10.0.0.2", "From the file?")


def test_a_wrong_value_names_the_variable_and_what_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARENA_PORT", "seventy")

    with pytest.raises(ConfigError, match=r"ARENA_PORT: .*valid integer.*'seventy'"):
        load_settings()


@pytest.mark.parametrize("variable", ["ARENA_SECRET", "ARENA_ADMIN_PASSWORD", "ARENA_GOOGLE_CREDENTIALS_JSON"])
def test_a_secret_is_not_in_the_settings_text(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "do-not-show-me")

    assert "do-not-show-me" not in f"{load_settings()!r} {load_settings()}"


def test_demo_votes_live_in_a_database_of_their_own(tmp_path: Path) -> None:
    real = load_settings(database_url="postgresql+psycopg://arena@db/arena")
    demo = load_settings(database_url="postgresql+psycopg://arena@db/arena", demo=True)

    assert real.resolved_database_url == "postgresql+psycopg://arena@db/arena"
    assert demo.resolved_database_url == f"sqlite:///{tmp_path / 'data' / 'demo.db'}"


def test_a_space_is_reached_through_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "team/arena")

    assert (load_settings().host, load_settings().forwarded_hops) == ("0.0.0.0", 1)

    monkeypatch.setenv("ARENA_HOST", "127.0.0.1")
    assert load_settings().host == "127.0.0.1"


def test_an_empty_variable_counts_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=yes\nEMPTY_IN_FILE=\n")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("ARENA_DATABASE_URL", "")

    environment = read_environment()

    assert environment["FROM_FILE"] == "yes"
    assert "EMPTY" not in environment
    assert "EMPTY_IN_FILE" not in environment
    assert load_settings().resolved_database_url.endswith("arena.db")


def test_settings_turned_into_a_demo_never_keep_the_real_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARENA_DATABASE_URL", raising=False)
    real = load_settings()
    assert real.resolved_database_url.endswith("arena.db")

    assert real.model_copy(update={"demo": True}).resolved_database_url.endswith("demo.db")


def test_memory_that_is_no_longer_used_goes_back_to_the_system_though_what_came_after_it_stays() -> None:
    program = """
from arena.config import prepare_process
prepare_process()
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
largest = b"x" * 2**24
del largest
before, votes, stays = resident_mb(), [], []
for number in range(20):
    votes.append(b"x" * 2**21)
    stays.append(b"y" * 1000)
held = resident_mb() - before
del votes
print(round(held), round(resident_mb() - before))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=SHIPPED_DIR, env=environment, capture_output=True, text=True, check=True)

    held, left = map(int, done.stdout.split())
    assert held > 35
    assert left <= 4
