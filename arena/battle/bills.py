"""What a turn may cost before it is asked, and what it did cost: tokens times the roster's prices."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from arena.battle.seats import Attempt, Seat
from arena.limits import MILLIONTHS, Reservation
from arena.outages import DatabaseUnavailable
from arena.providers.base import Message, Sampling
from arena.roster import ModelEntry
from arena.spending import Exchange, millionths, most_tokens, tokens_in

log = logging.getLogger(__name__)
_ROUNDING = 1e-6
"""Dollars times a million may come out a little above the whole number that they are."""


@dataclass(slots=True)
class Bill:
    """An admitted turn: what is set aside for it, and what it then asks for."""

    reservation: Reservation | None
    """`None` where nobody counts money."""
    sent_tokens: int
    """About how much each attempt sends."""
    extend: Callable[[Reservation, int], Awaitable[Reservation | None]]
    """Sets more aside; `None` if the day's money does not reach."""
    seats: Sequence[Seat] = ()
    """Who is asked; filled in once that is known."""
    _in_turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _extending: "asyncio.Task[bool] | None" = field(default=None, init=False)

    @property
    def cost(self) -> int:
        """What the seats' attempts have cost so far; see `cost`."""
        return cost([attempt for seat in self.seats for attempt in seat.attempts], self.sent_tokens)

    async def affords(self, model: ModelEntry, messages: Sequence[Message], sampling: Sampling | None) -> bool:
        """Set aside what a further request may cost, before it is made; `False` if the day's money does not reach.

        What failed attempts left of the money that was set aside comes first: where they cost nothing, no more is
        wanted. The attempt must be opened before anything else is awaited, so that the next one is told of it.
        """
        if self.reservation is None:
            return True
        async with self._in_turn:
            more = self._most + estimate(model, messages, sampling) - self.reservation.millionths
            if more <= 0:
                return True
            # Whoever is cancelled meanwhile leaves it to `settled` to wait for what is set aside then.
            self._extending = asyncio.ensure_future(self._set_aside(self.reservation, more))
            return await asyncio.shield(self._extending)

    async def settled(self) -> Reservation | None:
        """All that was set aside; nothing is added any more."""
        if self._extending is not None:
            await asyncio.wait({self._extending})
        return self.reservation

    @property
    def _most(self) -> int:
        """What the attempts have cost, and what those that run may cost."""
        running = sum(
            estimate(attempt.model, seat.messages, attempt.sampling)
            for seat in self.seats
            for attempt in seat.attempts
            if attempt.progress.total_ms is None and attempt.progress.error is None
        )
        return self.cost + running

    async def _set_aside(self, reservation: Reservation, more: int) -> bool:
        try:
            extended = await self.extend(reservation, more)
        except DatabaseUnavailable:
            extended = None
        if extended is None:
            log.warning("The day's money does not reach for a further attempt")
            return False
        self.reservation = extended
        return True


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
