"""What a turn may cost before it is asked, and what it did cost: tokens times the roster's prices; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arena.battle.seats import Attempt, Seat
from arena.limits import MILLIONTHS, Reservation
from arena.providers.base import Message, Sampling
from arena.roster import ModelEntry
from arena.spending import Exchange, millionths, most_tokens, tokens_in

_ROUNDING = 1e-6
"""Dollars times a million may come out a little above the whole number that they are."""


@dataclass(slots=True)
class Bill:
    """An admitted turn: what is set aside for it, and what it then asks for."""

    reservation: Reservation | None
    """`None` where nobody counts money."""
    sent_tokens: int
    """About how much each attempt sends."""
    seats: Sequence[Seat] = ()
    """Who is asked; filled in once that is known."""

    @property
    def cost(self) -> int:
        """What the seats' attempts have cost so far; see `cost`."""
        return cost([attempt for seat in self.seats for attempt in seat.attempts], self.sent_tokens)


def tokens_sent(messages: Sequence[Message]) -> int:
    """About how many tokens a request of these messages has."""
    return tokens_in([message.content for message in messages])


def estimate(model: ModelEntry, messages: Sequence[Message], sampling: Sampling | None) -> int:
    """The most that one answer may cost, in millionths of a US dollar; a model without a price costs nothing."""
    longest = sampling.max_new_tokens if sampling else model.recommended_config.max_new_tokens
    return math.ceil(millionths(model.price, most_tokens(model, messages), longest))


def cost(attempts: Sequence[Attempt], sent_tokens: int) -> int:
    """What the attempts cost, in millionths of a US dollar, by the platform's own count where it gave one.

    One that brought nothing costs what was sent, unless the platform refused it: whoever leaves at once has still been
    answered somewhere. What was never asked costs nothing.
    """
    return sum(_cost(attempt, sent_tokens) for attempt in attempts if attempt.progress.total_ms is not None)


def _cost(attempt: Attempt, sent_tokens: int) -> int:
    progress = attempt.progress
    finish, error = progress.finish, progress.error
    exchange = Exchange(
        sent=sent_tokens + tokens_in([attempt.model.system_prompt or ""]),
        received=tokens_in([progress.text, progress.reasoning]),
        counted=(finish.input_tokens, finish.output_tokens) if finish else (None, None),
        failure=error.kind if error else None,
        longest=attempt.sampling.max_new_tokens,
    )
    return math.ceil(exchange.cost(attempt.model.price).usd * MILLIONTHS - _ROUNDING)
