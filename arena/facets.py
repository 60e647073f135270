"""What the votes can be told apart by: only what occurs in them is worth offering as a filter."""

import json
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, cast, func, select

from arena.database import Database
from arena.tables import Battle, Conversation, PairCount, Vote, VoteState


@dataclass(frozen=True, slots=True)
class CountedFacets:
    """What the pair counts tell apart."""

    scopes: Sequence[str]
    """`battle`, `imported`, `campaign`: as far as they have votes."""
    criteria: Sequence[str]


@dataclass(frozen=True, slots=True)
class VoteFacets:
    """What only the votes themselves tell apart, the most frequent first, turns in ascending order."""

    tags: Sequence[str]
    languages: Sequence[str]
    """ISO 639-1 codes."""
    turns: Sequence[int]


def read_counted_facets(database: Database) -> CountedFacets:
    """Look through the pair counts, whose number does not grow with the votes."""
    with database.engine.connect() as connection:
        rows = connection.execute(select(PairCount.scope, PairCount.criterion).distinct()).all()
    return CountedFacets(
        scopes=sorted({scope.partition(":")[0] for scope, _ in rows}),
        criteria=sorted({criterion for _, criterion in rows if criterion}),
    )


def read_vote_facets(database: Database) -> VoteFacets:
    """Look through all counted votes, which takes time by their number."""
    tags: Tally[str] = Tally()
    languages: Tally[str] = Tally()
    turns: Tally[int] = Tally()
    written = cast(Conversation.challenge_tags, Text)
    statement = (
        select(written, Conversation.language, Vote.turn, func.count())
        .select_from(Vote)
        .join(Battle, Battle.id == Vote.battle_id)
        .join(Conversation, Conversation.id == Battle.conversation_id)
        .where(Vote.rated, Vote.state == VoteState.COUNTED)
        .group_by(written, Conversation.language, Vote.turn)
    )
    with database.engine.connect() as connection:
        for labels, language, turn, votes in connection.execute(statement):
            tags.update(dict.fromkeys(json.loads(labels or "[]"), votes))
            turns[turn] += votes
            if language:
                languages[language] += votes
    return VoteFacets(_frequent(tags), _frequent(languages), sorted(turns))


def _frequent(tally: "Tally[str]") -> Sequence[str]:
    return sorted(tally, key=lambda name: (-tally[name], name))
