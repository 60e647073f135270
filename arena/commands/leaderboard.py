"""The command that prints the standings."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.commands.command_line import new_command, opened, settings_of
from arena.terminal import count_of, print_json, print_table

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.standings import Standing


def add_leaderboard(commands: "Commands") -> None:
    """Add `leaderboard`."""
    command = new_command(commands, "leaderboard", "the standings as the page shows them", "leaderboard --by platform")
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


def leaderboard(given: argparse.Namespace) -> int:
    """Print the standings as the page shows them."""
    from arena.leaderboard import Leaderboard
    from arena.rubric import load_rubric
    from arena.spreadsheets import Table

    settings = settings_of(given)
    criterion = load_rubric(settings.data_dir).find_key(given.criterion) if given.criterion else ""
    with opened(settings) as database:
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
        sys.stdout.write(f"\n{count_of(standings.votes, 'vote')} by {count_of(standings.people, 'voter')}\n")
    return 0


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
