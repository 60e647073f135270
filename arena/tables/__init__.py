"""Every table and the words in it. Engine, sessions and migrations are in `arena.database`."""

from arena.tables.base import Base, UtcDateTime, new_id, now
from arena.tables.battles import Battle, ImportedVote, Seat, Vote, VoterDecision, counted_in
from arena.tables.campaigns import (
    Campaign,
    CampaignAnswer,
    CampaignAssignment,
    CampaignItem,
    CampaignModel,
    CampaignPrompt,
)
from arena.tables.conversations import Answer, AnswerStyle, Conversation, ModelRevision, Prompt, Voter
from arena.tables.counts import Counter, PairCount
from arena.tables.history import StandingHistory
from arena.tables.judge import JudgeVerdict
from arena.tables.limits import StartCount, StartSlot
from arena.tables.minutes import Minute
from arena.tables.passwords import WrongPassword
from arena.tables.preferences import WithheldBattle
from arena.tables.sessions import ClosedSession
from arena.tables.tuning import TunedModel, TuningEvent, TuningExample, TuningJob
from arena.tables.words import BattleState, CampaignPairs, ConversationKind, Mode, Side, VoterVerdict, VoteState, Winner

__all__ = [
    "Answer",
    "AnswerStyle",
    "Base",
    "Battle",
    "BattleState",
    "Campaign",
    "CampaignAnswer",
    "CampaignAssignment",
    "CampaignItem",
    "CampaignModel",
    "CampaignPairs",
    "CampaignPrompt",
    "ClosedSession",
    "Conversation",
    "ConversationKind",
    "Counter",
    "ImportedVote",
    "JudgeVerdict",
    "Minute",
    "Mode",
    "ModelRevision",
    "PairCount",
    "Prompt",
    "Seat",
    "Side",
    "StandingHistory",
    "StartCount",
    "StartSlot",
    "TunedModel",
    "TuningEvent",
    "TuningExample",
    "TuningJob",
    "UtcDateTime",
    "Vote",
    "VoteState",
    "Voter",
    "VoterDecision",
    "VoterVerdict",
    "Winner",
    "WithheldBattle",
    "WrongPassword",
    "counted_in",
    "new_id",
    "now",
]
