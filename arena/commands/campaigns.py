"""The commands about campaigns: make one, fill it with answers, see how far it is, bring answers in, end it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.campaign_printing import campaign_row, count_of, estimate, print_campaign, print_filled
from arena.commands.command_line import fleet_of, new_command, opened, roster_of, settings_of
from arena.errors import ConfigError
from arena.terminal import Progress, print_json, print_table, progress, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arena.campaigns.filling import FillReport
    from arena.campaigns.plan import NewCampaign
    from arena.campaigns.progress import Prices
    from arena.campaigns.prompts import CampaignText
    from arena.commands.command_line import Commands
    from arena.config import Settings
    from arena.database import Database
    from arena.roster import Roster

_MOST_AT_ONCE = 64


def add_campaigns(commands: "Commands") -> None:
    """Add `campaign` and its commands."""
    campaign = commands.add_parser(
        "campaign",
        help="prompts answered ahead of time, to be judged later",
        description="Prompts answered ahead of time by a set of models, to be judged later by one or several people.",
        epilog="example: python -m arena campaign create --name 'Spring' --challenges --models gpt-x gemini-y",
    )
    parts = campaign.add_subparsers(required=True)
    _add_create(parts)
    _add_fill(parts)

    command = new_command(parts, "status", "how far campaigns are", "campaign status spring --json")
    command.add_argument("campaign", nargs="?", metavar="ID", help="default: all of them")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=show_status)

    what = "bring in answers produced elsewhere"
    command = new_command(parts, "import-answers", what, "campaign import-answers spring answers.jsonl")
    command.add_argument("campaign", metavar="ID")
    command.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help='JSONL: {"prompt": id or words, "model": id, "answer": text}',
    )
    command.add_argument(
        "--as-roster", action="store_true", help="these answers are those of the models that the roster names today"
    )
    command.set_defaults(run=bring_in)

    for name, what, ended in (
        ("end", "take no more votes, and tell its voters the names", True),
        ("reopen", "take votes again", False),
    ):
        command = new_command(parts, name, what, f"campaign {name} spring")
        command.add_argument("campaign", metavar="ID")
        command.set_defaults(run=lambda given, ended=ended: set_ended(given, ended=ended))


def _add_create(parts: "Commands") -> None:
    example = "campaign create --name 'Spring' --prompts prompts.csv --models gpt-x gemini-y --voters 3"
    command = new_command(parts, "create", "a set of prompts and a set of models", example)
    command.add_argument("--name", required=True, help="voters read it")
    command.add_argument("--id", help="part of its address; default: made from the name")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, metavar="FILE", help="YAML, JSONL or CSV")
    source.add_argument("--challenges", action="store_true", help="the arena's own challenges")
    command.add_argument("--limit", type=int, metavar="N", help="only the first N prompts")
    # With the roster's flag being --models, the campaign's models are --between.
    command.add_argument("--between", nargs="+", metavar="MODEL", help="ids of its models; default: all that fight")
    command.add_argument(
        "--pairs",
        choices=["all", "uniform", "separate", "leader"],
        default="all",
        help="which pairs are judged on each prompt: all; or some, drawn by chance, from those that votes do not tell "
        "apart yet, or the leader against its challengers (default all)",
    )
    command.add_argument("--pairs-per-prompt", type=int, metavar="N", help="how many are drawn (default 1)")
    command.add_argument("--voters", type=int, default=1, metavar="N", help="who judge each item (default 1)")
    command.add_argument(
        "--repeats",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of a voter's items shown twice, seats swapped, 0 to 1",
    )
    command.add_argument("--apart", action="store_true", help="keep its votes off the leaderboard")
    command.add_argument("--reveal", action="store_true", help="tell the names after each vote, not at the end")
    command.add_argument("--question", help="the voting question; default: the arena's")
    _add_budget(command)
    command.set_defaults(run=create)


def _add_budget(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--budget-usd", type=float, metavar="USD", help="all requests may cost, by the roster's prices"
    )
    command.add_argument("--budget-tokens", type=int, metavar="N", help="all requests may take, read and written")


def _add_fill(parts: "Commands") -> None:
    what = "ask for the answers that are missing; safe to stop and to run again"
    command = new_command(parts, "fill", what, "campaign fill spring --at-once 8")
    command.add_argument("campaign", metavar="ID")
    command.add_argument("--at-once", type=int, default=4, metavar="N", help="requests at a time (default 4)")
    _add_budget(command)
    command.set_defaults(run=fill)


def create(given: argparse.Namespace) -> int:
    """Make a campaign and tell what it will take."""
    import random

    from arena.campaigns.plan import create_campaign
    from arena.campaigns.progress import campaign_progress

    settings = settings_of(given)
    roster = roster_of(settings)
    new = _new_campaign(given, settings, roster)
    with opened(settings) as database, progress("Reading the prompts", sys.stderr) as bar:
        create_campaign(database, roster, new, random.SystemRandom(), bar)
        made = campaign_progress(database, new.id, _prices(roster))
    _, needed = made.answers
    sys.stdout.write(
        f"Campaign {new.id}: {count_of(made.prompts, 'prompt')}, {count_of(len(new.models), 'model')}, "
        f"{count_of(made.items, 'item')}, {count_of(made.asked, 'vote')} asked for, "
        f"{count_of(needed, 'answer')} to be had.\n"
        f"{estimate(new, roster)}"
        f"Next: python -m arena campaign fill {new.id}\nVoters judge at /campaign?id={new.id}\n"
    )
    return 0


def _new_campaign(given: argparse.Namespace, settings: "Settings", roster: "Roster") -> "NewCampaign":
    from arena.campaigns.plan import NewCampaign, id_of
    from arena.tables import CampaignPairs

    prompts = _texts(given, settings)
    fighting = tuple(entry.id for entry in roster if entry.role == "battle" and entry.weight > 0)
    return NewCampaign(
        id=given.id or id_of(given.name),
        name=given.name,
        models=tuple(given.between) if given.between else fighting,
        prompts=prompts[: given.limit] if given.limit else prompts,
        question=given.question or settings.question,
        question_version="campaign" if given.question else settings.question_version,
        pairs=CampaignPairs(given.pairs),
        pairs_per_prompt=given.pairs_per_prompt,
        voters_per_item=given.voters,
        repeat_share=given.repeats,
        apart=given.apart,
        reveals=given.reveal,
        budget_usd=given.budget_usd,
        budget_tokens=given.budget_tokens,
    )


def _texts(given: argparse.Namespace, settings: "Settings") -> "Sequence[CampaignText]":
    from arena.campaigns.prompts import read_prompts, texts_of_challenges
    from arena.challenges import load_challenges

    if given.limit is not None and given.limit < 1:
        raise ConfigError("--limit must be at least 1.")
    if given.challenges:
        return texts_of_challenges(load_challenges(settings.data_dir))
    return read_prompts(given.prompts, settings)


def fill(given: argparse.Namespace) -> int:
    """Ask for what is missing; 0 if everything is there now, 1 if something is still missing."""
    import asyncio
    import logging

    from arena.campaigns.lock import filling_alone

    # Failures are told answer by answer.
    logging.basicConfig(level=logging.CRITICAL, format="%(message)s")
    if not 1 <= given.at_once <= _MOST_AT_ONCE:
        raise ConfigError(f"--at-once must be from 1 to {_MOST_AT_ONCE}.")
    settings = settings_of(given)
    roster = roster_of(settings)
    with opened(settings) as database:
        _set_budget(database, given)
        with filling_alone(database, given.campaign), progress("Asking the models", sys.stderr) as bar:
            report = asyncio.run(_fill(database, settings, roster, given, bar))
    print_filled(report, given.campaign)
    return 1 if report.missing else 0


async def _fill(
    database: "Database", settings: "Settings", roster: "Roster", given: argparse.Namespace, bar: Progress
) -> "FillReport":
    from arena.campaigns.filling import fill_campaign

    def say(sentence: str) -> None:
        bar.clear()
        tell(sentence)

    async with fleet_of(roster, settings) as fleet:
        return await fill_campaign(
            database, fleet, settings, given.campaign, at_once=given.at_once, progress=bar, tell=say
        )


def _set_budget(database: "Database", given: argparse.Namespace) -> None:
    from arena.campaigns.wanted import find_campaign

    if any(amount is not None and amount <= 0 for amount in (given.budget_usd, given.budget_tokens)):
        raise ConfigError("A budget must be above 0.")
    with database.write() as session:
        campaign = find_campaign(session, given.campaign)
        campaign.budget_usd = given.budget_usd or campaign.budget_usd
        campaign.budget_tokens = given.budget_tokens or campaign.budget_tokens


def show_status(given: argparse.Namespace) -> int:
    """Print how far one campaign is, or all are."""
    from arena.campaigns.progress import campaign_progress, list_campaigns

    settings = settings_of(given)
    roster = roster_of(settings)
    with opened(settings) as database:
        if given.campaign is None:
            campaigns = list_campaigns(database, _prices(roster))
        else:
            campaigns = [campaign_progress(database, given.campaign, _prices(roster))]
    if given.json:
        every = [campaign.as_json() for campaign in campaigns]
        print_json({"campaigns": every} if given.campaign is None else every[0])
    elif given.campaign is not None:
        print_campaign(campaigns[0])
    elif campaigns:
        columns = ("Campaign", "Name", "State", "Answers", "Ready", "Votes", "Voters")
        print_table(columns, [campaign_row(campaign) for campaign in campaigns])
    else:
        sys.stdout.write("No campaigns yet; `python -m arena campaign create --help` tells how to make one.\n")
    return 0


def bring_in(given: argparse.Namespace) -> int:
    """Import answers and report; 1 if a line could not be used at all."""
    from arena.campaigns.answers_import import import_answers
    from arena.campaigns.lock import filling_alone

    settings = settings_of(given)
    roster = roster_of(settings)
    with opened(settings) as database, filling_alone(database, given.campaign):
        report = import_answers(database, roster, given.campaign, given.files, as_roster=given.as_roster)
    for line in report.wrong:
        tell(line)
    sys.stdout.write(f"read {report.read}, imported {report.imported}, skipped {report.skipped.total()}\n")
    for reason, count in report.skipped.most_common():
        sys.stdout.write(f"  skipped {count}: {reason}\n")
    return 1 if report.wrong else 0


def set_ended(given: argparse.Namespace, *, ended: bool) -> int:
    """End a campaign or open it again; twice is not an error."""
    from arena.campaigns.plan import end_campaign
    from arena.campaigns.wanted import find_campaign

    with opened(settings_of(given)) as database:
        with database.read() as session:
            find_campaign(session, given.campaign)
        end_campaign(database, given.campaign, ended=ended)
    sys.stdout.write(
        f"{given.campaign} has ended: its voters see the names now.\n" if ended else f"{given.campaign} is open.\n"
    )
    return 0


def _prices(roster: "Roster") -> "Prices":
    return {entry.id: entry.price for entry in roster}
