"""The commands about voters: what their votes look like, and deciding whether they count."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.commands.command_line import new_command, new_part, opened, settings_of
from arena.terminal import print_json, print_table, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.voter_review import ReviewedVoter, VoterReview

_DONE = {"count": "counted", "hold": "held", "exclude": "excluded"}


def add_voters(commands: "Commands") -> None:
    """Add `voters` and `voters decide`."""
    voters = new_command(commands, "voters", "whose votes do not look like a judgement", "voters --json")
    voters.add_argument("--json", action="store_true", help="for programs")
    voters.add_argument("--all", action="store_true", help="also voters with nothing unusual")
    voters.set_defaults(run=show_voters)

    parts = voters.add_subparsers(metavar="decide")
    example = "voters decide 3f2a hold --reason 'always side A'"
    decide = new_part(parts, "decide", "count, hold or exclude a voter's votes, past and future", example)
    decide.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="for programs")
    decide.add_argument("voter", metavar="VOTER", help="its id, or how that begins")
    decide.add_argument("decision", choices=list(_DONE))
    decide.add_argument("--reason", required=True, help="kept with the decision and with the votes")
    decide.add_argument("--dry-run", action="store_true", help="only tell what would change")
    decide.set_defaults(run=decide_voter)


def add_forget(commands: "Commands") -> None:
    """Add `forget`."""
    command = new_command(commands, "forget", "delete what a voter wrote and was answered", "forget 3f2a --dry-run")
    command.add_argument("voter", metavar="VOTER", help="its id, or how that begins")
    command.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    command.set_defaults(run=forget_voter)


def forget_voter(given: argparse.Namespace) -> int:
    """Forget one voter; the setting ARENA_FORGOTTEN_VOTES says what becomes of the votes."""
    from arena.config import load_settings
    from arena.forgetting import forget, holdings_of
    from arena.vote_log import vote_log_of
    from arena.voter_decisions import find_voter

    settings = load_settings(data_dir=given.data)
    policy, vote_log = settings.forgotten_votes, vote_log_of(settings)
    with opened(settings_of(given)) as database:
        voter = find_voter(database, given.voter)
        held = holdings_of(database, voter)
        if not given.dry_run:
            forget(database, voter, policy)
            if vote_log is not None:
                vote_log.forget(voter, policy)
    fate = "deleted" if policy == "deleted" else "kept without text under a new id"
    done = "would be" if given.dry_run else "are"
    sys.stdout.write(
        f"{voter}: {held.prompts} prompts with their answers and {held.chats} chats {done} deleted; "
        f"{held.votes} votes {done} {fate}.\n"
    )
    if not given.dry_run:
        tell("Exports and backups made before still hold what they held: make new ones, and delete the old.")
    return 0


def show_voters(given: argparse.Namespace) -> int:
    """Check every voter and print what was found and decided."""
    from arena.voter_review import review_voters

    with opened(settings_of(given)) as database:
        review = review_voters(database)
    if given.json:
        print_json(review.as_json())
    else:
        _print_review(review, every=given.all)
    return 0


def decide_voter(given: argparse.Namespace) -> int:
    """Tell what a decision changes, and take it."""
    from arena.decision_preview import preview
    from arena.tables import VoterVerdict
    from arena.voter_decisions import decide, find_voter

    decision = VoterVerdict(given.decision)
    with opened(settings_of(given)) as database:
        voter = find_voter(database, given.voter)
        foreseen = preview(database, [voter], decision)
        if not given.dry_run:
            votes = decide(database, voter, decision, given.reason)
    if given.json:
        print_json({"voter": voter, "decided": not given.dry_run, **foreseen.as_json()})
        return 0
    print_table(
        ("Model", "Rating now", "then", "Rank now", "then", "Votes now", "then"),
        [
            (
                row.display_name,
                _points(row.rating_now),
                _points(row.rating_then),
                row.rank_now,
                row.rank_then,
                str(row.votes_now),
                str(row.votes_then),
            )
            for row in foreseen.rows
        ],
    )
    sys.stdout.write(f"\n{foreseen.sentence}\n")
    if not given.dry_run:
        sys.stdout.write(f"{voter}: {votes} votes are {_DONE[decision.value]} now, and so are later ones.\n")
    return 0


def _print_review(review: "VoterReview", *, every: bool) -> None:
    shown = [voter for voter in review.voters if every or voter.pattern or voter.decision]
    if shown:
        print_table(("Voter", "Votes", "Evidence", "Check", "Decision"), [_voter_row(voter) for voter in shown])
        sys.stdout.write("\n")
    sys.stdout.write(f"{review.sentence}\n{review.side_bias.sentence}\n")


def _voter_row(voter: "ReviewedVoter") -> Sequence[str]:
    evidence = f"{voter.evidence:.3g}" if voter.check.value != "unchecked" else ""
    decision = f"{voter.decision.value}: {voter.decision_reason}" if voter.decision else ""
    return (voter.voter_id, str(voter.votes), evidence, voter.sentence, decision)


def _points(rating: float | None) -> str:
    return "unrated" if rating is None else f"{rating:.0f}"
