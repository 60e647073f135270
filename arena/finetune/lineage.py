"""The family tree of versions, what each was trained on, and whether each step was one forward."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.ballots import RATED_SCOPES
from arena.comparisons import Comparison
from arena.database import Database
from arena.finetune.prompts import prompt_key
from arena.leaderboard import Comparisons
from arena.roster import ModelEntry
from arena.tables import (
    Battle,
    ModelRevision,
    Prompt,
    TunedModel,
    TuningExample,
    TuningJob,
    Vote,
    VoteState,
    Winner,
    counted_in,
)


@dataclass(frozen=True, slots=True)
class Training:
    """What a version was trained on."""

    job_id: str
    method: str
    base_model: str
    step: int | None
    """The checkpoint's; `None` is the final model."""
    sha256: str
    lines: int
    battles: int
    """Different battles behind the lines."""
    tokens: int | None
    """As the platform counted them."""
    at: datetime | None


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


@dataclass(frozen=True, slots=True)
class Member:
    """A model in its family tree."""

    model_id: str
    display_name: str
    platform: str
    family: str | None
    version: str | None
    parent: str | None
    """The version before it: as the roster says, else the one before in the order of the family's versions."""
    in_roster: bool
    trained: Training | None
    """`None` where the arena has not tuned it."""
    step: Step | None
    """Against its parent."""
    children: Sequence["Member"] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Member"]]:
        """It and all that came of it, each with its depth, parents before children."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


@dataclass(slots=True)
class _Node:
    """A model while the tree is being put together."""

    model_id: str
    display_name: str
    platform: str
    family: str | None
    version: str | None
    parent: str | None
    in_roster: bool
    revisions: list[int] = field(default_factory=list)
    """The oldest first."""


def read_lineage(database: Database, entries: Sequence[ModelEntry], comparisons: Comparisons) -> Sequence[Member]:
    """The trees of all families: models without a parent, each with what came of it.

    `entries` are the present roster's; models that only votes remember are in the trees too. Reads the votes between
    each version and the one before it, which takes time by their number: not for a vote's path.
    """
    with database.read() as session:
        nodes = _nodes(session, entries)
        _complete_parents(nodes)
        trained = _trainings(session)
        steps = {
            node.model_id: _step(session, node, nodes[node.parent], comparisons, trained)
            for node in nodes.values()
            if node.parent is not None
        }
    return [_member(node, nodes, trained, steps) for node in nodes.values() if node.parent is None]


def _nodes(session: Session, entries: Sequence[ModelEntry]) -> dict[str, _Node]:
    nodes = {
        entry.id: _Node(
            entry.id, entry.display_name or entry.id, entry.platform, entry.family, entry.version, entry.parent, True
        )
        for entry in entries
        if entry.role == "battle"
    }
    rows = select(ModelRevision).where(ModelRevision.platform != "imported").order_by(ModelRevision.number)
    for row in session.scalars(rows):
        remembered = _Node(row.model_id, row.display_name, row.platform, row.family, row.version, row.parent, False)
        node = nodes.setdefault(row.model_id, remembered)
        node.revisions.append(row.id)
    return nodes


def _complete_parents(nodes: Mapping[str, _Node]) -> None:
    """A parent that the roster does not name is the version before it in its family; none is its own ancestor."""
    for node in nodes.values():
        if node.parent not in nodes:
            node.parent = None
    for members in _families(nodes.values()):
        for before, node in pairwise(members):
            if node.parent is None and node.version != before.version:
                node.parent = before.model_id
    for node in nodes.values():
        if node.model_id in _ancestors(node, nodes):
            node.parent = None


def _families(nodes: Iterable[_Node]) -> Iterable[Sequence[_Node]]:
    """The members of each family whose version is known, in the order of their versions."""
    families: dict[str, list[_Node]] = {}
    for node in nodes:
        if node.family is not None and node.version is not None:
            families.setdefault(node.family, []).append(node)
    return [sorted(members, key=lambda node: _natural(node.version or "")) for members in families.values()]


def _ancestors(node: _Node, nodes: Mapping[str, _Node]) -> Sequence[str]:
    found: list[str] = []
    parent = node.parent
    while parent is not None and parent not in found:
        found.append(parent)
        parent = nodes[parent].parent
    return found


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Numbers as numbers: 2 before 10."""
    parts = re.findall(r"\d+|\D+", version)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _trainings(session: Session) -> Mapping[str, tuple[Training, TuningJob]]:
    rows = session.execute(select(TunedModel, TuningJob).join(TuningJob, TuningJob.id == TunedModel.job_id))
    return {model.id: (_training(session, model, job), job) for model, job in rows}


def _training(session: Session, model: TunedModel, job: TuningJob) -> Training:
    examples = (TuningExample.job_id == job.id, TuningExample.split == "train")
    battles = session.scalar(select(func.count(TuningExample.battle_id.distinct())).where(*examples)) or 0
    return Training(
        job_id=job.id,
        method=job.method,
        base_model=job.base_model,
        step=model.step,
        sha256=job.training_sha256,
        lines=job.training_lines,
        battles=battles,
        tokens=job.trained_tokens,
        at=job.ended_at,
    )


def _step(
    session: Session,
    node: _Node,
    before: _Node,
    comparisons: Comparisons,
    trained: Mapping[str, tuple[Training, TuningJob]],
) -> Step:
    jobs = _jobs_behind(node.model_id, trained)
    seen, unseen, battles = _met(session, node, before, jobs)
    return Step(node.model_id, before.model_id, _compared(comparisons, node, before), seen, unseen, battles)


def _jobs_behind(model_id: str, trained: Mapping[str, tuple[Training, TuningJob]]) -> Sequence[str]:
    """The jobs that a model went through: its own, and those of the models that it was tuned from."""
    jobs: list[str] = []
    at: str | None = model_id
    while at is not None and at in trained and trained[at][1].id not in jobs:
        jobs.append(trained[at][1].id)
        at = trained[at][1].parent
    return jobs


def _compared(comparisons: Comparisons, node: _Node, before: _Node) -> Comparison | None:
    if not node.revisions or not before.revisions:
        return None
    try:
        return comparisons.between(node.revisions[-1], before.revisions[-1])
    except ValueError:
        return None


def _met(session: Session, node: _Node, before: _Node, jobs: Sequence[str]) -> tuple[Tally, Tally, Sequence[str]]:
    """The counted votes between the latest revisions of the two: on prompts trained on, on others, the former's ids."""
    if not node.revisions or not before.revisions:
        return Tally(), Tally(), ()
    later, earlier = node.revisions[-1], before.revisions[-1]
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


def _member(
    node: _Node,
    nodes: Mapping[str, _Node],
    trained: Mapping[str, tuple[Training, TuningJob]],
    steps: Mapping[str, Step],
) -> Member:
    children = [_member(one, nodes, trained, steps) for one in nodes.values() if one.parent == node.model_id]
    return Member(
        model_id=node.model_id,
        display_name=node.display_name,
        platform=node.platform,
        family=node.family,
        version=node.version,
        parent=node.parent,
        in_roster=node.in_roster,
        trained=trained[node.model_id][0] if node.model_id in trained else None,
        step=steps.get(node.model_id),
        children=children,
    )
