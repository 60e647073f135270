"""The management commands' entrance: reads a command line, runs the command it names, tells what went wrong."""

import os
import sys
from collections.abc import Sequence

from arena.commands.backups import add_backups
from arena.commands.campaigns import add_campaigns
from arena.commands.check import add_check
from arena.commands.command_line import PROGRAM
from arena.commands.judge import add_judge
from arena.commands.leaderboard import add_leaderboard
from arena.commands.preferences import add_preferences
from arena.commands.tuning import add_tuning
from arena.commands.voters import add_forget, add_voters
from arena.commands.votes import add_rebuild_counts, add_votes
from arena.errors import ArenaError, ConfigError
from arena.terminal import Parser, tell


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


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM, description="Manage the arena.", epilog=f"example: {PROGRAM} leaderboard --by platform"
    )
    commands = parser.add_subparsers(required=True)
    for add in (
        add_check,
        add_leaderboard,
        add_votes,
        add_voters,
        add_forget,
        add_preferences,
        add_campaigns,
        add_judge,
        add_backups,
        add_tuning,
        add_rebuild_counts,
    ):
        add(commands)
    return parser
