"""Fixtures that every test may use: settings that touch only the test's own folder, and a database in it."""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arena.config import Settings, load_settings, prepare_process
from arena.database import Database, open_database
from tests.chromium import CHROMIUM
from tests.databases import SERVER, database_of, dropped_at_the_end, prepared_database_of
from tests.memory import memory_with_room

gc.disable()  # importing everything makes hundreds of thousands of objects that stay; see `pytest_collection_finish`
pytest_plugins = ["tests.postgres_fixtures"]
prepare_process()

SettingsFactory = Callable[..., Settings]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell what kind of database the tests use wherever they use one."""
    kinds = ("sqlite", "postgresql")
    parser.addoption("--database", choices=kinds, default=kinds[0], help="the database behind all tests")


def pytest_configure() -> None:
    """Let the tests' folders be made in memory: SQLite waits for the disk with every vote.

    `--basetemp` and `PYTEST_DEBUG_TEMPROOT` name another place, as always.
    """
    if (memory := memory_with_room()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long modules first, so that no process is left alone with one at the end."""
    if config.getoption("--database") != "sqlite":
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("sqlite")])
        items[:] = [item for item in items if not item.get_closest_marker("sqlite")]
    marks = ("browser", "slow", "postgres")
    long = [{item.path for item in items if item.get_closest_marker(mark)} for mark in marks]
    items.sort(key=lambda item: [item.path not in paths for paths in long])


def pytest_collection_finish() -> None:
    """From here on garbage is collected, and not looked for in what was there before the first test."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Chromium outlives its module until a test comes that may run an event loop."""
    if not CHROMIUM.wanted and "browser" not in getattr(item, "fixturenames", ()):
        CHROMIUM.stop()


def pytest_sessionfinish() -> None:
    """Chromium ends with the last test."""
    CHROMIUM.stop()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads the developer's environment or `.env`, or writes outside its own folder."""
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "SPACE_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARENA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with dropped_at_the_end():
        if SERVER:
            monkeypatch.setenv("ARENA_DATABASE_URL", database_of(tmp_path / "data"))
        yield


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """What a test that starts the app in this process does to the log ends with it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def make_settings(tmp_path: Path) -> SettingsFactory:
    """Make settings in the test's own folder; keyword arguments override."""

    def make(**overrides: object) -> Settings:
        data_dir = Path(str(overrides.get("data_dir", tmp_path / "data")))
        database = {"database_url": database_of(data_dir)} if SERVER else {}
        return load_settings(**{"data_dir": data_dir, **database, **overrides})

    return make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh database with all tables."""
    store = open_database(prepared_database_of(tmp_path / "data"))
    yield store
    store.close()
