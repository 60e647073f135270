"""Which pairs of answers there are to judge, and what a judge reads of one."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.errors import ConfigError
from arena.judge.prompt import Material, Turn
from arena.judgements import BLIND, Item, item_of
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Campaign,
    CampaignPrompt,
    Conversation,
    Prompt,
    Seat,
    Side,
    Vote,
    VoteState,
)

Scope = Literal["voted", "shared", "all"]
"""Pairs that somebody voted on; that two or more people did; or all that could be voted on."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers that a blind battle showed."""

    key: str
    item: Item
    battle_id: str
    """The first battle that showed them; its question is the judge's."""
    question: str
    question_version: str
    voters: int
    """People whose vote on them counts."""


def pair_key(item: Item) -> str:
    """Names two answers in whichever order."""
    return hashlib.sha256("\n".join(" ".join(answers) for answers in item).encode()).hexdigest()


def find_pairs(session: Session, scope: Scope, campaign_id: str | None = None) -> Sequence[Pair]:
    """The pairs of a scope, of one campaign if asked; those most people voted on first, then the newest.

    Raises:
        ConfigError: there is no such campaign.

    """
    statement = (
        select(Battle.id, Battle.question, Battle.question_version, Vote.voter_id)
        .outerjoin(Vote, (Vote.battle_id == Battle.id) & (Vote.state == VoteState.COUNTED))
        .where(Battle.mode.in_(BLIND), Battle.state.in_((BattleState.VOTABLE, BattleState.VOTED)))
        .order_by(Battle.created_at, Battle.id)
    )
    if scope != "all":
        statement = statement.where(Vote.battle_id.is_not(None))
    if campaign_id is not None:
        if session.get(Campaign, campaign_id) is None:
            raise ConfigError(f"There is no campaign {campaign_id}; `campaign status` lists those there are.")
        own = select(CampaignPrompt.conversation_id).where(CampaignPrompt.campaign_id == campaign_id)
        statement = statement.where(Battle.conversation_id.in_(own))
    battles = session.execute(statement).all()
    seated = _seats(session)
    first: dict[Item, tuple[int, str, str, str]] = {}
    voters: dict[Item, set[str]] = defaultdict(set)
    for number, (battle_id, question, version, voter) in enumerate(battles):
        a, b = seated[battle_id][Side.A], seated[battle_id][Side.B]
        if not a or len(a) != len(b):
            continue
        item = item_of(a, b)
        first.setdefault(item, (number, battle_id, question, version))
        if voter is not None:
            voters[item].add(voter)
    least = 2 if scope == "shared" else 0
    kept = [item for item in first if len(voters[item]) >= least]
    kept.sort(key=lambda item: (-len(voters[item]), -first[item][0]))
    return [Pair(pair_key(item), item, *first[item][1:], voters=len(voters[item])) for item in kept]


def _seats(session: Session) -> dict[str, dict[Side, list[str]]]:
    seats = session.execute(
        select(Seat.battle_id, Seat.side, Seat.answer_id)
        .join(Battle, Battle.id == Seat.battle_id)
        .where(Battle.mode.in_(BLIND))
        .order_by(Seat.turn)
    )
    seated: dict[str, dict[Side, list[str]]] = defaultdict(lambda: {Side.A: [], Side.B: []})
    for battle_id, side, answer_id in seats:
        seated[battle_id][side].append(answer_id)
    return seated


def read_material(session: Session, pair: Pair) -> Material:
    """The conversation and both answers, the pair's first answer as A."""
    conversation = session.scalars(
        select(Conversation).join(Battle, Battle.conversation_id == Conversation.id).where(Battle.id == pair.battle_id)
    ).one()
    prompts = session.scalars(
        select(Prompt.text).where(Prompt.conversation_id == conversation.id).order_by(Prompt.turn)
    ).all()
    first, second = pair.item
    texts = dict(session.execute(select(Answer.id, Answer.text).where(Answer.id.in_([*first, *second]))).all())
    turns = [Turn(prompt, texts[a], texts[b]) for prompt, a, b in zip(prompts, first, second, strict=False)]
    return Material(conversation.history, turns)
