"""Votes on items: two answers that several battles showed, and what people say of them when they are asked again.

A campaign's item is judged by several people, or by the same person again with the seats swapped. Only blind votes that
count are read, and of a voter's judgements of one item only the first is held against other people's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.orm import Session

from arena.agreement import Alpha, Ints, agree, tabulate
from arena.criteria_patterns import Share, share
from arena.rubric import Rubric
from arena.tables import Battle, Mode, Seat, Side, Vote, VoteState, Winner

BLIND = (Mode.BATTLE, Mode.CAMPAIGN)
SIDES: Mapping[str, int] = {Winner.MODEL_A.value: 1, Winner.MODEL_B.value: -1}
DECIDED = (Winner.MODEL_A, Winner.MODEL_B)
_FIRST, _EVEN, _SECOND, _BOTH_BAD = range(4)
OPPOSITES = (_FIRST, _SECOND)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One vote on an item, whichever way its answers were seated."""

    voter: str
    item: int
    swapped: bool
    """Whether the item's second answer sat on side A."""
    winner: Winner
    criteria: Mapping[str, str]
    """Of the rubric's present version."""
    sequence: int
    battle: str
    models: tuple[int, int]
    """The revisions that wrote the two answers, the smaller number first."""

    def verdict(self, criterion: str | None = None) -> int | None:
        """Which of the item's answers was found better: a number from 0, `None` where the criterion was not rated."""
        word = self.winner.value if criterion is None else self.criteria.get(criterion)
        if word is None:
            return None
        if word == Winner.BOTH_BAD.value:
            return _BOTH_BAD
        side = SIDES.get(word, 0)
        return _EVEN if side == 0 else _FIRST if (side == 1) != self.swapped else _SECOND

    def ordered(self, criterion: str | None = None) -> int | None:
        """The same as an order: 0 the first answer, 1 even or both bad, 2 the second."""
        verdict = self.verdict(criterion)
        return _EVEN if verdict == _BOTH_BAD else verdict


@dataclass(frozen=True, slots=True)
class Repeats:
    """Judgements of the same item by the same person, one after the other."""

    same: Share | None
    """How often the verdict stayed; `None` before the first repeat."""
    swapped_changes: int
    """Verdicts for a side that changed when the seats were swapped, so that the same side won again."""
    stayed_left: int
    """Of these, how often that was side A."""

    @property
    def sentence(self) -> str:
        """Whether people agree with themselves, in words."""
        if self.same is None:
            return "Nobody was shown the same two answers again yet."
        told = (
            f"Shown the same two answers again, people said the same in {self.same.words} of {self.same.votes:,} cases"
        )
        if not self.swapped_changes:
            return f"{told}."
        return (
            f"{told}. In {self.swapped_changes:,} the seats were swapped and the same side won again: side A in "
            f"{self.stayed_left:,}."
        )


def agreement_of(first: Sequence[Judgement], criterion: str | None = None) -> Alpha:
    """Agreement between people, overall or on a criterion; `first` are each voter's first judgements of each item."""
    return agree(_table(first, [judgement.verdict(criterion) for judgement in first], 4), opposites=OPPOSITES)


def count_verdicts(first: Sequence[Judgement]) -> Ints:
    """How many people gave each verdict on each item, shape (items, verdicts)."""
    return _table(first, [judgement.verdict() for judgement in first], 4)


def against_others(said: Ints, own: Iterable[Judgement]) -> Alpha | None:
    """How one voter agrees with what most others said, on the items they share; `None` where there is none.

    `said` are the verdicts of everybody, `own` the voter's first judgements, which are among them.
    """
    pairs = []
    for judgement in own:
        verdict = judgement.verdict()
        if verdict is None:
            continue
        others = said[judgement.item].copy()
        others[verdict] -= 1
        most = np.flatnonzero(others == others.max())
        if len(most) == 1:
            pairs.append((verdict, int(most[0])))
    if not pairs:
        return None
    units = np.repeat(np.arange(len(pairs)), 2)
    return agree(tabulate(units, np.array(pairs).ravel(), 4), opposites=OPPOSITES)


