"""Which item a voter judges next: each by as many as asked, nobody the same twice, abandoned ones given out again.

Items of a campaign are given out one after the other, whatever the number of processes: whoever gives one out holds the
campaign's row. That nobody gets an item twice is the table's own rule.
"""

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Subquery, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from arena.campaigns.plan import add_items, draw_pairs
from arena.campaigns.wanted import FIXED, model_ids
from arena.matchmaking import Evidence
from arena.tables import (
    Campaign,
    CampaignAnswer,
    CampaignAssignment,
    CampaignItem,
    CampaignPrompt,
    Vote,
    VoteState,
    now,
)

RESERVED_FOR = timedelta(minutes=30)
"""How long an item waits for the voter it was given to; then it may be given to somebody else."""
REPEAT_AFTER = 5
"""How many other items come between the two showings of one, as long as there are others."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a voter is given, and how far they are."""

    assignment: CampaignAssignment | None
    judged: int
    """Items that the voter has judged, repeats among them."""
    total: int
    """Those, and all that are there for this voter now."""
    others_judge: bool = False
    """There is nothing left but what others are judging at the moment."""


def give_next(session: Session, campaign: Campaign, voter_id: str, rng: random.Random) -> Given:
    """The voter's open item, a due repeat or a new item; reserved from now on. Hold the campaign's lock."""
    own = list(_own(session, campaign.id, voter_id))
    chosen = next((assignment for assignment in own if assignment.battle_id is None), None)
    if chosen is not None:
        own.remove(chosen)
        if not _still_wanted(session, campaign, chosen):
            session.delete(chosen)
            session.flush()
            chosen = None
    fresh = _open_items(session, campaign, voter_id)
    if chosen is None:
        chosen = _choose(session, own, _due_repeats(campaign, own), fresh, voter_id, rng)
    else:
        chosen.expires_at = now() + RESERVED_FOR
    items = {item for item, _ in fresh} | {assignment.item_id for assignment in (*own, *([chosen] if chosen else []))}
    others = chosen is None and _reserved_by_others(session, campaign, voter_id)
    return Given(chosen, len(own), _showings(campaign, items, voter_id), others)


def count_items(session: Session, campaign: Campaign, voter_id: str) -> Given:
    """How far the voter is; nothing is given out."""
    own = _own(session, campaign.id, voter_id)
    items = {item for item, _ in _open_items(session, campaign, voter_id)} | {given.item_id for given in own}
    judged = sum(given.battle_id is not None for given in own)
    return Given(None, judged, _showings(campaign, items, voter_id))


def _showings(campaign: Campaign, items: Collection[str], voter_id: str) -> int:
    return len(items) + sum(_comes_again(campaign, item, voter_id) for item in items)


def undrawn_prompts(session: Session, campaign: Campaign) -> Sequence[str]:
    """The conversations of prompts whose pairs are still to be drawn, and can be."""
    if campaign.pairs in FIXED:
        return []
    answers = func.count(CampaignAnswer.model_id)
    enough = 2 if campaign.filled_at is not None else len(model_ids(session, campaign.id))
    drawn = select(CampaignItem.id).where(CampaignItem.conversation_id == CampaignPrompt.conversation_id)
    return session.scalars(
        select(CampaignPrompt.conversation_id)
        .join(CampaignAnswer, CampaignAnswer.conversation_id == CampaignPrompt.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign.id, ~drawn.exists())
        .group_by(CampaignPrompt.conversation_id, CampaignPrompt.place)
        .having(answers >= enough)
        .order_by(CampaignPrompt.place)
    ).all()


def draw_items(
    session: Session, campaign: Campaign, conversation_id: str, evidence: Evidence, rng: random.Random
) -> None:
    """Draw the pairs of one prompt among the models that have answered it. Hold the campaign's lock."""
    models = session.scalars(
        select(CampaignAnswer.model_id).where(CampaignAnswer.conversation_id == conversation_id)
    ).all()
    pairs = draw_pairs(campaign.pairs, models, campaign.pairs_per_prompt, evidence, rng)
    add_items(session, campaign.id, conversation_id, pairs)


def answers_of(session: Session, assignment: CampaignAssignment) -> tuple[str, str]:
    """The ids of the answers on side A and side B."""
    item = session.get_one(CampaignItem, assignment.item_id)
    models = (item.second_model, item.first_model) if assignment.swapped else (item.first_model, item.second_model)
    a, b = (session.get_one(CampaignAnswer, (item.conversation_id, model)).answer_id for model in models)
    return a, b


def _own(session: Session, campaign_id: str, voter_id: str) -> Sequence[CampaignAssignment]:
    """Everything the voter was given, in the order of judging."""
    return session.scalars(
        select(CampaignAssignment)
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(CampaignItem.campaign_id == campaign_id, CampaignAssignment.voter_id == voter_id)
        .order_by(CampaignAssignment.judged_at, CampaignAssignment.created_at)
    ).all()


