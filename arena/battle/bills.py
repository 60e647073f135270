"""What a turn may cost before it is asked, and what it did cost: tokens times the roster's prices; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arena.battle.seats import Attempt, Seat
from arena.limits import Reservation
from arena.providers.base import Message, Sampling
from arena.roster import ModelEntry
from arena.spending import millionths, tokens_in


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


def estimate(model: ModelEntry, sent_tokens: int, sampling: Sampling | None) -> int:
    """The most that one answer may cost, in millionths of a US dollar; a model without a price costs nothing."""
    longest = sampling.max_new_tokens if sampling else model.recommended_config.max_new_tokens
    return _price(model, sent_tokens + tokens_in([model.system_prompt or ""]), longest)


def cost(attempts: Sequence[Attempt], sent_tokens: int) -> int:
    """What the attempts cost, in millionths of a US dollar, by the platform's own count where it gave one.

    An attempt that brought nothing is taken to cost nothing; one that was cut off costs what had come.
    """
    total = 0
    for attempt in attempts:
        progress = attempt.progress
        received = tokens_in([progress.text, progress.reasoning])
        if progress.finish is None and not received:
            continue
        counted = (progress.finish.input_tokens, progress.finish.output_tokens) if progress.finish else (None, None)
        sent = sent_tokens if counted[0] is None else counted[0]
        total += _price(attempt.model, sent, received if counted[1] is None else counted[1])
    return total


def _price(model: ModelEntry, sent: int, received: int) -> int:
    return math.ceil(millionths(model.price, sent, received))
