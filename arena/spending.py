"""What requests cost, in tokens and money: at most before they are made, and really after they were made."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from arena.errors import FailureKind
from arena.providers.base import AnswerProgress, Message
from arena.roster import ModelEntry, Price

BYTES_PER_TOKEN = 4
"""Where a platform did not count: English has about four bytes a token, Chinese three."""

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
"""Failures that cost nothing where not a word had come: nothing was read."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read and written, and US dollars by the roster's prices; 0 where it has none."""

    read: int = 0
    written: int = 0
    usd: float = 0.0
    estimated: bool = False
    """Whether any of the tokens were counted by the text."""

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.read + self.written

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.read + other.read,
            self.written + other.written,
            self.usd + other.usd,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is known of one request after it was made."""

    sent: int
    """About how many tokens it held."""
    received: int
    """About how many tokens came back, thoughts among them."""
    counted: tuple[int | None, int | None]
    """Tokens read and written, as the platform told."""
    failure: FailureKind | None
    longest: int
    """How many tokens the answer might have had."""

    def cost(self, price: Price | None) -> Cost:
        """As the platform counted, else by the text.

        An answer that came out empty is taken to have used all it was allowed, on thoughts that are not shown.
        """
        read, written = self.counted
        if read is None and written is None and not self.received and self.failure in _UNPAID:
            return Cost()
        estimated = read is None or written is None
        if read is None:
            read = self.sent
        if written is None:
            empty = self.failure is FailureKind.EMPTY and not self.received
            written = self.longest if empty else self.received
        return cost_of(price, read, written, estimated=estimated)


def tokens_in(texts: Sequence[str]) -> int:
    """About how many tokens the texts have, rounded up."""
    return -(-sum(len(text.encode("utf-8", "replace")) for text in texts) // BYTES_PER_TOKEN)


def millionths(price: Price | None, read: int, written: int) -> float:
    """Millionths of a US dollar: prices are dollars for a million tokens."""
    return read * price.input + written * price.output if price else 0.0


def cost_of(price: Price | None, read: int, written: int, *, estimated: bool = False) -> Cost:
    """The cost of so many tokens."""
    return Cost(read, written, millionths(price, read, written) / 1e6, estimated)


def most_tokens(model: ModelEntry, messages: Sequence[Message]) -> int:
    """The most that a request may have to be read: no tokenizer makes more tokens than bytes."""
    texts = [*(message.content for message in messages), model.system_prompt or ""]
    return sum(len(text.encode("utf-8", "replace")) for text in texts) + _ENVELOPE_TOKENS


def most_cost(model: ModelEntry, messages: Sequence[Message]) -> Cost:
    """The most that a request may cost; its answer is limited."""
    return cost_of(model.price, most_tokens(model, messages), model.recommended_config.max_new_tokens)


def real_cost(model: ModelEntry, messages: Sequence[Message], progress: AnswerProgress) -> Cost:
    """What a request did cost; see `Exchange.cost`."""
    finish, error = progress.finish, progress.error
    exchange = Exchange(
        sent=tokens_in([*(message.content for message in messages), model.system_prompt or ""]),
        received=tokens_in([progress.text, progress.reasoning]),
        counted=(finish.input_tokens, finish.output_tokens) if finish else (None, None),
        failure=error.kind if error else None,
        longest=model.recommended_config.max_new_tokens,
    )
    return exchange.cost(model.price)


class Budget:
    """Lets a request be made only if what was spent and all that runs cannot come to more than the limits."""

    def __init__(self, usd: float | None, tokens: int | None = None, spent: Cost | None = None) -> None:
        """`None` is no limit; `spent` is what earlier runs have cost."""
        self.spent = spent or Cost()
        self._usd = usd
        self._tokens = tokens
        self._reserved: list[Cost] = []
        self._settled = asyncio.Condition()

    async def reserve(self, most: Cost) -> bool:
        """Set `most` aside, waiting for what runs where that may leave enough; `False` if there is not enough."""
        async with self._settled:
            while not self._fits(most):
                if not self._reserved:
                    return False
                await self._settled.wait()
            self._reserved.append(most)
            return True

    async def settle(self, most: Cost, real: Cost) -> None:
        """Replace what was set aside by what it did cost."""
        async with self._settled:
            self._reserved.remove(most)
            self.spent += real
            self._settled.notify_all()

    def _fits(self, most: Cost) -> bool:
        wanted = sum([*self._reserved, most], self.spent)
        within_money = self._usd is None or wanted.usd <= self._usd
        return within_money and (self._tokens is None or wanted.tokens <= self._tokens)
