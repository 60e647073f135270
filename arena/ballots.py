"""Votes added up by voter and pair, for any slice of them: who stands behind a rating, and how the slice votes.

Reading votes costs by their number. It is never done on a vote's path: the standings after a vote come from the pair
counts alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, Text, case, cast, func, select

from arena.counts import PairCounts
from arena.database import Database
from arena.rubric import split_key
from arena.tables import (
    Battle,
    Conversation,
    ImportedVote,
    Mode,
    ModelRevision,
    Vote,
    Voter,
    VoteState,
    Winner,
    counted_in,
)

Numbers = NDArray[np.int64]
RATED_SCOPES = (Mode.BATTLE.value, Mode.IMPORTED.value)
_FETCHED_AT_ONCE = 5_000
_WINNERS = tuple(Winner)


@dataclass(frozen=True, slots=True)
class Slice:
    """Which votes: those that fulfil everything that is not `None`."""

    scopes: tuple[str, ...] = RATED_SCOPES
    """`battle`, `imported` or `campaign:<id>`."""
    criterion: str = ""
    """Empty for the overall verdict, else its key in the counts: see `arena.rubric`."""
    tag: str | None = None
    """Of the challenge."""
    language: str | None = None
    """ISO 639-1 code."""
    turns: int | None = None
    """How many turns the voter had seen."""
    platform: str | None = None
    """Of both models."""
    voters: frozenset[str] | None = None
    """Ids."""
    signed_in: bool | None = None
    """Whether the voter has an account."""


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes by voter and pair: arrays of one length."""

    voter: Numbers
    """A number for each voter id."""
    unknown: Numbers
    """The numbers of ids that stand for nobody in particular: an imported file whose voters are not known."""
    low: Numbers
    """Revision ids; the lower one of the pair."""
    high: Numbers
    wins_low: Numbers
    wins_high: Numbers
    ties: Numbers
    both_bad: Numbers

    @property
    def votes(self) -> int:
        """All votes in here."""
        return int((self.wins_low + self.wins_high + self.ties + self.both_bad).sum())

    def counts(self, sequence: int = 0) -> PairCounts:
        """The same votes without their voters; `sequence` is the commit number they were read at."""
        revisions, places = np.unique(np.stack([self.low, self.high]), return_inverse=True)
        low, high = places.reshape(2, -1)
        wins, ties, both_bad = (np.zeros((len(revisions), len(revisions)), np.int64) for _ in range(3))
        np.add.at(wins, (low, high), self.wins_low)
        np.add.at(wins, (high, low), self.wins_high)
        for symmetric, column in ((ties, self.ties), (both_bad, self.both_bad)):
            np.add.at(symmetric, (low, high), column)
            np.add.at(symmetric, (high, low), column)
        return PairCounts(revisions.tolist(), wins, ties, both_bad, sequence)


def read_ballots(database: Database, part: Slice) -> Ballots:
    """The counted votes of a slice, added up by voter and pair.

    They are added up here: hardly two votes of a large arena agree in voter and pair, and a database sorts them for it,
    which takes several times as long as reading them.
    """
    numbers: dict[str, int] = {}
    portions: list[Numbers] = []
    with database.engine.connect() as connection:
        sources = connection.scalars(select(ImportedVote.source).distinct()).all()
        cursor = connection.execute(_chosen(part)).cursor
        while rows := cursor.fetchmany(_FETCHED_AT_ONCE):
            kept = [row for row in rows if part.voters is None or row[0] in part.voters]
            flat = [(numbers.setdefault(voter, len(numbers)), *figures) for voter, *figures in kept]
            portions.append(np.array(flat, np.int64).reshape(-1, 4))
    table = np.concatenate(portions) if portions else np.zeros((0, 4), np.int64)
    unknown = [numbers[name] for name in (f"imported:{source}" for source in sources) if name in numbers]
    return _added_up(table, np.array(unknown, np.int64))


