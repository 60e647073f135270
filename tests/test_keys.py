"""The arena's own two secrets."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arena.errors import ConfigError
from arena.keys import load_admin_password, load_secret
from tests.conftest import SettingsFactory


def test_a_secret_is_made_once_and_kept(make_settings: SettingsFactory) -> None:
    first = load_secret(make_settings())

    assert len(first) >= 32
    assert load_secret(make_settings()) == first


def test_the_password_and_the_secret_are_two(make_settings: SettingsFactory) -> None:
    settings = make_settings()

    assert load_admin_password(settings) != load_secret(settings).decode()


def test_what_is_kept_is_readable_by_its_owner_only(make_settings: SettingsFactory, tmp_path: Path) -> None:
    load_secret(make_settings())
    load_admin_password(make_settings())

    kept = list((tmp_path / "data").iterdir())
    assert len(kept) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_a_kept_secret_that_others_can_read_is_closed_to_them(make_settings: SettingsFactory, tmp_path: Path) -> None:
    load_secret(make_settings())
    (kept,) = (tmp_path / "data").iterdir()
    kept.chmod(0o644)

    load_secret(make_settings())

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_what_the_operator_sets_wins_and_is_not_kept(make_settings: SettingsFactory, tmp_path: Path) -> None:
    settings = make_settings(secret="from the environment", admin_password="open sesame")

    assert load_secret(settings) == b"from the environment"
    assert load_admin_password(settings) == "open sesame"
    assert not (tmp_path / "data").exists()


def test_starts_at_the_same_moment_agree_on_one_secret(make_settings: SettingsFactory) -> None:
    settings = make_settings()

    with ThreadPoolExecutor(8) as starts:
        secrets = set(starts.map(lambda _: load_secret(settings), range(32)))

    assert len(secrets) == 1


@pytest.mark.parametrize(("load", "variable"), [(load_secret, "ARENA_SECRET"), (load_admin_password, "ARENA_ADMIN")])
def test_a_space_that_lacks_a_secret_is_told_which(
    load: object, variable: str, make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/arena")
    assert callable(load)

    with pytest.raises(ConfigError, match=f"{variable}.* must be set on a Space"):
        load(make_settings())


def test_a_data_folder_that_cannot_keep_it_is_named(make_settings: SettingsFactory, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    with pytest.raises(ConfigError, match=r"data/secret.*ARENA_SECRET"):
        load_secret(make_settings())
