"""The commands about votes: write them out, bring others in, count them again."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.command_line import PROGRAM, new_command, opened, settings_of, settings_to_export
from arena.terminal import count_of, output, print_json, progress, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.imports import ImportReport


def add_votes(commands: "Commands") -> None:
    """Add `votes export` and `votes import`."""
    votes = commands.add_parser(
        "votes",
        help="export or import votes",
        description="Export or import votes.",
        epilog=f"example: {PROGRAM} votes export --format jsonl --out votes.jsonl",
    )
    parts = votes.add_subparsers(required=True)

    command = new_command(
        parts, "export", "every vote with its battle", "votes export --format fastchat --out 2026-01-31-conv.json"
    )
    command.add_argument("--format", choices=["csv", "jsonl", "fastchat"], default="csv", help="default csv")
    command.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    command.set_defaults(run=export_votes)

    command = new_command(
        parts, "import", "votes from elsewhere, once each, with a report", "votes import 2024-11-13-conv.json"
    )
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="FastChat logs or public vote tables")
    command.add_argument("--format", choices=["fastchat", "lmsys"], help="default: told from each file")
    command.add_argument("--json", action="store_true", help="the report for programs")
    command.set_defaults(run=import_votes)


def add_rebuild_counts(commands: "Commands") -> None:
    """Add `rebuild-counts`."""
    command = new_command(
        commands, "rebuild-counts", "recompute the counts behind the ratings from the votes", "rebuild-counts"
    )
    command.set_defaults(run=rebuild_counts)


def export_votes(given: argparse.Namespace) -> int:
    """Write every vote with its battle."""
    from arena import exports

    settings = settings_to_export(given)
    quiet = given.out is None and sys.stdout.isatty()
    with (
        opened(settings) as database,
        output(given.out) as out,
        progress("Exporting", None if quiet else sys.stderr) as bar,
    ):
        report = exports.export_votes(database, given.format, out, bar)
    for reason, count in report.left_out.most_common():
        tell(f"Left out {count}: {reason}.")
    if given.out is not None:
        tell(f"Wrote {count_of(report.written, 'vote')} to {given.out}.")
    return 0


def import_votes(given: argparse.Namespace) -> int:
    """Import votes from files, each once, and report."""
    from arena import imports
    from arena.keys import load_secret

    settings = settings_of(given)
    secret = load_secret(settings).decode()
    with opened(settings) as database, progress("Importing", sys.stderr) as bar:
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

    with opened(settings_of(given)) as database:
        with progress("Counting votes", sys.stderr) as bar:
            votes = counts.rebuild_counts(database, bar)
        with progress("Working out the history", sys.stderr) as bar:
            moments = rebuild_history(database, bar)
    sys.stdout.write(f"{count_of(votes, 'vote')} counted\n")
    sys.stdout.write(f"{count_of(moments, 'moment')} of the ratings' history worked out\n")
    return 0


def _print_import(report: "ImportReport") -> None:
    lines = [f"read {report.read}, imported {report.imported}, skipped {report.skipped.total()}"]
    lines += [f"  kept unrated {count}: {reason}" for reason, count in report.unrated.most_common()]
    lines += [f"  skipped {count}: {reason}" for reason, count in report.skipped.most_common()]
    sys.stdout.write("\n".join(lines) + "\n")
