"""Making a campaign: its prompts, its models, and the pairs that are judged."""

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.campaigns.prompts import CampaignText
from arena.campaigns.wanted import FIXED
from arena.database import Database
from arena.errors import ConfigError
from arena.language import tell_language
from arena.matchmaking import Evidence, Rules, Strategy, pair_chances
from arena.roster import Roster
from arena.tables import (
    Campaign,
    CampaignItem,
    CampaignModel,
    CampaignPairs,
    CampaignPrompt,
    Conversation,
    ConversationKind,
    ModelRevision,
    Prompt,
    new_id,
    now,
)
from arena.terminal import Progress
from arena.voters import ensure_voter

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_STRATEGIES: dict[CampaignPairs, Strategy] = {
    CampaignPairs.UNIFORM: "uniform",
    CampaignPairs.SEPARATE: "separate",
    CampaignPairs.LEADER: "leader",
}


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """What the operator asks for."""

    id: str
    name: str
    models: tuple[str, ...]
    prompts: Sequence[CampaignText]
    question: str
    question_version: str
    pairs: CampaignPairs = CampaignPairs.ALL
    pairs_per_prompt: int | None = None
    """`None`: all pairs, or one where they are drawn."""
    voters_per_item: int = 1
    repeat_share: float = 0.0
    apart: bool = False
    """Its votes count in a scope of its own instead of on the leaderboard."""
    reveals: bool = False
    budget_usd: float | None = None
    budget_tokens: int | None = None

    @property
    def items_per_prompt(self) -> int:
        """How many pairs are judged on each prompt."""
        possible = len(self.models) * (len(self.models) - 1) // 2
        if self.pairs is CampaignPairs.ALL:
            return possible
        return min(self.pairs_per_prompt or 1, possible)


def id_of(name: str) -> str:
    """An id made from a name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]


def create_campaign(
    database: Database, roster: Roster, new: NewCampaign, rng: random.Random, progress: Progress | None = None
) -> None:
    """Store a campaign with its prompts and, where they do not depend on votes, its items. Nothing is asked yet.

    Raises:
        ConfigError: something asked for is impossible; nothing was stored.

    """
    _check(new)
    languages = []
    for number, prompt in enumerate(new.prompts):
        languages.append(tell_language(prompt.text))
        if progress is not None:
            progress(number / len(new.prompts))
    with database.write() as session:
        if session.get(Campaign, new.id) is not None:
            raise ConfigError(f"There is a campaign {new.id!r} already; give this one another --id.")
        _check_models(session, roster, new.models)
        session.add(_row(new))
        owner = f"campaign:{new.id}"
        ensure_voter(session, owner)
        session.flush()
        session.add_all(CampaignModel(campaign_id=new.id, model_id=model) for model in new.models)
        for place, (prompt, language) in enumerate(zip(new.prompts, languages, strict=True), start=1):
            _add_prompt(session, new, (place, prompt, language), owner, rng)


def _row(new: NewCampaign) -> Campaign:
    return Campaign(
        id=new.id,
        name=new.name.strip(),
        question=new.question,
        question_version=new.question_version,
        pairs=new.pairs,
        pairs_per_prompt=new.items_per_prompt,
        voters_per_item=new.voters_per_item,
        repeat_share=new.repeat_share,
        scope=f"campaign:{new.id}" if new.apart else "battle",
        reveals=new.reveals,
        budget_usd=new.budget_usd,
        budget_tokens=new.budget_tokens,
    )


def _add_prompt(
    session: Session,
    new: NewCampaign,
    given: tuple[int, CampaignText, tuple[str | None, str]],
    owner: str,
    rng: random.Random,
) -> None:
    place, prompt, (language, method) = given
    conversation = new_id()
    session.add(
        Conversation(
            id=conversation,
            kind=ConversationKind.CAMPAIGN,
            voter_id=owner,
            challenge_id=prompt.challenge_id,
            challenge_tags=list(prompt.tags),
            language=language,
            language_method=method,
        )
    )
    session.flush()
    session.add(Prompt(conversation_id=conversation, turn=1, text=prompt.text))
    session.add(CampaignPrompt(conversation_id=conversation, campaign_id=new.id, key=prompt.key, place=place))
    session.flush()
    if new.pairs in FIXED:
        pairs = draw_pairs(new.pairs, new.models, new.items_per_prompt, Evidence(), rng)
        add_items(session, new.id, conversation, pairs)


def add_items(session: Session, campaign_id: str, conversation_id: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Let these pairs be judged on a prompt."""
    for first, second in map(sorted, pairs):
        session.add(
            CampaignItem(
                campaign_id=campaign_id, conversation_id=conversation_id, first_model=first, second_model=second
            )
        )
    session.flush()


