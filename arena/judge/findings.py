"""The judge held against people: by criterion and overall, pair by pair, and by the seat it prefers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from arena.agreement import FEWEST_UNITS, Alpha, least_and_most
from arena.database import Database
from arena.judge.items import pair_key
from arena.judge.seats import SeatLeaning, settle
from arena.judgements import Judgement, first_of_each, ordered_agreement_of, ordered_alpha, read_items
from arena.rubric import Criterion, Rubric
from arena.tables import Battle, CampaignAnswer, JudgeVerdict, Seat


@dataclass(frozen=True, slots=True)
class Comparison:
    """One judge and people, on a criterion or overall; verdicts as an order, both bad as even."""

    criterion: Criterion | None
    judge: Alpha
    """The judge with the first person who judged the pair."""
    people: Alpha
    """Two or more people with each other, on the same pairs."""
    parted: int
    """Pairs where most people said something else than the judge."""
    held: int
    """Pairs where most people said the same thing, so that they could be held against the judge."""

    @property
    def sentence(self) -> str:
        """Does the judge agree with people as people agree with each other? In words that can be quoted."""
        judge, people = self.judge, self.people
        if judge.low is None or judge.high is None:
            return (
                f"Too few pairs to tell whether the judge agrees with people: it takes {FEWEST_UNITS} that both judged."
            )
        own = f"The judge agrees with people {_degree(judge.low, judge.high)} ({judge.words})"
        if people.low is None or people.high is None:
            return f"{own}. Too few pairs were judged by two people to say how people agree with each other."
        if judge.high < people.low:
            return f"{own}, and less than people with each other ({people.words})."
        if judge.low > people.high:
            return f"{own}, and more than people with each other ({people.words})."
        return f"{own}; people with each other, no differently as far as these pairs tell ({people.words})."


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair on which the judge and most people differ; verdicts are 0 for side A of the battle, 1 even, 2 for B."""

    battle_id: str
    """The first in which one of them judged it."""
    criterion: Criterion | None
    people: int
    """What most people said."""
    agreed: int
    """How many of them."""
    voters: int
    judge: int
    reason: str
    """The judge's, in one of the orders."""


@dataclass(frozen=True, slots=True)
class JudgeFinding:
    """What is known of one judge."""

    model_id: str
    pairs: int
    """With a verdict in both orders."""
    failed: int
    """Questions that came to nothing."""
    overall: Comparison
    criteria: Sequence[Comparison]
    seats: SeatLeaning
    differences: Sequence[Difference]
    """Those most people judged first."""

    @property
    def parting(self) -> str:
        """On what it parts from people; empty while fewer than two criteria have an interval."""
        known = [(f"“{row.criterion.name}”", row.judge) for row in self.criteria if row.criterion is not None]
        return least_and_most("It agrees with people", known)


def read_findings(database: Database, rubric: Rubric) -> Sequence[JudgeFinding]:
    """Each judge of the rubric's version as it was last asked; blocking, it takes time by the number of verdicts.

    A judge's verdict on a pair is what it said in both orders; where they differ it is even.
    """
    with database.read() as session:
        latest = _latest_keys(session, rubric)
        if not latest:
            return ()
        judgements, items = read_items(session, rubric, _battles())
        rows = {key: _read(session, rubric, key) for key in latest}
    numbers = {pair_key(item): number for item, number in items.items()}
    people: dict[str, list[Judgement]] = defaultdict(list)
    by_number = {number: pair for pair, number in numbers.items()}
    for judgement in first_of_each(judgements):
        people[by_number[judgement.item]].append(judgement)
    return [_find(rows[key], rubric, people) for key in latest]


def _latest_keys(session: Session, rubric: Rubric) -> Sequence[str]:
    """Of each model the judge that it was last, the one that spoke last first."""
    statement = (
        select(JudgeVerdict.model_id, JudgeVerdict.judge)
        .where(JudgeVerdict.rubric_version == rubric.version)
        .group_by(JudgeVerdict.model_id, JudgeVerdict.judge)
        .order_by(func.max(JudgeVerdict.judged_at).desc())
    )
    latest: dict[str, str] = {}
    for model_id, key in session.execute(statement):
        latest.setdefault(model_id, key)
    return list(latest.values())


