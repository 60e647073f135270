"""One battle from prompt to vote: the core, the only writer of battles and votes."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from arena.config import Settings
from arena.database import Database, Side, Winner
from arena.fleet import Fleet
from arena.leaderboard import Leaderboard
from arena.providers.base import Sampling
from arena.voters import BattleLimits, VoterIdentity


class Phase(StrEnum):
    """What a visitor can do with what is on the page."""

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
    """Stopped by the visitor."""


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
    """This pane has text to come and nothing new to show: it says 'still writing'."""
    notice: str | None = None
    """One neutral sentence, for a void battle."""
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
    """In this process, now."""

    @property
    def completion(self) -> float | None:
        """Votable battles over started ones, a visitor's own cancellation left out; `None` before the first."""
        counted = self.started - self.abandoned - self.running
        return None if counted <= 0 else self.votable / counted


class Arena:
    """The battles. One per process; its async methods belong to the event loop."""

    def __init__(
        self,
        *,
        database: Database,
        fleet: Fleet,
        leaderboard: Leaderboard,
        limits: BattleLimits,
        settings: Settings,
    ) -> None:
        raise NotImplementedError

    def fight(
        self, prompt: str, voter: VoterIdentity, *, challenge_id: str | None = None
    ) -> AsyncGenerator[BattleView]:
        """Start an anonymous battle and yield what to show, at most `frames_per_s` times a second, to its end.

        Closing the generator cancels both answers within 0.1 s and marks the battle abandoned.
        Raises `BattleError` for an empty or too long prompt, a limit, or fewer than two models that can be drawn.
        """
        raise NotImplementedError

    def follow_up(self, battle_id: str, prompt: str, voter: VoterIdentity) -> AsyncGenerator[BattleView]:
        """Send a further turn to both sides of a votable battle (of any mode), each with its own history."""
        raise NotImplementedError

    def continue_from(
        self, battle_id: str, side: Side, prompt: str, voter: VoterIdentity
    ) -> AsyncGenerator[BattleView]:
        """Start a new anonymous battle whose shared history is that side's conversation in a voted battle."""
        raise NotImplementedError

    def fight_named(
        self, prompt: str, voter: VoterIdentity, model_ids: tuple[str, str], sampling: Sampling
    ) -> AsyncGenerator[BattleView]:
        """Start a side-by-side battle between two different models of the visitor's choice; never rated."""
        raise NotImplementedError

    def chat(
        self, prompt: str, voter: VoterIdentity, model_id: str, sampling: Sampling, conversation_id: str | None = None
    ) -> AsyncGenerator[ChatView]:
        """Say something to one named model, in a new conversation or a further turn of the voter's own."""
        raise NotImplementedError

    async def vote(
        self, battle_id: str, voter: VoterIdentity, winner: Winner, criteria: Mapping[str, str] | None = None
    ) -> BattleView:
        """Store the voter's verdict in one transaction, then reveal.

        Raises `BattleError` when the battle is not the voter's, not votable, or already voted on.
        """
        raise NotImplementedError

    async def withdraw(self, battle_id: str, voter: VoterIdentity) -> BattleView:
        """Take the voter's own vote back: kept, marked, and never rated or exported again. Twice is not an error."""
        raise NotImplementedError

    async def stop(self, battle_id: str, voter: VoterIdentity) -> None:
        """Stop a running battle or chat turn of the voter's; its generator then yields its last view and ends."""
        raise NotImplementedError

    def leave(self, session: str) -> None:
        """The page of that session is gone: cancel what it was streaming, keep what was finished."""
        raise NotImplementedError

    async def restore(self, voter: VoterIdentity) -> Restored:
        """What a reloaded Battle page shows: the voter's latest battle if it waits for its vote, else its prompt if it
        was interrupted in the last hour, else nothing."""
        raise NotImplementedError

    async def figures(self) -> Figures:
        """Battles by outcome, from the database."""
        raise NotImplementedError

    async def drain(self, seconds: float) -> int:
        """Refuse new battles, let running ones finish for up to `seconds`, cancel the rest; returns how many were cut."""
        raise NotImplementedError


def recover_interrupted(database: Database) -> int:
    """At start: battles that a stopped process left running become abandoned; returns how many."""
    raise NotImplementedError


__all__: Sequence[str] = [
    "Arena",
    "BattleView",
    "ChatView",
    "Figures",
    "Phase",
    "Restored",
    "Reveal",
    "SideReveal",
    "TurnView",
    "recover_interrupted",
]
