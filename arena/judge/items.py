"""Which pairs of answers there are to judge, and what a judge reads of one."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from arena.errors import ConfigError
from arena.judge.prompt import Material, Turn
from arena.judgements import BLIND, Item, item_of
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Campaign,
    CampaignAnswer,
    CampaignItem,
    CampaignPrompt,
    Conversation,
    Prompt,
    Seat,
    Side,
    Vote,
    VoteState,
)

Scope = Literal["voted", "shared", "all"]
"""Pairs that somebody voted on; that two or more people did; or all that could be, a campaign's unopened ones too."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers that a blind battle showed, or that a campaign has ready for one."""

    key: str
    item: Item
    conversation_id: str
    question: str
    """The campaign's, or that of the first battle that showed them: the judge's too."""
    question_version: str
    voters: int = 0
    """People whose vote on them counts."""


def pair_key(item: Item) -> str:
    """Names two answers in whichever order."""
    return hashlib.sha256("\n".join(" ".join(answers) for answers in item).encode()).hexdigest()


def find_pairs(session: Session, scope: Scope, campaign_id: str | None = None) -> Sequence[Pair]:
    """The pairs of a scope, of one campaign if asked; those most people voted on first, then the newest.

    Among all that could be voted on are the campaigns' ready pairs that nobody has opened: they come last, in the order
    of their prompts.

    Raises:
        ConfigError: there is no such campaign.

    """
    if campaign_id is not None and session.get(Campaign, campaign_id) is None:
        raise ConfigError(f"There is no campaign {campaign_id}; `campaign status` lists those there are.")
    shown = _shown(session, campaign_id)
    least = {"voted": 1, "shared": 2, "all": 0}[scope]
    found = {pair.item: pair for pair in reversed(shown) if pair.voters >= least}
    if scope == "all":
        for pair in _prepared(session, campaign_id):
            found.setdefault(pair.item, pair)
    return sorted(found.values(), key=lambda pair: -pair.voters)


def _shown(session: Session, campaign_id: str | None) -> Sequence[Pair]:
    """What battles showed, in the order in which it was first shown."""
    statement = (
        select(Battle.id, Battle.conversation_id, Battle.question, Battle.question_version, Vote.voter_id)
        .outerjoin(Vote, (Vote.battle_id == Battle.id) & (Vote.state == VoteState.COUNTED))
        .where(Battle.mode.in_(BLIND), Battle.state.in_((BattleState.VOTABLE, BattleState.VOTED)))
        .order_by(Battle.created_at, Battle.id)
    )
    if campaign_id is not None:
        own = select(CampaignPrompt.conversation_id).where(CampaignPrompt.campaign_id == campaign_id)
        statement = statement.where(Battle.conversation_id.in_(own))
    battles = session.execute(statement).all()
    seated = _seats(session)
    first: dict[Item, tuple[str, str, str]] = {}
    voters: dict[Item, set[str]] = defaultdict(set)
    for battle_id, conversation_id, question, version, voter in battles:
        a, b = seated[battle_id][Side.A], seated[battle_id][Side.B]
        if not a or len(a) != len(b):
            continue
        item = item_of(a, b)
        first.setdefault(item, (conversation_id, question, version))
        if voter is not None:
            voters[item].add(voter)
    return [Pair(pair_key(item), item, *known, voters=len(voters[item])) for item, known in first.items()]


def _prepared(session: Session, campaign_id: str | None) -> Iterator[Pair]:
    """What campaigns have ready, whether it was shown or not."""
    one, other = aliased(CampaignAnswer), aliased(CampaignAnswer)
    place = CampaignItem.conversation_id
    statement = (
        select(one.answer_id, other.answer_id, place, Campaign.question, Campaign.question_version)
        .select_from(CampaignItem)
        .join(one, (one.conversation_id == place) & (one.model_id == CampaignItem.first_model))
        .join(other, (other.conversation_id == place) & (other.model_id == CampaignItem.second_model))
        .join(Campaign, Campaign.id == CampaignItem.campaign_id)
        .join(CampaignPrompt, CampaignPrompt.conversation_id == place)
        .order_by(Campaign.created_at.desc(), CampaignPrompt.place, CampaignItem.first_model, CampaignItem.second_model)
    )
    if campaign_id is not None:
        statement = statement.where(CampaignItem.campaign_id == campaign_id)
    for first, second, conversation_id, question, version in session.execute(statement):
        item = item_of([first], [second])
        yield Pair(pair_key(item), item, conversation_id, question, version)


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
    history = session.get_one(Conversation, pair.conversation_id).history
    prompts = session.scalars(
        select(Prompt.text).where(Prompt.conversation_id == pair.conversation_id).order_by(Prompt.turn)
    ).all()
    first, second = pair.item
    texts = dict(session.execute(select(Answer.id, Answer.text).where(Answer.id.in_([*first, *second]))).all())
    turns = [Turn(prompt, texts[a], texts[b]) for prompt, a, b in zip(prompts, first, second, strict=False)]
    return Material(history, turns)
