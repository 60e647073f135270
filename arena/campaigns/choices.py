"""What one voter of a campaign thought of its models, told once names may be."""

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from arena.tables import Battle, CampaignAssignment, CampaignItem, ModelRevision, Vote, VoteState, Winner


@dataclass(frozen=True, slots=True)
class Choices:
    """How often a voter preferred a model."""

    display_name: str
    won: int
    even: int
    lost: int


def choices_of(session: Session, campaign_id: str, voter_id: str) -> tuple[Choices, ...]:
    """What the voter thought of each model, the best liked first; repeats left out."""
    judged = (
        select(Battle.revision_a, Battle.revision_b, Vote.winner)
        .join(Vote, Vote.battle_id == Battle.id)
        .join(CampaignAssignment, CampaignAssignment.battle_id == Battle.id)
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(
            CampaignItem.campaign_id == campaign_id,
            CampaignAssignment.voter_id == voter_id,
            CampaignAssignment.repeat == 0,
            Vote.state != VoteState.WITHDRAWN,
        )
        .subquery()
    )
    tally: dict[str, list[int]] = {}
    for revision, won, lost in (
        (judged.c.revision_a, Winner.MODEL_A, Winner.MODEL_B),
        (judged.c.revision_b, Winner.MODEL_B, Winner.MODEL_A),
    ):
        rows = session.execute(
            select(
                ModelRevision.display_name,
                func.sum(case((judged.c.winner == won, 1), else_=0)),
                func.sum(case((judged.c.winner.in_((Winner.TIE, Winner.BOTH_BAD)), 1), else_=0)),
                func.sum(case((judged.c.winner == lost, 1), else_=0)),
            )
            .join(judged, revision == ModelRevision.id)
            .group_by(ModelRevision.display_name)
        )
        for name, *numbers in rows:
            before = tally.setdefault(name, [0, 0, 0])
            tally[name] = [had + more for had, more in zip(before, numbers, strict=True)]
    ordered = sorted(tally.items(), key=lambda known: (known[1][2] - known[1][0], known[0]))
    return tuple(Choices(name, *numbers) for name, numbers in ordered)
