"""The commands about judge models: let one score pairs of answers, and see what came of it."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.commands.command_line import fleet_of, new_command, new_part, opened, roster_of, settings_of
from arena.commands.judge_printing import dollars, finding_as_json, print_differences, print_states, tell_report
from arena.errors import ConfigError
from arena.terminal import agreed, count_of, print_json, progress, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.config import Settings
    from arena.database import Database
    from arena.judge.items import Pair
    from arena.judge.run import JudgeReport, Plan
    from arena.roster import Roster
    from arena.rubric import Rubric

SCOPES = ("voted", "shared", "all")
_MOST_AT_ONCE = 32


def add_judge(commands: "Commands") -> None:
    """Add `judge` and `judge status`."""
    what = "let a judge model score pairs of answers against the rubric; safe to stop and to run again"
    judge = new_command(commands, "judge", what, "judge --judge gpt-judge --limit 100 --budget 2.50")
    judge.add_argument("--judge", metavar="ID", help="an entry with `role: judge`; default: the only one")
    judge.add_argument("--campaign", metavar="ID", help="only answers of this campaign")
    judge.add_argument(
        "--scope",
        choices=SCOPES,
        default="voted",
        help="pairs that somebody voted on (default), that two or more people did, or all complete ones, "
        "those of campaigns that nobody has opened too",
    )
    judge.add_argument("--limit", type=_whole, metavar="N", help="at most N pairs; those most people voted on first")
    judge.add_argument("--budget", type=_money, metavar="USD", help="what this run may cost, by the roster's price")
    judge.add_argument("--at-once", type=_whole, default=4, metavar="N", help="requests at a time (default 4)")
    judge.add_argument("--again", action="store_true", help="ask again, too, what failed for good")
    judge.add_argument("--yes", action="store_true", help="do not ask before spending")
    judge.set_defaults(run=run_judge)

    parts = judge.add_subparsers(metavar="status")
    status = new_part(parts, "status", "verdicts, failures, cost, agreement with people", "judge status --list")
    layout = status.add_mutually_exclusive_group()
    layout.add_argument("--json", action="store_true", help="for programs")
    layout.add_argument("--list", action="store_true", help="the battles on which it and most people differ")
    status.set_defaults(run=show_status)


def run_judge(given: argparse.Namespace) -> int:
    """Ask the judge; 0 if every question has a verdict, 1 if some have not."""
    import asyncio
    import logging

    from arena.judge.items import find_pairs
    from arena.judge.lock import judging_alone
    from arena.judge.run import JudgeReport, choose_judge
    from arena.rubric import load_rubric

    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    settings = settings_of(given)
    roster, rubric = roster_of(settings), load_rubric(settings.data_dir)
    judge_id = choose_judge(roster, given.judge)
    if given.budget is not None and roster.models[judge_id].price is None:
        raise ConfigError(
            f"{judge_id} has no price in the roster, so a budget cannot be kept: add `price` to its entry."
        )
    report = JudgeReport(0)
    with opened(settings) as database, judging_alone(database):
        with database.read() as session:
            pairs = find_pairs(session, given.scope, given.campaign)[: given.limit]
        if not pairs:
            more = "" if given.scope == "all" else " `--scope all` takes pairs that nobody voted on, too."
            tell(f"There is no such pair of answers yet.{more}")
            return 0
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_ask(given, settings, roster, rubric, database, judge_id, pairs, report))
            return tell_report(report)
    tell_report(report)
    tell("Interrupted. What was judged is stored; the same command goes on from there.")
    return 130


async def _ask(
    given: argparse.Namespace,
    settings: "Settings",
    roster: "Roster",
    rubric: "Rubric",
    database: "Database",
    judge_id: str,
    pairs: Sequence["Pair"],
    report: "JudgeReport",
) -> None:
    from arena.judge.run import judge_pairs, plan_run

    async with fleet_of(roster, settings) as fleet:
        plan = await plan_run(database, fleet, rubric, judge_id, pairs, again=given.again)
        report.wanted, report.given_up = len(plan.questions), plan.given_up
        if plan.questions and _agreed(given, plan):
            with progress("Judging", sys.stderr) as bar:
                await judge_pairs(
                    database,
                    fleet,
                    settings,
                    rubric,
                    plan,
                    report,
                    budget_usd=given.budget,
                    at_once=min(given.at_once, _MOST_AT_ONCE),
                    progress=bar,
                )


def _agreed(given: argparse.Namespace, plan: "Plan") -> bool:
    """Tell what is going to be asked; whether the operator wants it."""
    cost = "its entry has no price, so the cost is not known" if plan.usd is None else f"about {dollars(plan.usd)}"
    limit = "" if given.budget is None else f", at most {dollars(given.budget)}"
    tell(f"{plan.judge.model.id}: {count_of(len(plan.questions), 'question')} about {plan.pairs} pairs; {cost}{limit}.")
    nobody = "Say --yes to let the judge be asked without a question at the terminal."
    return given.yes or agreed("Ask it?", nobody)


def show_status(given: argparse.Namespace) -> int:
    """Print what the judges said, what failed, what it cost, and how it goes with people."""
    from arena.judge.findings import read_findings
    from arena.judge.overview import read_overview
    from arena.rubric import load_rubric

    settings = settings_of(given)
    rubric = load_rubric(settings.data_dir)
    with opened(settings) as database:
        states, findings = read_overview(database), read_findings(database, rubric)
    if given.json:
        judges = [state.as_json() for state in states]
        print_json({"judges": judges, "agreement": [finding_as_json(found) for found in findings]})
    elif given.list:
        for found in findings:
            print_differences(found)
    else:
        print_states(states, findings)
    return 0


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _money(text: str) -> float:
    usd = float(text)
    if not 0 < usd < float("inf"):
        raise argparse.ArgumentTypeError("must be an amount above 0")
    return usd
