"""How consistent votes are: people with each other, with themselves, and their criteria with their verdicts."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Text, case, cast, func, select
from sqlalchemy.orm import Session, aliased

from arena.agreement import FEWEST_UNITS, Alpha, least_and_most, list_some
from arena.criteria_patterns import NOT_RATED, Association, CriteriaVotes, Halo, Share, associations, halo, share
from arena.database import Database
from arena.judgements import (
    BLIND,
    DECIDED,
    SIDES,
    Judgement,
    Repeats,
    against_others,
    agreement_of,
    count_verdicts,
    first_of_each,
    ordered_agreement_of,
    read_judgements,
    repeats_of,
)
from arena.rubric import Criterion, Rubric
from arena.tables import AnswerStyle, Battle, ModelRevision, Seat, Side, Vote, VoteState, Winner


@dataclass(frozen=True, slots=True)
class CriterionFinding:
    """What is known of one criterion."""

    criterion: Criterion
    association: Association
    alpha: Alpha


@dataclass(frozen=True, slots=True)
class MatchFinding:
    """How people agree on the answers of two models."""

    names: tuple[str, str]
    alpha: Alpha

    @property
    def words(self) -> str:
        """'Hare against Tortoise'."""
        return " against ".join(self.names)


@dataclass(frozen=True, slots=True)
class VoterFinding:
    """What is known of one voter's ways."""

    voter: str
    votes: int
    """Blind votes that count."""
    side_a: Share | None = None
    """How often side A was chosen, where a side was."""
    longer: Share | None = None
    """How often the longer answer was chosen, where a side was and the lengths differ."""
    formatted: Share | None = None
    """The same of the answer with more headings, list items and bold passages."""
    others: Alpha | None = None
    """Agreement with everybody else on items they share."""
    repeats: Repeats = field(default_factory=lambda: Repeats(None, 0, 0))
    halo: Halo = field(default_factory=lambda: Halo(None, 0.0))


@dataclass(frozen=True, slots=True)
class Consistency:
    """Everything that is known of how people judge."""

    people: Alpha
    """Verdicts: first, even, second, both bad."""
    ordered: Alpha
    """The same with even between the two, and both bad as even."""
    criteria: Sequence[CriterionFinding]
    matches: Sequence[MatchFinding]
    """Pairs of models of which enough answers were judged by several people, the least agreed on first."""
    repeats: Repeats
    halo: Halo
    side_a: Share | None

    @property
    def disputed(self) -> str:
        """On which criterion they disagree; empty while fewer than two have an interval."""
        return least_and_most("People agree", [(f"“{one.criterion.name}”", one.alpha) for one in self.criteria])

    @property
    def disputed_models(self) -> str:
        """On which two models they disagree; empty while fewer than two pairs of models have an interval."""
        told = least_and_most("People agree", [(match.words, match.alpha) for match in self.matches])
        unshown = [match.words for match in self.matches if (match.alpha.low or 0.0) <= 0]
        if not told or not unshown:
            return told
        return f"{told} That people agree more than by chance is not shown on {list_some(unshown)}."


def read_consistency(database: Database, rubric: Rubric) -> Consistency:
    """What the votes say of the people who gave them; blocking, it takes time by the number of votes."""
    with database.read() as session:
        judgements = read_judgements(session, rubric)
        criteria, _ = _read_criteria(session, rubric)
        leanings = _read_sides(session)
        names = _read_names(session, {revision for judgement in judgements for revision in judgement.models})
    related, first = associations(criteria), first_of_each(judgements)
    return Consistency(
        people=agreement_of(first),
        ordered=ordered_agreement_of(first),
        criteria=[
            CriterionFinding(criterion, related[place], agreement_of(first, criterion.id))
            for place, criterion in enumerate(rubric)
        ],
        matches=_matches(first, names),
        repeats=repeats_of(judgements),
        halo=halo(criteria),
        side_a=_share_of(leanings),
    )


def read_voter_findings(database: Database, rubric: Rubric, most: int = 50) -> Sequence[VoterFinding]:
    """The ways of the voters with the most votes; blocking, it takes time by the number of votes."""
    with database.read() as session:
        judgements = read_judgements(session, rubric)
        criteria, names = _read_criteria(session, rubric)
        sides = {voter: (votes, *counts) for voter, votes, *counts in _read_sides(session)}
        looks = {voter: counts for voter, *counts in _read_looks(session)}
    listed = sorted(sides, key=lambda voter: (-sides[voter][0], voter))[:most]
    own: dict[str, list[Judgement]] = {voter: [] for voter in listed}
    for judgement in judgements:
        if judgement.voter in own:
            own[judgement.voter].append(judgement)
    said = count_verdicts(first_of_each(judgements))
    found = []
    for voter in listed:
        votes, decided, for_a = sides[voter]
        longer_of, longer, formatted_of, formatted = looks.get(voter, (0, 0, 0, 0))
        mine = criteria.of(criteria.voter == names.get(voter, -1))
        found.append(
            VoterFinding(
                voter,
                votes,
                side_a=_one(for_a, decided),
                longer=_one(longer, longer_of),
                formatted=_one(formatted, formatted_of),
                others=against_others(said, first_of_each(own[voter])),
                repeats=repeats_of(own[voter]),
                halo=halo(mine),
            )
        )
    return found


