"""A judged campaign item: a battle over answers that were there before, with its vote. In the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from arena.battle.verdicts import Ballot, cast_in
from arena.rubric import Rubric
from arena.tables import Answer, Battle, BattleState, Mode, Seat, Side, Winner, new_id, now

REPEATED = "You had judged this pair before: this vote tells how steady votes are, and moves no rating."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a voter says of two answers to one prompt."""

    conversation_id: str
    answers: tuple[str, str]
    """The ids of the answers on side A and side B."""
    voter_id: str
    winner: Winner
    question: str
    question_version: str
    scope: str
    """Where the vote counts: `battle`, or `campaign:<id>`."""
    repeated: bool
    """The voter had judged the same two answers before; such a vote is never rated."""
    criteria: Mapping[str, str] = field(default_factory=dict)
    rubric_version: str | None = None
    """Of the criteria that the voter was shown."""


def store_judgement(session: Session, judgement: Judgement, rubric: Rubric, *, demo: bool) -> str:
    """Store the battle and its vote, counted if it is rated; returns the battle's id.

    Raises:
        BattleError: a criterion is not the rubric's.

    """
    a, b = (session.get_one(Answer, answer_id) for answer_id in judgement.answers)
    battle = Battle(
        id=new_id(),
        conversation_id=judgement.conversation_id,
        voter_id=judgement.voter_id,
        mode=Mode.CAMPAIGN,
        scope=judgement.scope,
        state=BattleState.VOTABLE,
        revision_a=a.revision_id,
        revision_b=b.revision_id,
        question=judgement.question,
        question_version=judgement.question_version,
        closed_at=now(),
    )
    session.add(battle)
    session.flush()
    for side, answer in zip(Side, (a, b), strict=True):
        session.add(Seat(battle_id=battle.id, side=side, turn=1, answer_id=answer.id))
    session.flush()
    ballot = Ballot(battle.id, judgement.voter_id, judgement.winner, judgement.criteria, judgement.rubric_version)
    cast_in(session, ballot, rubric, demo=demo, unrated=REPEATED if judgement.repeated else None)
    return battle.id
