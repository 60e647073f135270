"""The management commands: each calls one function and prints what it answers.

What takes long to import is imported inside the command that needs it, so that `--help` answers at once.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena import (
    backup_commands,
    campaign_commands,
    judge_commands,
    preference_commands,
    tuning_commands,
    voter_commands,
)
from arena.errors import ArenaError, ConfigError
from arena.terminal import Parser, Progress, output, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from arena.config import Settings
    from arena.database import Database
    from arena.imports import ImportReport
    from arena.leaderboard import Standing
    from arena.model_check import ModelCheck
    from arena.roster import Roster

    _Commands = argparse._SubParsersAction[Parser]

PROGRAM = "python -m arena"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0, or 1 if it failed, or 2 for wrong use or configuration."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ArenaError as error:
        tell(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return 130


def check(given: argparse.Namespace) -> int:
    """Ask every model one line; 0 if all are ready, 1 if some are not."""
    import asyncio
    import logging

    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    settings = _settings(given)
    roster = _with_tuned(settings, _roster(settings))
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


def _roster(settings: "Settings") -> "Roster":
    from arena.config import read_environment
    from arena.providers.demo import demo_roster
    from arena.roster import load_roster

    roster = demo_roster() if settings.demo else load_roster(settings.models, read_environment())
    if not len(roster):
        raise ConfigError(f"{settings.models}: has no models; add at least two.")
    return roster


def _with_tuned(settings: "Settings", roster: "Roster") -> "Roster":
    """The roster with the models that came of tuning jobs; no database is made to look for them."""
    from sqlalchemy import make_url

    from arena.config import read_environment
    from arena.finetune import with_tuned

    url = make_url(settings.resolved_database_url)
    if settings.demo or (url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()):
        return roster
    with _database(settings) as database:
        return with_tuned(database, roster, read_environment())


async def _ask(settings: "Settings", roster: "Roster", bar: Progress) -> Sequence["ModelCheck"]:
    from arena.fleet import Fleet
    from arena.model_check import check_models
    from arena.providers.factory import build_providers, deadlines_of

    fleet = Fleet(roster, build_providers(settings, roster), settings)
    try:
        return await check_models(fleet, deadlines_of(settings), bar)
    finally:
        await fleet.aclose()


def leaderboard(given: argparse.Namespace) -> int:
    """Print the standings as the page shows them."""
    from arena.leaderboard import Leaderboard
    from arena.rubric import load_rubric
    from arena.spreadsheets import Table

    settings = _settings(given)
    criterion = load_rubric(settings.data_dir).find_key(given.criterion) if given.criterion else ""
    with _database(settings) as database:
        standings = Leaderboard(database).refresh(criterion=criterion, by=given.by)
    answer = standings.as_json()
    if given.json:
        print_json(answer)
    elif given.csv:
        rows = answer["standings"]
        Table(sys.stdout, list(rows[0]) if rows else ["rank", "model"]).write_all(rows)
    else:
        columns = ("Rank", "Model", "Platform", "Rating", "95% CI", "Votes", "Win rate")
        print_table(columns, [_standing_row(row) for row in standings.rows])
        sys.stdout.write(f"\n{_count(standings.votes, 'vote')} by {_count(standings.people, 'voter')}\n")
    return 0


def export_votes(given: argparse.Namespace) -> int:
    """Write every vote with its battle."""
    from arena import exports

    settings = _settings(given)
    if settings.demo:
        raise ConfigError("Votes of the offline demonstration are never exported; leave --demo and ARENA_DEMO out.")
    quiet = given.out is None and sys.stdout.isatty()
    with (
        _database(settings) as database,
        output(given.out) as out,
        progress("Exporting", None if quiet else sys.stderr) as bar,
    ):
        report = exports.export_votes(database, given.format, out, bar)
    for reason, count in report.left_out.most_common():
        tell(f"Left out {count}: {reason}.")
    if given.out is not None:
        tell(f"Wrote {_count(report.written, 'vote')} to {given.out}.")
    return 0


def import_votes(given: argparse.Namespace) -> int:
    """Import votes from files, each once, and report."""
    from arena import imports
    from arena.keys import load_secret

    settings = _settings(given)
    secret = load_secret(settings).decode()
    with _database(settings) as database, progress("Importing", sys.stderr) as bar:
        report = imports.import_votes(database, given.files, secret=secret, file_format=given.format, progress=bar)
    if given.json:
        print_json(report.as_json())
    else:
        _print_import(report)
    return 0


def rebuild_counts(given: argparse.Namespace) -> int:
    """Recompute the counts behind the ratings, and how the ratings moved, from the votes."""
    from arena import counts
    from arena.history import rebuild_history

    with _database(_settings(given)) as database:
        with progress("Counting votes", sys.stderr) as bar:
            votes = counts.rebuild_counts(database, bar)
        with progress("Working out the history", sys.stderr) as bar:
            moments = rebuild_history(database, bar)
    sys.stdout.write(f"{_count(votes, 'vote')} counted\n")
    sys.stdout.write(f"{_count(moments, 'moment')} of the ratings' history worked out\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM, description="Manage the arena.", epilog=f"example: {PROGRAM} leaderboard --by platform"
    )
    commands = parser.add_subparsers(required=True)

    command = _command(commands, "check", "ask every model one line: ready, or the reason why not", "check --json")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=check)

    command = _command(commands, "leaderboard", "the standings as the page shows them", "leaderboard --by platform")
    layout = command.add_mutually_exclusive_group()
    layout.add_argument("--json", action="store_true", help="for programs")
    layout.add_argument("--csv", action="store_true", help="for spreadsheets")
    command.add_argument(
        "--criterion",
        metavar="C",
        default="",
        help="a criterion of the rubric instead of the overall verdict, as it stands now or as C@VERSION",
    )
    command.add_argument(
        "--by", choices=["model", "platform", "version"], default="model", help="what a row stands for"
    )
    command.set_defaults(run=leaderboard)

    votes = commands.add_parser(
        "votes",
        help="export or import votes",
        description="Export or import votes.",
        epilog=f"example: {PROGRAM} votes export --format jsonl --out votes.jsonl",
    )
    _add_votes(votes.add_subparsers(required=True))

    voter_commands.add_voters(commands, _command, lambda given: _database(_settings(given)))
    voter_commands.add_forget(commands, _command, lambda given: _database(_settings(given)))

    preference_commands.add_preferences(commands, _command, _settings, _database)

    tools = campaign_commands.Tools(_settings, _roster, _database)
    campaign_commands.add_campaigns(commands, _command, tools)

    judge_commands.add_judge(commands, _command, _settings, _roster, _database)

    backup_commands.add_backups(commands, _command, _settings)

    tuning_commands.add_tuning(commands, _command, _settings, _database)

    command = _command(
        commands, "rebuild-counts", "recompute the counts behind the ratings from the votes", "rebuild-counts"
    )
    command.set_defaults(run=rebuild_counts)
    return parser


def _add_votes(commands: "_Commands") -> None:
    command = _command(
        commands, "export", "every vote with its battle", "votes export --format fastchat --out 2026-01-31-conv.json"
    )
    command.add_argument("--format", choices=["csv", "jsonl", "fastchat"], default="csv", help="default csv")
    command.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    command.set_defaults(run=export_votes)

    command = _command(
        commands, "import", "votes from elsewhere, once each, with a report", "votes import 2024-11-13-conv.json"
    )
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="FastChat logs or public vote tables")
    command.add_argument("--format", choices=["fastchat", "lmsys"], help="default: told from each file")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(run=import_votes)


def _command(commands: "_Commands", name: str, what: str, example: str) -> argparse.ArgumentParser:
    """A command with the flags that all of them share."""
    command = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"example: {PROGRAM} {example}"
    )
    command.add_argument("--models", type=Path, metavar="FILE", help="the roster (ARENA_MODELS, default models.yaml)")
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (ARENA_DATA_DIR, default data)")
    command.add_argument("--database", metavar="URL", help="SQLite or PostgreSQL (ARENA_DATABASE_URL)")
    command.add_argument("--demo", action="store_true", help="the offline demonstration's models and votes")
    return command


def _settings(given: argparse.Namespace) -> "Settings":
    from arena.config import load_settings, prepare_process

    prepare_process()
    return load_settings(models=given.models, data_dir=given.data, database_url=given.database, demo=given.demo or None)


@contextlib.contextmanager
def _database(settings: "Settings") -> Iterator["Database"]:
    from arena.database import open_database

    database = open_database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.close()


def _check_row(checked: "ModelCheck") -> Sequence[str]:
    first_token = "–" if checked.first_token_ms is None else f"{checked.first_token_ms / 1000:.2f} s"
    state = "ready" if checked.ready else f"not ready: {checked.reason}"
    return (checked.model_id, checked.platform, first_token, state)


def _standing_row(row: "Standing") -> Sequence[str]:
    if row.rating is None or row.low is None or row.high is None or row.win_rate is None:
        return (row.rank, row.display_name, row.platform, "unrated", "", str(row.votes), "")
    interval = f"{row.low:.0f} to {row.high:.0f}" + (" (preliminary)" if row.preliminary else "")
    return (
        row.rank,
        row.display_name,
        row.platform,
        f"{row.rating:.0f}",
        interval,
        str(row.votes),
        f"{row.win_rate:.0%}",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print_import(report: "ImportReport") -> None:
    lines = [f"read {report.read}, imported {report.imported}, skipped {report.skipped.total()}"]
    lines += [f"  kept unrated {count}: {reason}" for reason, count in report.unrated.most_common()]
    lines += [f"  skipped {count}: {reason}" for reason, count in report.skipped.most_common()]
    sys.stdout.write("\n".join(lines) + "\n")
