"""Documentation is held against the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from arena.config import SHIPPED_DIR, Settings
from arena.roster import ModelEntry

README = (SHIPPED_DIR / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [SHIPPED_DIR / "README.md", *SHIPPED_DIR.glob("*.md"), *SHIPPED_DIR.glob("docs/**/*.md")]


def documented_default(variable: str) -> str:
    row = re.search(rf"^\| `{variable}` \|.*\| (?P<default>[^|]*) \|$", README, re.MULTILINE)
    assert row is not None, f"README.md has no row for {variable}"
    return row["default"].strip().strip("`")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_stands_in_the_readme_with_its_default(name: str) -> None:
    told = documented_default(f"ARENA_{name.upper()}")

    default = Settings.model_fields[name].default
    expected = "none" if default is None else "off" if default is False else default
    if isinstance(expected, float):
        assert float(told) == expected
    else:
        assert told == str(expected)


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    known = {f"ARENA_{name.upper()}" for name in Settings.model_fields} | {"ARENA_VENV"}

    assert set(re.findall(r"ARENA_[A-Z_]+[A-Z]", README)) <= known


def test_the_readme_shows_every_roster_key() -> None:
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])  # type: ignore[index]
    (entry,) = example.values()

    assert set(entry) == set(ModelEntry.model_fields) - {"id", "missing_variables"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_picture_in_a_document_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text)

    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


ALIKE = {"ui", "tables", "migrations", "formats"}
"""Folders whose modules are all of one kind, which ARCHITECTURE.md says once."""


def test_the_architecture_names_every_module_and_only_those() -> None:
    tree = (SHIPPED_DIR / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1]
    named = set(re.findall(r"\b([a-z_]+)\.py\b", tree))
    modules = {
        path.stem: ALIKE.intersection(path.parts)
        for path in (SHIPPED_DIR / "arena").rglob("*.py")
        if not path.stem.startswith("_")
    }

    unnamed = {module for module, alike in modules.items() if not alike} - named
    assert not unnamed, f"ARCHITECTURE.md does not name {sorted(unnamed)}"
    assert named <= {*modules, "app"}, f"ARCHITECTURE.md names {sorted(named - {*modules, 'app'})}, which do not exist"


def test_the_architecture_names_every_folder() -> None:
    tree = (SHIPPED_DIR / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1]
    folders = {path.parent.name for path in (SHIPPED_DIR / "arena").glob("*/__init__.py")}

    missing = [folder for folder in sorted(folders) if not re.search(rf"\b{folder}/", tree)]
    assert missing == []


def test_every_decision_has_a_number_of_its_own_and_bears_it_in_its_title() -> None:
    decisions = sorted((SHIPPED_DIR / "docs" / "decisions").glob("*.md"))

    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers)
    for path, number in zip(decisions, numbers, strict=True):
        assert path.read_text(encoding="utf-8").startswith(f"# {int(number)}. "), path.name


def subcommands(*command: str) -> set[str]:
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, cwd=SHIPPED_DIR).stdout
    listed = re.search(r"\{([a-z,-]+)\}", told)
    return set(listed[1].split(",")) if listed else set()


def test_every_command_stands_in_the_readme() -> None:
    commands = subcommands(sys.executable, "-m", "arena")

    assert commands >= {"check", "leaderboard", "votes"}
    for command in commands:
        assert f"`python -m arena {command}" in README, f"README.md does not tell of {command}"


@pytest.mark.parametrize("command", ["start", "stop", "restart", "status", "logs", "check", "backup", "test"])
def test_every_management_command_is_told_by_the_script_and_the_readme(command: str) -> None:
    usage = subprocess.run(
        [str(SHIPPED_DIR / "deploy_coaia_arena.sh"), "help"], capture_output=True, text=True, check=False
    )

    assert re.search(rf"\b{command}\b", usage.stdout + usage.stderr)
    assert re.search(rf"deploy_coaia_arena\.sh.*`{command}|deploy_coaia_arena\.sh {command}|`{command}", README)


def test_the_app_tells_all_its_flags() -> None:
    told = subprocess.run(
        [sys.executable, "app.py", "--help"], capture_output=True, text=True, check=True, cwd=SHIPPED_DIR
    ).stdout

    for flag in ("--host", "--port", "--models", "--data", "--database", "--demo"):
        assert flag in told
        assert flag in README