def _taken_places(campaign_id: str) -> Subquery:
    """How many voters each item has: judged and not withdrawn, or reserved at the moment."""
    judged = and_(CampaignAssignment.battle_id.is_not(None), Vote.state != VoteState.WITHDRAWN)
    reserved = and_(CampaignAssignment.battle_id.is_(None), CampaignAssignment.expires_at > now())
    return (
        select(CampaignAssignment.item_id, func.count().label("taken"))
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .outerjoin(Vote, Vote.battle_id == CampaignAssignment.battle_id)
        .where(CampaignItem.campaign_id == campaign_id, CampaignAssignment.repeat == 0, or_(judged, reserved))
        .group_by(CampaignAssignment.item_id)
        .subquery()
    )


def _open_items(session: Session, campaign: Campaign, voter_id: str) -> Sequence[tuple[str, int]]:
    """(item, voters it has) of each ready item that has room, and that the voter was never given."""
    first, second = aliased(CampaignAnswer), aliased(CampaignAnswer)
    taken = _taken_places(campaign.id)
    places = func.coalesce(taken.c.taken, 0)
    own = select(CampaignAssignment.id).where(
        CampaignAssignment.item_id == CampaignItem.id, CampaignAssignment.voter_id == voter_id
    )
    rows = session.execute(
        select(CampaignItem.id, places)
        .join(
            first,
            and_(first.conversation_id == CampaignItem.conversation_id, first.model_id == CampaignItem.first_model),
        )
        .join(
            second,
            and_(second.conversation_id == CampaignItem.conversation_id, second.model_id == CampaignItem.second_model),
        )
        .outerjoin(taken, taken.c.item_id == CampaignItem.id)
        .where(CampaignItem.campaign_id == campaign.id, places < campaign.voters_per_item, ~own.exists())
    )
    return [(item, places) for item, places in rows]


def _due_repeats(campaign: Campaign, own: Sequence[CampaignAssignment]) -> Sequence[CampaignAssignment]:
    """First showings that come a second time and have not yet, the oldest first."""
    again = {assignment.item_id for assignment in own if assignment.repeat == 1}
    return [
        assignment
        for assignment in own
        if assignment.repeat == 0
        and assignment.battle_id is not None
        and assignment.item_id not in again
        and _comes_again(campaign, assignment.item_id, assignment.voter_id)
    ]


def _comes_again(campaign: Campaign, item_id: str, voter_id: str) -> bool:
    """Whether the voter sees the item twice: a coin that always falls the same way."""
    if not campaign.repeat_share:
        return False
    thrown = hashlib.sha256(f"{item_id} {voter_id}".encode()).digest()
    return int.from_bytes(thrown[:8]) < campaign.repeat_share * 2**64


def _still_wanted(session: Session, campaign: Campaign, assignment: CampaignAssignment) -> bool:
    """Whether a reservation that may have expired still has its place."""
    if assignment.repeat == 1 or assignment.expires_at > now():
        return True
    taken = _taken_places(campaign.id)
    others = session.scalar(select(taken.c.taken).where(taken.c.item_id == assignment.item_id)) or 0
    return others < campaign.voters_per_item


def _choose(
    session: Session,
    judged: Sequence[CampaignAssignment],
    repeats: Sequence[CampaignAssignment],
    fresh: Sequence[tuple[str, int]],
    voter_id: str,
    rng: random.Random,
) -> CampaignAssignment | None:
    """A repeat that is long enough ago, else an item that others have begun, else any, else any repeat."""
    since = len(judged) - judged.index(repeats[0]) - 1 if repeats else 0
    if repeats and (since >= REPEAT_AFTER or not fresh):
        first = repeats[0]
        return _reserve(session, first.item_id, voter_id, repeat=1, swapped=not first.swapped)
    if not fresh:
        return None
    most = max(places for _, places in fresh)
    item = rng.choice([item for item, places in fresh if places == most])
    return _reserve(session, item, voter_id, repeat=0, swapped=rng.random() < 0.5)


def _reserve(session: Session, item_id: str, voter_id: str, *, repeat: int, swapped: bool) -> CampaignAssignment:
    assignment = CampaignAssignment(
        item_id=item_id, voter_id=voter_id, repeat=repeat, swapped=swapped, expires_at=now() + RESERVED_FOR
    )
    session.add(assignment)
    session.flush()
    return assignment


def _reserved_by_others(session: Session, campaign: Campaign, voter_id: str) -> bool:
    own = aliased(CampaignAssignment)
    mine = select(own.id).where(own.item_id == CampaignAssignment.item_id, own.voter_id == voter_id)
    reserved = (
        select(CampaignAssignment.id)
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(
            CampaignItem.campaign_id == campaign.id,
            CampaignAssignment.repeat == 0,
            CampaignAssignment.battle_id.is_(None),
            CampaignAssignment.expires_at > now(),
            ~mine.exists(),
        )
    )
    return session.scalar(select(reserved.exists())) or False
