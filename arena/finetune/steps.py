"""From one version to the next: the votes between the two, and whether prompts that it was trained on are in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.ballots import RATED_SCOPES
from arena.comparisons import Comparison
from arena.finetune.prompts import prompt_key
from arena.tables import Battle, Prompt, TuningExample, Vote, VoteState, Winner, counted_in


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes between a version and the one before it, seen from the later one."""

    wins: int = 0
    losses: int = 0
    ties: int = 0
    """Both-bad among them."""

    @property
    def votes(self) -> int:
        """All of them."""
        return self.wins + self.losses + self.ties

    @property
    def win_rate(self) -> float | None:
        """Ties half; `None` without votes."""
        return (self.wins + self.ties / 2) / self.votes if self.votes else None


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next, and whether that was a step forward."""

    version: str
    """The roster's id."""
    before: str
    comparison: Comparison | None
    """The later against the earlier; `None` while one of them has no votes."""
    seen: Tally
    """Battles between the two whose prompts the later one was trained on, in these votes or in others."""
    unseen: Tally
    seen_battles: Sequence[str]
    """The ids of the battles behind `seen`."""

    @property
    def sentence(self) -> str:
        """The verdict, and whether prompts that the later one was trained on are in it."""
        if self.comparison is None:
            return f"Nobody has voted on both {self.version} and {self.before} yet."
        return f"{self.comparison.sentence} {self._caution()}"

    def _caution(self) -> str:
        both = self.seen.votes + self.unseen.votes
        if not both:
            return "The two have not met: it is told from their battles with others."
        if not self.seen.votes:
            return f"No prompt that {self.version} was trained on is among the {both:,} votes between the two."
        rate = self.unseen.win_rate
        rest = (
            "there are no others"
            if rate is None
            else f"of the other {self.unseen.votes:,} it won {rate:.0%}, ties half"
        )
        verb = "is" if self.seen.votes == 1 else "are"
        return (
            f"Of the {both:,} votes between the two {self.seen.votes:,} {verb} on prompts that {self.version} was "
            f"trained on, which flatters it: {rest}."
        )


def votes_between(
    session: Session, later: int, earlier: int, jobs: Sequence[str]
) -> tuple[Tally, Tally, Sequence[str]]:
    """The counted votes between two revisions: on prompts that `jobs` trained on, on others, and the former's ids."""
    votes = list(session.execute(_votes_between(later, earlier)))
    marked = _marked(session, later, earlier, jobs)
    parts = ([vote for vote in votes if vote.id in marked], [vote for vote in votes if vote.id not in marked])
    seen, unseen = (_tally(part, later) for part in parts)
    return seen, unseen, [vote.id for vote in parts[0]]


def _votes_between(later: int, earlier: int) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    pair = (later, earlier)
    return (
        select(Battle.id, Battle.revision_a, Vote.winner)
        .join(Vote, Vote.battle_id == Battle.id)
        .where(Vote.rated, Vote.state == VoteState.COUNTED, counted_in().in_(RATED_SCOPES))
        .where(Battle.revision_a.in_(pair), Battle.revision_b.in_(pair), Battle.revision_a != Battle.revision_b)
        .order_by(Vote.sequence)
    )


def _marked(session: Session, later: int, earlier: int, jobs: Sequence[str]) -> frozenset[str]:
    """The battles between the two in which a prompt was asked that one of the jobs trained on."""
    if not jobs:
        return frozenset()
    pair = (later, earlier)
    asked = (
        select(Battle.id, Prompt.text)
        .join(Prompt, Prompt.conversation_id == Battle.conversation_id)
        .where(Battle.revision_a.in_(pair), Battle.revision_b.in_(pair), Battle.revision_a != Battle.revision_b)
    )
    known = set(session.scalars(select(TuningExample.prompt).where(_of_training(jobs)).distinct()))
    return frozenset(battle for battle, text in session.execute(asked) if prompt_key(text) in known)


def _of_training(jobs: Sequence[str]) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    return TuningExample.job_id.in_(jobs) & (TuningExample.split == "train")


def _tally(votes: Sequence[Any], later: int) -> Tally:
    wins = losses = ties = 0
    for vote in votes:
        if vote.winner not in (Winner.MODEL_A, Winner.MODEL_B):
            ties += 1
        elif (vote.winner is Winner.MODEL_A) == (vote.revision_a == later):
            wins += 1
        else:
            losses += 1
    return Tally(wins, losses, ties)
