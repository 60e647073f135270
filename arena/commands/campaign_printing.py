"""What the commands about campaigns print."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.terminal import print_table

if TYPE_CHECKING:
    from arena.campaigns.filling import FillReport
    from arena.campaigns.plan import NewCampaign
    from arena.campaigns.progress import CampaignProgress
    from arena.roster import Roster


def print_filled(report: "FillReport", campaign: str) -> None:
    """Tell what a filling did, what failed, and what to do next."""
    sys.stdout.write(f"{count_of(report.stored, 'answer')} stored, {report.missing} missing")
    sys.stdout.write(f", {report.taken} taken from earlier answers" if report.taken else "")
    sys.stdout.write(f"; spent so far: {report.cost.tokens:,} tokens, ${report.cost.usd:,.4f}.\n")
    for (model, kind), count in sorted(report.failures.items()):
        sys.stdout.write(f"  {model}: {count_of(count, 'attempt')} failed: {kind}\n")
    for model, reason in sorted(report.left_alone.items()):
        sys.stdout.write(f"  {model} was left alone: {reason}\n")
    if report.budget_spent:
        sys.stdout.write("The budget does not allow another request; give a larger one to go on.\n")
    elif report.missing:
        sys.stdout.write(f"Run `python -m arena campaign fill {campaign}` again for what is missing.\n")


def campaign_row(campaign: "CampaignProgress") -> Sequence[str]:
    """A row of the table of campaigns."""
    stored, needed = campaign.answers
    return (
        campaign.id,
        campaign.name,
        campaign.state,
        f"{stored} of {needed}",
        f"{campaign.ready} of {campaign.items}",
        f"{campaign.judged} of {campaign.asked}",
        str(campaign.voters),
    )


def print_campaign(campaign: "CampaignProgress") -> None:
    """Tell how far one campaign is."""
    where = "on the leaderboard" if campaign.scope == "battle" else "apart"
    sys.stdout.write(
        f"{campaign.name} ({campaign.id}): {campaign.state}\n"
        f"  {count_of(campaign.prompts, 'prompt')}, {count_of(campaign.items, 'item')} ({campaign.ready} ready, "
        f"{campaign.complete} judged by all {campaign.voters_per_item})\n"
        f"  {campaign.judged} of {count_of(campaign.asked, 'vote')} and {count_of(campaign.repeats, 'repeat')} "
        f"by {count_of(campaign.voters, 'voter')}, counted {where}\n"
        f"  spent: {campaign.cost.tokens:,} tokens, ${campaign.cost.usd:,.4f}\n\n"
    )
    rows = []
    for model in campaign.models:
        failures = ", ".join(f"{count} {kind}" for kind, count in sorted(model.failures.items()))
        rows.append((model.model_id, f"{model.stored} of {model.needed}", failures))
    print_table(("Model", "Answers", "Failed attempts"), rows)


def estimate(new: "NewCampaign", roster: "Roster") -> str:
    """What asking for everything costs at most, where all prices are known."""
    from arena.providers.base import Message
    from arena.spending import Cost, most_cost

    entries = [roster.models[model] for model in new.models if model in roster.models]
    if not entries or any(entry.price is None for entry in entries):
        return ""
    most = sum(
        (most_cost(entry, [Message("user", prompt.text)]) for entry in entries for prompt in new.prompts), Cost()
    )
    return f"Asking costs at most ${most.usd:,.2f} by the roster's prices, if nothing has to be asked twice.\n"


def count_of(number: int, what: str) -> str:
    """A number with its word."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
