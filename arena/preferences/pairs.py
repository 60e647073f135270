"""What a vote teaches: of two answers to one prompt, which one was preferred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Message = Mapping[str, str]
"""`{"role": "user" | "assistant", "content": …}`."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, and whose it is."""

    text: str
    model: str
    """`id@revision number`."""
    revision: int
    """Row of the model's revision."""
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class SharedPrompt:
    """All that both models were given: the last message is the user's."""

    system: str | None
    messages: Sequence[Message]

    @property
    def opening(self) -> str:
        """The user's first message, with which a chain of continued battles begins."""
        return self.messages[0]["content"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A preferred answer and the other one."""

    battle: str
    """The first battle whose vote says so."""
    turn: int
    """The place of the prompt in its conversation, shared history included: 1, 2, …"""
    criterion: str
    """Empty for the overall verdict."""
    agreed: int
    """The margin: how many people judged these two answers alike; none judged them otherwise."""
    prompt: SharedPrompt
    chosen: Said
    rejected: Said


@dataclass(frozen=True, slots=True)
class Negatives:
    """Two answers that were both called bad."""

    battle: str
    turn: int
    criterion: str
    prompt: SharedPrompt
    bad: tuple[Said, Said]


Lesson = Pair | Negatives
