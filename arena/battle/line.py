"""The line before a full arena: first come, first served, and everybody is told their place."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from arena.errors import BattleError

TOLD_EVERY_S, PER_PLACE_S = 2.0, 0.1
"""How often somebody in line learns their place: the further behind, the less often. Being served is told at once."""

MOST_OF_ONE = 3
"""Most places in line of one voter, so that nobody keeps the others waiting alone."""


class Ticket:
    """One voter's claim to run something."""

    def __init__(self, voter_id: str) -> None:
        self.voter_id = voter_id
        self.served = False
        """It may run: it has one of the places, until it leaves."""
        self.called = asyncio.Event()
        """It was served, or has left."""


class Line:
    """A number of places to run, and a bounded line for them. Used from the event loop only."""

    def __init__(self, limit: int, longest: int) -> None:
        """`limit` may run at once, and `longest` wait behind them."""
        self._limit = limit
        self._longest = longest
        self._served: set[Ticket] = set()
        self._waiting: deque[Ticket] = deque()

    @property
    def limit(self) -> int:
        """How many may run at once; where more run already, nobody is served until they have become fewer."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._serve()

    @property
    def running(self) -> int:
        """How many places are taken."""
        return len(self._served)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._waiting)

    def check(self, voter_id: str) -> None:
        """Refuse with a `BattleError` whoever finds no place, not even in the line."""
        if self.running < self._limit and not self._waiting:
            return
        if self.waiting >= self._longest:
            raise BattleError(
                "The arena is full, and so is the line before it. Please try again in a minute.", reason="full"
            )
        if sum(ticket.voter_id == voter_id for ticket in self._waiting) >= MOST_OF_ONE:
            raise BattleError("You are in line already. Please wait for your turn there.", reason="in_line")

    def join(self, voter_id: str) -> Ticket:
        """Take a place at once where one is free, else the last one in line; raises as `check` does."""
        self.check(voter_id)
        ticket = Ticket(voter_id)
        self._waiting.append(ticket)
        self._serve()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give up the place, or the place in line; twice is not an error."""
        if ticket in self._served:
            self._served.remove(ticket)
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        ticket.served = False
        ticket.called.set()
        self._serve()

    async def places(self, ticket: Ticket) -> AsyncGenerator[int]:
        """The ticket's place in line, 1 for the next one to be served, as it changes, until it is served or leaves."""
        told = 0
        while not ticket.called.is_set():
            place = self._waiting.index(ticket) + 1
            if place != told:
                told = place
                yield place
            await _wait(ticket.called, max(TOLD_EVERY_S, place * PER_PLACE_S))

    def _serve(self) -> None:
        while self._waiting and self.running < self._limit:
            ticket = self._waiting.popleft()
            self._served.add(ticket)
            ticket.served = True
            ticket.called.set()


def place_in_line(place: int) -> str:
    """What a visitor is told: `place` is 1 for the next one to be served."""
    where = "next" if place == 1 else f"{place}{_ordinal_ending(place)}"
    return f"The arena is full at the moment. You are {where} in line; your turn starts by itself."


def _ordinal_ending(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but not longer than that."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