def _matches(first: Sequence[Judgement], names: Mapping[int, str]) -> Sequence[MatchFinding]:
    """Agreement by pair of models; those with too few items judged by several people are left out."""
    by_models: dict[tuple[int, int], list[Judgement]] = defaultdict(list)
    for judgement in first:
        by_models[judgement.models].append(judgement)
    found = [
        MatchFinding((names[low], names[high]), agreement_of(judgements))
        for (low, high), judgements in by_models.items()
        if low != high and len(judgements) >= 2 * FEWEST_UNITS
    ]
    known = [match for match in found if match.alpha.low is not None]
    return sorted(known, key=lambda match: (match.alpha.value or 0.0, match.words))


def _read_names(session: Session, revisions: Collection[int]) -> Mapping[int, str]:
    """What people call each revision; with its number where another one has the same name."""
    rows = session.execute(
        select(ModelRevision.id, ModelRevision.display_name, ModelRevision.number).where(
            ModelRevision.id.in_(revisions)
        )
    ).all()
    often = Counter(name for _, name, _ in rows)
    return {revision: name if often[name] == 1 else f"{name} ({number})" for revision, name, number in rows}


def _read_criteria(session: Session, rubric: Rubric) -> tuple[CriteriaVotes, Mapping[str, int]]:
    """The votes under the rubric's version, equal ones of a voter added up by the database; and the voters' numbers."""
    written = cast(Vote.criteria, Text)
    statement = (
        select(Vote.voter_id, cast(Vote.winner, Text), written, func.count())
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.state == VoteState.COUNTED, Battle.mode.in_(BLIND), Vote.rubric_version == rubric.version)
        .group_by(Vote.voter_id, cast(Vote.winner, Text), written)
    )
    names: dict[str, int] = {}
    rows: list[list[int]] = []
    for voter, winner, criteria, number in session.execute(statement):
        rated = json.loads(criteria)
        if rated:
            words = [_rated(rated.get(criterion.id)) for criterion in rubric]
            rows.append([names.setdefault(voter, len(names)), SIDES.get(winner, 0), number, *words])
    table = np.array(rows, np.int64).reshape(-1, 3 + len(rubric))
    return CriteriaVotes(table[:, 0], table[:, 1], table[:, 3:], table[:, 2]), names


def _rated(word: str | None) -> int:
    return NOT_RATED if word is None else SIDES.get(word, 0)


def _read_sides(session: Session) -> Sequence[tuple[str, int, int, int]]:
    """Voter, blind votes that count, those that chose a side, and side A."""
    decided = case((Vote.winner.in_(DECIDED), 1), else_=0)
    for_a = case((Vote.winner == Winner.MODEL_A, 1), else_=0)
    statement = (
        select(Vote.voter_id, func.count(), func.sum(decided), func.sum(for_a))
        .join(Battle, Battle.id == Vote.battle_id)
        .where(Vote.state == VoteState.COUNTED, Battle.mode.in_(BLIND))
        .group_by(Vote.voter_id)
    )
    return [(voter, votes, int(sides), int(a)) for voter, votes, sides, a in session.execute(statement)]


def _read_looks(session: Session) -> Sequence[tuple[str, int, int, int, int]]:
    """Voter; votes for a side on answers of unequal length, and for the longer; the same of formatting."""
    seat_a, seat_b, look_a, look_b = aliased(Seat), aliased(Seat), aliased(AnswerStyle), aliased(AnswerStyle)
    sums = []
    lengths = look_a.characters, look_b.characters
    marks = look_a.headings + look_a.lists + look_a.bold, look_b.headings + look_b.lists + look_b.bold
    for of_a, of_b in (lengths, marks):
        differ = case((of_a != of_b, 1), else_=0)
        chosen = case(
            ((of_a > of_b) & (Vote.winner == Winner.MODEL_A), 1),
            ((of_a < of_b) & (Vote.winner == Winner.MODEL_B), 1),
            else_=0,
        )
        sums += [func.sum(differ), func.sum(chosen)]
    statement = (
        select(Vote.voter_id, *sums)
        .join(Battle, Battle.id == Vote.battle_id)
        .join(seat_a, (seat_a.battle_id == Vote.battle_id) & (seat_a.side == Side.A) & (seat_a.turn == Vote.turn))
        .join(seat_b, (seat_b.battle_id == Vote.battle_id) & (seat_b.side == Side.B) & (seat_b.turn == Vote.turn))
        .join(look_a, look_a.answer_id == seat_a.answer_id)
        .join(look_b, look_b.answer_id == seat_b.answer_id)
        .where(Vote.state == VoteState.COUNTED, Battle.mode.in_(BLIND), Vote.winner.in_(DECIDED))
        .group_by(Vote.voter_id)
    )
    return [(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in session.execute(statement)]


def _share_of(leanings: Sequence[tuple[str, int, int, int]]) -> Share | None:
    """How often side A was chosen where a side was, by all voters together."""
    table = np.array([counts for _, *counts in leanings], np.int64).reshape(-1, 3)
    voter = np.tile(np.arange(len(table)), 2)
    happened = np.repeat([True, False], len(table))
    return share(happened, voter, np.concatenate([table[:, 2], table[:, 1] - table[:, 2]]))


def _one(chosen: int, of: int) -> Share | None:
    return share(np.array([True, False]), np.zeros(2, np.int64), np.array([chosen, of - chosen]))
