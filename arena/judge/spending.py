"""What a judge's requests cost: at most before they are made, and really after they were made."""

import asyncio
from dataclasses import dataclass

from arena.errors import FailureKind
from arena.providers.base import AnswerProgress, Message
from arena.roster import ModelEntry, Price

CHARACTERS_PER_TOKEN = 4
"""Where the platform does not tell how many tokens it counted."""
USUAL_OUTPUT_TOKENS = 250
"""Of a verdict on a handful of criteria, for the estimate before a run."""

_ENVELOPE_TOKENS = 64
"""What a platform adds around the messages."""

_UNPAID = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.CONNECTION,
        FailureKind.UNAUTHORISED,
        FailureKind.NOT_FOUND,
        FailureKind.NOT_CONFIGURED,
        FailureKind.BAD_REQUEST,
        FailureKind.SERVER_ERROR,
    }
)
"""Failures that cost nothing where not a word had come."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens read and written, and US dollars; 0 where the roster has no price."""

    read: int = 0
    written: int = 0
    usd: float = 0.0
    estimated: bool = False
    """Whether any of the tokens were counted by the characters."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.read + other.read,
            self.written + other.written,
            self.usd + other.usd,
            self.estimated or other.estimated,
        )


def price_of(price: Price | None, read: int, written: int) -> float:
    """US dollars."""
    return (read * price.input + written * price.output) / 1e6 if price else 0.0


def most_usd(model: ModelEntry, messages: list[Message]) -> float:
    """The most that a request may cost: no tokenizer makes more tokens than bytes, and the answer is limited."""
    asked = sum(len(message.content.encode()) for message in messages) + len((model.system_prompt or "").encode())
    return price_of(model.price, asked + _ENVELOPE_TOKENS, model.recommended_config.max_new_tokens)


def usual_usd(model: ModelEntry, characters: int) -> float:
    """What a request of so many characters costs, roughly."""
    return price_of(model.price, tokens_in(characters), USUAL_OUTPUT_TOKENS)


def spent_on(model: ModelEntry, messages: list[Message], progress: AnswerProgress) -> Spent:
    """What a request did cost: as the platform counted, else by the characters.

    An answer that came out empty is taken to have used all it was allowed, on thoughts that are not shown.
    """
    finish, error = progress.finish, progress.error
    said = len(progress.text) + len(progress.reasoning)
    if error is not None and not said and error.kind in _UNPAID:
        return Spent()
    read, written = (finish.input_tokens, finish.output_tokens) if finish else (None, None)
    estimated = read is None or written is None
    if read is None:
        read = tokens_in(sum(len(message.content) for message in messages))
    if written is None:
        empty = error is not None and error.kind is FailureKind.EMPTY
        written = model.recommended_config.max_new_tokens if empty else tokens_in(said)
    return Spent(read, written, price_of(model.price, read, written), estimated)


def tokens_in(characters: int) -> int:
    """Rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


class Budget:
    """Lets a request be made only if what was spent and all that runs cannot come to more than the limit."""

    def __init__(self, usd: float | None) -> None:
        """`usd` is the limit; `None` is none."""
        self._usd = usd
        self._spent = 0.0
        self._reserved: list[float] = []
        self._settled = asyncio.Condition()

    async def reserve(self, most: float) -> bool:
        """Set `most` aside, waiting for what runs where that may leave enough; `False` if there is not enough."""
        async with self._settled:
            while self._usd is not None and self._spent + sum(self._reserved) + most > self._usd:
                if not self._reserved:
                    return False
                await self._settled.wait()
            self._reserved.append(most)
            return True

    async def settle(self, most: float, real: float) -> None:
        """Replace what was set aside by what it did cost."""
        async with self._settled:
            self._reserved.remove(most)
            self._spent += real
            self._settled.notify_all()