def draw_pairs(
    pairs: CampaignPairs, models: Collection[str], number: int, evidence: Evidence, rng: random.Random
) -> Sequence[tuple[str, str]]:
    """Draw `number` different pairs of `models` (all of them where there are no more), by the campaign's strategy."""
    every = list(combinations(sorted(models), 2))
    if pairs is CampaignPairs.ALL or number >= len(every):
        return every
    chances = pair_chances(_STRATEGIES[pairs], evidence, Rules(dict.fromkeys(sorted(models), 1.0), {}, {}))
    left = {
        (chances.models[first], chances.models[second]): float(chance)
        for first, second, chance in zip(chances.first, chances.second, chances.chance, strict=True)
    }
    drawn: list[tuple[str, str]] = []
    while len(drawn) < number:
        pair = rng.choices(list(left), list(left.values()))[0]
        del left[pair]
        drawn.append(pair)
    return drawn


def end_campaign(database: Database, campaign_id: str, *, ended: bool) -> None:
    """End a campaign, so that it takes no votes and tells its names, or open it again."""
    with database.write() as session:
        campaign = session.get_one(Campaign, campaign_id)
        campaign.ended_at = (campaign.ended_at or now()) if ended else None


def _check(new: NewCampaign) -> None:
    problems = {
        "A campaign's id is made of small letters, digits and hyphens; give one with --id.": not _ID.fullmatch(new.id),
        "A campaign needs a name.": not new.name.strip(),
        "A campaign needs at least one prompt.": not new.prompts,
        "A campaign needs at least two different models.": len(new.models) < 2,
        "Each model may be named once.": len(set(new.models)) < len(new.models),
        "At least one voter must judge each item.": new.voters_per_item < 1,
        "The share of repeats must be from 0 to 1.": not 0 <= new.repeat_share <= 1,
        "At least one pair must be judged on each prompt.": new.pairs_per_prompt is not None
        and new.pairs_per_prompt < 1,
        "A number of pairs is only for pairs that are drawn: --pairs uniform, separate or leader.": new.pairs
        is CampaignPairs.ALL
        and new.pairs_per_prompt is not None,
        "A budget must be above 0.": any(
            given is not None and given <= 0 for given in (new.budget_usd, new.budget_tokens)
        ),
    }
    for sentence, wrong in problems.items():
        if wrong:
            raise ConfigError(sentence)


def _check_models(session: Session, roster: Roster, models: Sequence[str]) -> None:
    """A model that is not in the roster any more may take part with what it has answered before."""
    known = set(session.scalars(select(ModelRevision.model_id).where(ModelRevision.model_id.in_(models))))
    for model in models:
        entry = roster.models.get(model)
        if entry is not None and entry.role != "battle":
            raise ConfigError(f"{model} is a judge, and takes part in no battles.")
        if entry is None and model not in known:
            there = ", ".join(entry.id for entry in roster if entry.role == "battle")
            raise ConfigError(
                f"{model} is neither in the roster nor has it ever answered here; the roster has {there}."
            )
