"""What all commands share: how a line is read, and the settings, roster, models and database that it names."""

import argparse
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from arena.errors import ConfigError
from arena.terminal import Parser

if TYPE_CHECKING:
    from arena.config import Settings
    from arena.database import Database
    from arena.fleet import Fleet
    from arena.roster import Roster

    Commands = argparse._SubParsersAction[Parser]

PROGRAM = "python -m arena"


def new_command(commands: "Commands", name: str, what: str, example: str) -> Parser:
    """A command with the flags that all of them share."""
    command = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"example: {PROGRAM} {example}"
    )
    command.add_argument("--models", type=Path, metavar="FILE", help="the roster (ARENA_MODELS, default models.yaml)")
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (ARENA_DATA_DIR, default data)")
    command.add_argument("--database", metavar="URL", help="SQLite or PostgreSQL (ARENA_DATABASE_URL)")
    command.add_argument("--demo", action="store_true", help="the offline demonstration's models and votes")
    return command


def new_part(parts: "Commands", name: str, what: str, example: str) -> Parser:
    """A part of a command that also runs without one; flags may stand before the part or after it."""
    part = new_command(parts, name, what, example)
    for action in part._actions:
        # What was given before the part must not be overwritten by what was not given after it.
        action.default = argparse.SUPPRESS
    return part


def settings_of(given: argparse.Namespace) -> "Settings":
    """The environment's settings, with those that the line names instead."""
    from arena.config import load_settings, prepare_process

    prepare_process()
    return load_settings(models=given.models, data_dir=given.data, database_url=given.database, demo=given.demo or None)


def settings_to_export(given: argparse.Namespace) -> "Settings":
    """The same, for a command whose files leave the arena.

    Raises:
        ConfigError: they are a demonstration's.

    """
    settings = settings_of(given)
    if settings.demo:
        raise ConfigError("Votes of the offline demonstration are never exported; leave --demo and ARENA_DEMO out.")
    return settings


def roster_of(settings: "Settings") -> "Roster":
    """The roster file's models, or the demonstration's.

    Raises:
        ConfigError: it has none, or is unusable.

    """
    from arena.config import read_environment
    from arena.providers.demo import demo_roster
    from arena.roster import load_roster

    roster = demo_roster() if settings.demo else load_roster(settings.models, read_environment())
    if not len(roster):
        raise ConfigError(f"{settings.models}: has no models; add at least two.")
    return roster


@contextlib.contextmanager
def opened(settings: "Settings") -> Iterator["Database"]:
    """The database, for as long as a command needs it."""
    from arena.database import open_database

    database = open_database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.close()


@contextlib.asynccontextmanager
async def fleet_of(roster: "Roster", settings: "Settings") -> AsyncIterator["Fleet"]:
    """The roster's models, for as long as a command asks them."""
    from arena.fleet import Fleet
    from arena.providers.factory import build_providers

    fleet = Fleet(roster, build_providers(settings, roster), settings)
    try:
        yield fleet
    finally:
        await fleet.aclose()
