"""Judging a campaign: what its page shows a voter, and what becomes of their votes."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.battle import BattleView, Phase, TurnView
from arena.battle.judging import Judgement, store_judgement
from arena.battle.record import read_battle
from arena.battle.verdicts import ALREADY_VOTED, Ballot, read_reveal, withdraw
from arena.campaigns.arrivals import Arrivals
from arena.campaigns.choices import Choices, choices_of
from arena.campaigns.items import Given, answers_of, count_items, draw_items, give_next, undrawn_prompts
from arena.database import Database
from arena.errors import BattleError
from arena.evidence import read_evidence
from arena.leaderboard import Leaderboard, Standings
from arena.rubric import NO_RUBRIC, Rubric
from arena.tables import (
    Answer,
    Campaign,
    CampaignAssignment,
    CampaignItem,
    Prompt,
    Vote,
    VoteState,
    Winner,
    now,
)
from arena.voters import VoterIdentity, ensure_voter

NOT_YOURS = "This pair was not given to you, or no longer is. Reload the page for the next one."
ENDED = "This campaign has ended and takes no more votes. Thank you."
_CHOSEN: Mapping[Winner, str] = {
    Winner.MODEL_A: "You found A better.",
    Winner.MODEL_B: "You found B better.",
    Winner.TIE: "You called it a tie.",
    Winner.BOTH_BAD: "You found both answers bad.",
}


class Place(StrEnum):
    """Where a voter is in a campaign."""

    UNKNOWN = "unknown"
    """There is no such campaign."""
    JUDGING = "judging"
    CHOSEN = "chosen"
    """The vote is stored; the next pair has not been asked for."""
    WAITING = "waiting"
    """Nothing is ready yet, or what is left is being judged by others."""
    DONE = "done"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JudgingView:
    """All that a voter may see of a campaign."""

    place: Place
    name: str = ""
    question: str = ""
    judged: int = 0
    total: int = 0
    """Items for this voter, as far as they are known now."""
    withdrawn: bool = False
    """The vote on this pair was taken back."""
    battle: BattleView | None = None
    """The pair; its id is the assignment's, which tells nothing."""
    choices: tuple[Choices, ...] = ()
    """Only when the campaign has ended."""


