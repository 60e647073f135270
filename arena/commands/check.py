"""The command that asks every model one line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.command_line import fleet_of, new_command, opened, roster_of, settings_of
from arena.terminal import Progress, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.config import Settings
    from arena.model_check import ModelCheck
    from arena.roster import Roster


def add_check(commands: "Commands") -> None:
    """Add `check`."""
    command = new_command(commands, "check", "ask every model one line: ready, or the reason why not", "check --json")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=check)


def check(given: argparse.Namespace) -> int:
    """Ask every model one line; 0 if all are ready, 1 if some are not."""
    import asyncio
    import logging

    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    settings = settings_of(given)
    roster = _with_tuned(settings, roster_of(settings))
    with progress("Asking the models", sys.stderr) as bar:
        checks = asyncio.run(_ask(settings, roster, bar))
    for warning in roster.warnings:
        tell(warning)
    ready = all(checked.ready for checked in checks)
    if given.json:
        print_json({"ready": ready, "models": [checked.as_json() for checked in checks]})
    else:
        print_table(("Model", "Platform", "First token", "State"), [_check_row(checked) for checked in checks])
    return 0 if ready else 1


def _with_tuned(settings: "Settings", roster: "Roster") -> "Roster":
    """The roster with the models that came of tuning jobs; no database is made to look for them."""
    from sqlalchemy import make_url

    from arena.config import read_environment
    from arena.finetune import with_tuned

    url = make_url(settings.resolved_database_url)
    if settings.demo or (url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()):
        return roster
    with opened(settings) as database:
        return with_tuned(database, roster, read_environment())


async def _ask(settings: "Settings", roster: "Roster", bar: Progress) -> Sequence["ModelCheck"]:
    from arena.model_check import check_models
    from arena.providers.factory import deadlines_of

    async with fleet_of(roster, settings) as fleet:
        return await check_models(fleet, deadlines_of(settings), bar)


def _check_row(checked: "ModelCheck") -> Sequence[str]:
    first_token = "–" if checked.first_token_ms is None else f"{checked.first_token_ms / 1000:.2f} s"
    state = "ready" if checked.ready else f"not ready: {checked.reason}"
    return (checked.model_id, checked.platform, first_token, state)
