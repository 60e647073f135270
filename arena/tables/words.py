"""The words that columns hold: what is stored is the value, never the name."""

from enum import StrEnum


class Winner(StrEnum):
    """The verdict, in the words of the public arena data sets."""

    MODEL_A = "model_a"
    MODEL_B = "model_b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


class Mode(StrEnum):
    """Where a battle came from; only `battle`, `campaign` and anonymous `imported` battles are rated."""

    BATTLE = "battle"
    SIDE_BY_SIDE = "side_by_side"
    CAMPAIGN = "campaign"
    IMPORTED = "imported"


class BattleState(StrEnum):
    """How far a battle is. A vote is possible in `votable` only."""

    RUNNING = "running"
    VOTABLE = "votable"
    VOTED = "voted"
    VOID = "void"
    ABANDONED = "abandoned"


class VoteState(StrEnum):
    """Whether a vote counts. A vote that no longer counts stays, and says why in `state_reason`."""

    COUNTED = "counted"
    WITHDRAWN = "withdrawn"
    HELD = "held"
    """Set aside until the operator has decided about its voter; it would be rated if it counted, as `EXCLUDED`."""
    EXCLUDED = "excluded"


class VoterVerdict(StrEnum):
    """What the operator decided about a voter's votes."""

    COUNT = "count"
    HOLD = "hold"
    EXCLUDE = "exclude"


class Side(StrEnum):
    """A seat of a battle."""

    A = "a"
    B = "b"


class ConversationKind(StrEnum):
    """What a conversation was held for."""

    BATTLE = "battle"
    SIDE_BY_SIDE = "side_by_side"
    CHAT = "chat"
    CAMPAIGN = "campaign"
    IMPORTED = "imported"


class CampaignPairs(StrEnum):
    """Which pairs of models a campaign has judged on each prompt."""

    ALL = "all"
    UNIFORM = "uniform"
    """Some, drawn by chance when the campaign is made."""
    SEPARATE = "separate"
    """Some, drawn when the prompt is first judged, from pairs that the votes do not tell apart yet."""
    LEADER = "leader"
    """As `SEPARATE`, the best against those it does not surely beat."""