class Judging:
    """Gives items out and takes votes on them. Any number of processes may do so over one database."""

    def __init__(
        self,
        *,
        database: Database,
        leaderboard: Leaderboard,
        arrivals: Arrivals,
        demo: bool,
        rubric: Rubric = NO_RUBRIC,
        rng: random.Random | None = None,
    ) -> None:
        """`arrivals` keep one address from reserving everything under ever new names; `rng` is the source of chance."""
        self._rubric = rubric
        self._database = database
        self._leaderboard = leaderboard
        self._arrivals = arrivals
        self._demo = demo
        self._rng = rng or random.SystemRandom()

    async def next(self, campaign_id: str, voter: VoterIdentity) -> JudgingView:
        """The voter's open pair, or the next one; it is theirs for `RESERVED_FOR`."""
        return await self._database.run(self._next, campaign_id, voter)

    async def vote(
        self,
        assignment_id: str,
        voter: VoterIdentity,
        winner: Winner,
        criteria: Mapping[str, str] | None = None,
        rubric_version: str | None = None,
    ) -> JudgingView:
        """Store the verdict on a pair that was given to the voter.

        A reservation that has expired still takes its vote: what somebody has read and judged is not thrown away.
        Raises `BattleError` for a pair that is not the voter's or has its vote, and where the campaign has ended.
        """
        ballot = Ballot(assignment_id, voter.voter_id, winner, criteria or {}, rubric_version)
        return await self._database.run(self._vote, ballot)

    async def withdraw(self, assignment_id: str, voter: VoterIdentity) -> JudgingView:
        """Take the vote on a pair back: kept, marked, and never counted; somebody else gets the item instead."""
        return await self._database.run(self._withdraw, assignment_id, voter.voter_id)

    def _next(self, campaign_id: str, voter: VoterIdentity) -> JudgingView:
        with self._database.read() as session:
            campaign = session.get(Campaign, campaign_id)
            if campaign is None:
                return JudgingView(Place.UNKNOWN)
            if campaign.ended_at is not None:
                return self._ended(session, campaign, voter.voter_id)
            known = _has_begun(session, campaign_id, voter.voter_id)
        if not known:
            self._arrivals.check(voter)
        given, undrawn = self._give(campaign, voter.voter_id)
        if given.assignment is None and undrawn:
            given, undrawn = self._draw_and_give(campaign, voter.voter_id)
        total = given.total + undrawn * campaign.pairs_per_prompt
        if given.assignment is not None:
            return self._shown(campaign, given.assignment, given.judged, total)
        unfilled = campaign.filled_at is None
        place = Place.WAITING if given.others_judge or unfilled else Place.DONE
        return JudgingView(place, campaign.name, campaign.question, given.judged, total)

    def _give(self, campaign: Campaign, voter_id: str) -> tuple[Given, int]:
        with self._database.write() as session:
            locked = session.get_one(Campaign, campaign.id, with_for_update=True)
            ensure_voter(session, voter_id)
            return give_next(session, locked, voter_id, self._rng), len(undrawn_prompts(session, locked))

    def _draw_and_give(self, campaign: Campaign, voter_id: str) -> tuple[Given, int]:
        """Draw one more prompt's pairs by the votes so far; another process may have been first."""
        evidence = read_evidence(self._database, (campaign.scope,))
        with self._database.write() as session:
            locked = session.get_one(Campaign, campaign.id, with_for_update=True)
            given = give_next(session, locked, voter_id, self._rng)
            undrawn = undrawn_prompts(session, locked)
            if given.assignment is None and undrawn:
                draw_items(session, locked, undrawn[0], evidence, self._rng)
                given, undrawn = give_next(session, locked, voter_id, self._rng), undrawn[1:]
            return given, len(undrawn)

    def _vote(self, ballot: Ballot) -> JudgingView:
        with self._database.write() as session:
            assignment, campaign = _own_assignment(session, ballot.battle_id, ballot.voter_id)
            if assignment.battle_id is not None:
                raise BattleError(ALREADY_VOTED, reason="voted_already")
            if campaign.ended_at is not None:
                raise BattleError(ENDED)
            judgement = Judgement(
                conversation_id=session.get_one(CampaignItem, assignment.item_id).conversation_id,
                answers=answers_of(session, assignment),
                voter_id=ballot.voter_id,
                winner=ballot.winner,
                question=campaign.question,
                question_version=campaign.question_version,
                scope=campaign.scope,
                repeated=assignment.repeat > 0,
                criteria=ballot.criteria,
                rubric_version=ballot.rubric_version,
            )
            assignment.battle_id = store_judgement(session, judgement, self._rubric, demo=self._demo)
            assignment.judged_at = now()
        return self._judged(ballot.battle_id, ballot.voter_id)

    def _withdraw(self, assignment_id: str, voter_id: str) -> JudgingView:
        with self._database.read() as session:
            assignment, _ = _own_assignment(session, assignment_id, voter_id)
        if assignment.battle_id is None:
            raise BattleError("There is no vote to withdraw.")
        withdraw(self._database, assignment.battle_id, voter_id)
        return self._judged(assignment_id, voter_id)

    def _judged(self, assignment_id: str, voter_id: str) -> JudgingView:
        """The pair after its vote; with the names only where the campaign tells them after each vote."""
        with self._database.read() as session:
            assignment, campaign = _own_assignment(session, assignment_id, voter_id)
            vote = session.get_one(Vote, assignment.battle_id)
            withdrawn = vote.state is VoteState.WITHDRAWN
            far = count_items(session, campaign, voter_id)
            total = far.total + len(undrawn_prompts(session, campaign)) * campaign.pairs_per_prompt
            view = _pair(session, campaign, assignment, Phase.REVEALED)
        reveal = None
        if campaign.reveals:
            after = self._standings(campaign)
            with self._database.read() as session:
                record = read_battle(session, vote.battle_id, voter_id)
                reveal = read_reveal(session, record, None, after, demo=self._demo)
        notice = "Your vote is withdrawn." if withdrawn else _CHOSEN[vote.winner]
        battle = BattleView(view.battle_id, view.phase, view.question, view.turns, notice=notice, reveal=reveal)
        return JudgingView(Place.CHOSEN, campaign.name, campaign.question, far.judged, total, withdrawn, battle)

    def _standings(self, campaign: Campaign) -> Standings:
        if campaign.scope == "battle":
            return self._leaderboard.standings()
        return self._leaderboard.standings((campaign.scope,))

    def _shown(self, campaign: Campaign, assignment: CampaignAssignment, judged: int, total: int) -> JudgingView:
        with self._database.read() as session:
            battle = _pair(session, campaign, assignment, Phase.VOTABLE)
        return JudgingView(Place.JUDGING, campaign.name, campaign.question, judged, total, battle=battle)

    def _ended(self, session: Session, campaign: Campaign, voter_id: str) -> JudgingView:
        judged = _count_judged(session, campaign.id, voter_id)
        choices = choices_of(session, campaign.id, voter_id)
        return JudgingView(Place.ENDED, campaign.name, campaign.question, judged, judged, choices=choices)


def _own_assignment(session: Session, assignment_id: str, voter_id: str) -> tuple[CampaignAssignment, Campaign]:
    assignment = session.get(CampaignAssignment, assignment_id or "", with_for_update=True)
    if assignment is None or assignment.voter_id != voter_id:
        raise BattleError(NOT_YOURS, reason="not_yours")
    item = session.get_one(CampaignItem, assignment.item_id)
    return assignment, session.get_one(Campaign, item.campaign_id)


def _pair(session: Session, campaign: Campaign, assignment: CampaignAssignment, phase: Phase) -> BattleView:
    item = session.get_one(CampaignItem, assignment.item_id)
    prompt = session.get_one(Prompt, (item.conversation_id, 1)).text
    a, b = (session.get_one(Answer, answer_id).text for answer_id in answers_of(session, assignment))
    return BattleView(assignment.id, phase, campaign.question, (TurnView(prompt, (a, b)),))


def _has_begun(session: Session, campaign_id: str, voter_id: str) -> bool:
    given = (
        select(CampaignAssignment.id)
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(CampaignItem.campaign_id == campaign_id, CampaignAssignment.voter_id == voter_id)
    )
    return session.scalar(select(given.exists())) or False


def _count_judged(session: Session, campaign_id: str, voter_id: str) -> int:
    given = (
        select(func.count(CampaignAssignment.battle_id))
        .join(CampaignItem, CampaignItem.id == CampaignAssignment.item_id)
        .where(CampaignItem.campaign_id == campaign_id, CampaignAssignment.voter_id == voter_id)
    )
    return session.scalar(given) or 0
