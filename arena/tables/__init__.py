"""Every table and the words in it. Engine, sessions and migrations are in `arena.database`."""

from arena.tables.base import Base, UtcDateTime, new_id, now
from arena.tables.battles import Battle, ImportedVote, Seat, Vote, VoterDecision
from arena.tables.conversations import Answer, AnswerStyle, Conversation, ModelRevision, Prompt, Voter
from arena.tables.counts import Counter, PairCount
from arena.tables.judge import JudgeVerdict
from arena.tables.minutes import Minute
from arena.tables.preferences import WithheldBattle
from arena.tables.words import BattleState, ConversationKind, Mode, Side, VoterVerdict, VoteState, Winner

__all__ = [
    "Answer",
    "AnswerStyle",
    "Base",
    "Battle",
    "BattleState",
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
    "UtcDateTime",
    "Vote",
    "VoteState",
    "Voter",
    "VoterDecision",
    "VoterVerdict",
    "Winner",
    "WithheldBattle",
    "new_id",
    "now",
]