def count_languages(database: Database, scopes: Sequence[str] = RATED_SCOPES) -> Mapping[str, int]:
    """Counted votes by the language of the first prompt, the most frequent first; unknown languages left out."""
    number = func.count()
    statement = (
        select(Conversation.language, number)
        .select_from(Vote)
        .join(Battle, Battle.id == Vote.battle_id)
        .join(Conversation, Conversation.id == Battle.conversation_id)
        .where(
            Vote.rated, Vote.state == VoteState.COUNTED, counted_in().in_(scopes), Conversation.language.is_not(None)
        )
        .group_by(Conversation.language)
        .order_by(number.desc(), Conversation.language)
    )
    with database.engine.connect() as connection:
        return {language: votes for language, votes in connection.execute(statement) if language}


def _chosen(part: Slice) -> Select[*tuple[Any, ...]]:
    """Voter, the revisions in the seats, and the place of the vote's winner in `_WINNERS`."""
    verdict: ColumnElement[str] = cast(Vote.winner, Text)
    conditions = [Vote.rated, Vote.state == VoteState.COUNTED, counted_in().in_(part.scopes)]
    if part.criterion:
        criterion, version = split_key(part.criterion)
        verdict = Vote.criteria[criterion].as_string()
        conditions += [verdict.is_not(None), Vote.rubric_version == version]
    if part.turns is not None:
        conditions.append(Vote.turn == part.turns)
    if part.language is not None:
        conditions.append(Conversation.language == part.language)
    if part.tag is not None:
        written = cast(Conversation.challenge_tags, Text)
        conditions.append(written.contains(json.dumps(part.tag), autoescape=True))
    if part.platform is not None:
        theirs = select(ModelRevision.id).where(ModelRevision.platform == part.platform)
        conditions += [Battle.revision_a.in_(theirs), Battle.revision_b.in_(theirs)]
    if part.signed_in is not None:
        accounts = select(Voter.id).where(Voter.account.is_not(None))
        conditions.append(Vote.voter_id.in_(accounts) if part.signed_in else Vote.voter_id.not_in(accounts))
    won = case({winner.value: place for place, winner in enumerate(_WINNERS)}, value=verdict)
    statement = select(Vote.voter_id, Battle.revision_a, Battle.revision_b, won)
    statement = statement.join(Battle, Battle.id == Vote.battle_id)
    if part.language is not None or part.tag is not None:
        statement = statement.join(Conversation, Conversation.id == Battle.conversation_id)
    return statement.where(*conditions)


def _added_up(table: Numbers, unknown: Numbers) -> Ballots:
    """Both seatings of a pair under one name, each voter's votes on it in one place."""
    voter, a, b, winner = table.T
    low, high = np.minimum(a, b), np.maximum(a, b)
    width = int(high.max(initial=0)) + 1
    groups, place = np.unique((voter * width + low) * width + high, return_inverse=True)

    def tally(*outcomes: tuple[Winner, bool | NDArray[np.bool_]]) -> Numbers:
        chosen = np.zeros(len(place), bool)
        for outcome, where in outcomes:
            chosen |= (winner == _WINNERS.index(outcome)) & where
        return np.bincount(place[chosen], minlength=len(groups))

    as_seated = a < b
    return Ballots(
        voter=groups // (width * width),
        unknown=unknown,
        low=groups // width % width,
        high=groups % width,
        wins_low=tally((Winner.MODEL_A, as_seated), (Winner.MODEL_B, ~as_seated)),
        wins_high=tally((Winner.MODEL_B, as_seated), (Winner.MODEL_A, ~as_seated)),
        ties=tally((Winner.TIE, True)),
        both_bad=tally((Winner.BOTH_BAD, True)),
    )


def people_behind(ballots: Ballots, groups: Mapping[int, int], n: int) -> tuple[Sequence[int], int]:
    """Different voters behind each of `n` groups of revisions, and in all.

    `groups` gives a revision's group. Votes between members of one group, or of revisions in none, do not count.
    """
    if not len(ballots.voter):
        return [0] * n, 0
    most = int(max(ballots.low.max(), ballots.high.max(), *groups, 0))
    group = np.full(most + 1, -1)
    group[list(groups)] = list(groups.values())
    first, second = group[ballots.low], group[ballots.high]
    counted = (first >= 0) & (second >= 0) & (first != second)
    voter = ballots.voter[counted]
    pairs = np.unique(np.concatenate([voter * n + first[counted], voter * n + second[counted]]))
    return np.bincount(pairs % n, minlength=n).tolist(), len(np.unique(voter))
