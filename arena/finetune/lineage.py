"""The family tree of versions, what each was trained on, and whether each step was one forward."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.database import Database
from arena.finetune.steps import Step, Tally, votes_between
from arena.pair_verdicts import Comparisons
from arena.roster import ModelEntry
from arena.tables import ModelRevision, TunedModel, TuningExample, TuningJob


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
    if not node.revisions or not before.revisions:
        return Step(node.model_id, before.model_id, None, Tally(), Tally(), ())
    later, earlier = node.revisions[-1], before.revisions[-1]
    seen, unseen, battles = votes_between(session, later, earlier, _jobs_behind(node.model_id, trained))
    try:
        comparison = comparisons.between(later, earlier)
    except ValueError:  # one of them is not rated yet
        comparison = None
    return Step(node.model_id, before.model_id, comparison, seen, unseen, battles)


def _jobs_behind(model_id: str, trained: Mapping[str, tuple[Training, TuningJob]]) -> Sequence[str]:
    """The jobs that a model went through: its own, and those of the models that it was tuned from."""
    jobs: list[str] = []
    at: str | None = model_id
    while at is not None and at in trained and trained[at][1].id not in jobs:
        jobs.append(trained[at][1].id)
        at = trained[at][1].parent
    return jobs


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