def _read(session: Session, rubric: Rubric, key: str) -> Sequence[JudgeVerdict]:
    return session.scalars(
        select(JudgeVerdict)
        .where(JudgeVerdict.judge == key, JudgeVerdict.rubric_version == rubric.version)
        .order_by(JudgeVerdict.judged_at, JudgeVerdict.id)
    ).all()


def _battles() -> Select[str]:
    """The battles over answers that a judge was shown."""
    judged = select(JudgeVerdict.conversation_id)
    shown = select(Seat.answer_id).join(Battle, Battle.id == Seat.battle_id).where(Battle.conversation_id.in_(judged))
    prepared = select(CampaignAnswer.answer_id).where(CampaignAnswer.conversation_id.in_(judged))
    return select(Seat.battle_id).where(or_(Seat.answer_id.in_(shown), Seat.answer_id.in_(prepared))).distinct()


def _find(
    rows: Sequence[JudgeVerdict],
    rubric: Rubric,
    people: Mapping[str, Sequence[Judgement]],
) -> JudgeFinding:
    orders: dict[str, dict[bool, JudgeVerdict]] = defaultdict(dict)
    for row in rows:
        if row.failure is None:
            orders[row.pair][row.swapped] = row
    both = {pair: (shown[False], shown[True]) for pair, shown in orders.items() if len(shown) == 2}
    compared = [_compare(both, people, criterion) for criterion in (None, *rubric)]
    differences = [difference for _, found in compared for difference in found]
    differences.sort(key=lambda difference: (-difference.agreed, difference.battle_id))
    return JudgeFinding(
        model_id=rows[-1].model_id,
        pairs=len(both),
        failed=sum(row.failure is not None for row in rows),
        overall=compared[0][0],
        criteria=[comparison for comparison, _ in compared[1:]],
        seats=SeatLeaning.of([(first.winner, second.winner) for first, second in both.values()]),
        differences=differences,
    )


def _compare(
    both: Mapping[str, tuple[JudgeVerdict, JudgeVerdict]],
    people: Mapping[str, Sequence[Judgement]],
    criterion: Criterion | None,
) -> tuple[Comparison, Sequence[Difference]]:
    name = criterion.id if criterion else None
    judge_of = {pair: settle(_said(first, name), _said(second, name)) for pair, (first, second) in both.items()}
    together: list[tuple[int, int, int]] = []
    differences: list[Difference] = []
    held = 0
    for number, (pair, verdict) in enumerate(judge_of.items()):
        rated = [(one, word) for one in people.get(pair, ()) if (word := one.ordered(name)) is not None]
        if verdict is None or not rated:
            continue
        said = [word for _, word in rated]
        together.append((number, verdict, said[0]))
        most, agreed = _most(said)
        held += most is not None
        if most is not None and most != verdict:
            first, reason = rated[0][0], both[pair][0].reason
            seen = (_as_seated(most, first.swapped), _as_seated(verdict, first.swapped))
            differences.append(Difference(first.battle, criterion, seen[0], agreed, len(said), seen[1], reason))
    numbers = [number for number, _, _ in together for _ in range(2)]
    words = [word for _, *pair_of_words in together for word in pair_of_words]
    shared = [judgement for pair in both for judgement in people.get(pair, ())]
    comparison = Comparison(
        criterion, ordered_alpha(numbers, words), ordered_agreement_of(shared, name), len(differences), held
    )
    return comparison, differences


def _said(row: JudgeVerdict, criterion: str | None) -> str | None:
    """In one order: the word as it was said, about the seats of that order."""
    if criterion is None:
        return row.winner.value if row.winner else None
    return row.criteria.get(criterion)


def _as_seated(verdict: int, turned: bool) -> int:
    return 2 - verdict if turned else verdict


def _most(said: Sequence[int]) -> tuple[int | None, int]:
    """What more people said than anything else, and how many; `None` where nothing is."""
    counts = np.bincount(said, minlength=3)
    top = int(counts.max())
    return (int(counts.argmax()) if (counts == top).sum() == 1 else None), top


def _degree(low: float, high: float) -> str:
    if low > 0:
        return "more than by chance"
    return "less than by chance" if high < 0 else "no more than chance is shown to give"
