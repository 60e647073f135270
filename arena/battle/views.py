"""What a visitor may see of a battle or a chat, as frozen data."""

from dataclasses import dataclass
from enum import StrEnum

from arena.tables import Winner


class Phase(StrEnum):
    """What a visitor can do with what is on the page."""

    QUEUED = "queued"
    """In line: asked as soon as the arena has room; nothing of it is stored yet."""
    WAITING = "waiting"
    """Asked; nothing to show yet."""
    STREAMING = "streaming"
    VOTABLE = "votable"
    """Both answers are shown to their ends."""
    REVEALED = "revealed"
    """The vote is stored (or the models were named from the start)."""
    VOID = "void"
    """An answer failed after text was shown, or nobody could answer: no vote; the prompt can be run again."""
    ABANDONED = "abandoned"
    """Stopped by the visitor before there was anything to vote on."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as shown so far: the visitor's prompt and the two sides' text."""

    prompt: str
    answers: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class SideReveal:
    """What the reveal tells of one side."""

    model_id: str
    display_name: str
    platform: str
    """As people read it: 'OpenAI', 'Vertex AI', …"""
    version: str | None
    family: str | None
    first_token_s: float | None
    """Of the latest turn, as all figures here; seconds from sending."""
    total_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    finish_reason: str | None
    rating_before: float | None
    """Elo points; `None` where the model was unrated, or the vote is not rated."""
    rating_after: float | None
    rank: str | None
    """After the vote, as the leaderboard shows it: '1', or '1-3'."""


@dataclass(frozen=True, slots=True)
class Reveal:
    """Who fought. Exists in a view only after the vote is stored."""

    sides: tuple[SideReveal, SideReveal]
    winner: Winner
    rated: bool
    unrated_reason: str | None
    """A sentence for the voter: why the vote does not move the ratings."""
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class BattleView:
    """All that a visitor may see. It has no field from which a model can be told until `reveal` is there."""

    battle_id: str
    phase: Phase
    question: str
    turns: tuple[TurnView, ...] = ()
    """Earlier turns and shared history (both sides alike) first; the last one is the one that runs."""
    waiting: tuple[bool, bool] = (False, False)
    """These panes have nothing new to show, and text to come in one of them: they say 'still writing'."""
    notice: str | None = None
    """One neutral sentence: the place in line, or why a battle is void or a turn was stopped."""
    reveal: Reveal | None = None
    can_follow_up: bool = False


@dataclass(frozen=True, slots=True)
class ChatView:
    """A direct chat with one named model."""

    conversation_id: str
    turns: tuple[tuple[str, str], ...]
    """(prompt, answer so far)."""
    running: bool
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a reloaded page gets back: a finished battle, or the prompt of one that was interrupted."""

    view: BattleView | None = None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What Operations and metrics tell of the battles."""

    started: int
    votable: int
    """Ever became votable."""
    voted: int
    void: int
    abandoned: int
    running: int
    """Streams of battles and chats in this process, now."""
    undecided: int = 0
    """Battles that still run at their first turn, in any process."""
    interrupted: int = 0
    """Of the abandoned, those that the arena's own stop cut off, not their visitor."""

    @property
    def completion(self) -> float | None:
        """Votable battles over started ones, a visitor's own cancellation left out; `None` before the first."""
        counted = self.started - (self.abandoned - self.interrupted) - self.undecided
        return None if counted <= 0 else self.votable / counted