def repeats_of(judgements: Iterable[Judgement]) -> Repeats:
    """Agreement of people with themselves."""
    seen: dict[tuple[str, int], list[Judgement]] = defaultdict(list)
    for judgement in sorted(judgements, key=lambda judgement: judgement.sequence):
        seen[judgement.voter, judgement.item].append(judgement)
    pairs = [pair for shown in seen.values() for pair in pairwise(shown)]
    people = np.unique([before.voter for before, _ in pairs], return_inverse=True)[1]
    same = np.array([before.verdict() == after.verdict() for before, after in pairs], bool)
    stuck = [
        before.winner
        for before, after in pairs
        if before.swapped != after.swapped and before.winner == after.winner and before.winner in DECIDED
    ]
    return Repeats(share(same, people, np.ones(len(pairs), np.int64)), len(stuck), stuck.count(Winner.MODEL_A))


def ordered_agreement_of(first: Sequence[Judgement], criterion: str | None = None) -> Alpha:
    """The same with even between the two answers, and both bad as even."""
    table = _table(first, [judgement.ordered(criterion) for judgement in first], 3)
    return agree(table, "ordinal", OPPOSITES)


def ordered_alpha(items: Sequence[int], verdicts: Sequence[int]) -> Alpha:
    """Alpha of ordered verdicts: 0 the item's first answer, 1 even, 2 its second."""
    return agree(tabulate(items, verdicts, 3), "ordinal", OPPOSITES)


def _table(judgements: Sequence[Judgement], verdicts: Sequence[int | None], words: int) -> Ints:
    known = [(one.item, verdict) for one, verdict in zip(judgements, verdicts, strict=True) if verdict is not None]
    return tabulate([item for item, _ in known], [verdict for _, verdict in known], words)


def first_of_each(judgements: Iterable[Judgement]) -> Sequence[Judgement]:
    """Each voter's first judgement of each item, in the order in which they were given."""
    first: dict[tuple[str, int], Judgement] = {}
    for judgement in sorted(judgements, key=lambda judgement: judgement.sequence):
        first.setdefault((judgement.voter, judgement.item), judgement)
    return list(first.values())


Item = tuple[tuple[str, ...], tuple[str, ...]]
"""Two answers, by the ids of what each said turn by turn; in the order of these ids."""


def item_of(a: Sequence[str], b: Sequence[str]) -> Item:
    """The item of two answers, whichever is named first."""
    one, other = tuple(a), tuple(b)
    return min(one, other), max(one, other)


def read_judgements(session: Session, rubric: Rubric) -> Sequence[Judgement]:
    """Every blind vote that counts on two answers which several battles showed."""
    # Counted in the index alone: of the seats of ordinary battles none shares its answer.
    shared = select(Seat.answer_id).group_by(Seat.answer_id).having(func.count() > 1)
    found, _ = read_items(session, rubric, select(Seat.battle_id).where(Seat.answer_id.in_(shared)).distinct())
    return found


def read_items(
    session: Session, rubric: Rubric, battles: Select[str]
) -> tuple[Sequence[Judgement], Mapping[Item, int]]:
    """Every blind vote that counts on some battles, and the numbers that their items have in it."""
    seats = session.execute(
        select(Seat.battle_id, cast(Seat.side, Text), Seat.answer_id)
        .where(Seat.battle_id.in_(battles))
        .order_by(Seat.turn)
    )
    seated: dict[str, tuple[list[str], list[str]]] = {}
    for battle_id, side, answer_id in seats:
        sides = seated.get(battle_id) or seated.setdefault(battle_id, ([], []))
        sides[side == Side.B].append(answer_id)
    votes = session.execute(
        select(
            *(Vote.battle_id, Vote.voter_id, Vote.winner, Vote.criteria, Vote.rubric_version, Vote.sequence),
            *(Battle.revision_a, Battle.revision_b),
        )
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.state == VoteState.COUNTED, Battle.mode.in_(BLIND), Vote.battle_id.in_(battles))
    )
    items: dict[Item, int] = {}
    found = []
    for battle_id, voter, winner, criteria, version, sequence, *revisions in votes:
        a, b = seated[battle_id]
        item = items.setdefault(item_of(a, b), len(items))
        rated = criteria if version == rubric.version else {}
        models = (min(revisions), max(revisions))
        found.append(Judgement(voter, item, a > b, winner, rated, sequence, battle_id, models))
    return found, items
