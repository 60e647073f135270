"""Who votes: pseudonymous voters, and how much one of them may ask for."""

import hashlib
import hmac
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.config import Settings
from arena.errors import BattleError
from arena.tables import Voter

WINDOW_S = 60.0
"""The window in which starts are counted."""

ADDRESS_SHARE = 5
"""How many voters' worth of battles one address may start: a school or an office shares one."""

_TIDY_ABOVE = 10_000


@dataclass(frozen=True, slots=True)
class VoterIdentity:
    """Who is asking. `voter_id` is random, from a signed cookie (or the session where cookies are refused)."""

    voter_id: str
    address_hash: str = ""
    """Keyed hash of the visitor's address: serves limits only, is never stored with votes."""
    session: str = ""
    """The page's connection; closing it stops the voter's running battles of that page."""


class BattleLimits:
    """How many battles a voter, and an address, may start in any minute. In this process's memory."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_voter = settings.battles_per_minute
        self._clock = clock
        self._starts: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        """How many voters and addresses it remembers."""
        return len(self._starts)

    def check(self, voter: VoterIdentity) -> None:
        """Count one more battle, or raise `BattleError` saying when to come back.

        A refused battle is not counted, so that waiting always helps.
        """
        now = self._clock()
        windows = [(self._window(f"voter {voter.voter_id}", now), self._per_voter)]
        if voter.address_hash:
            windows.append((self._window(f"address {voter.address_hash}", now), self._per_voter * ADDRESS_SHARE))
        wait = max((starts[-limit] + WINDOW_S - now for starts, limit in windows if len(starts) >= limit), default=0.0)
        if wait > 0:
            raise BattleError(
                f"That was a lot of battles in one minute. You can start the next one in {_seconds(wait)}."
            )
        for starts, _ in windows:
            starts.append(now)

    def _window(self, key: str, now: float) -> deque[float]:
        if len(self._starts) > _TIDY_ABOVE:
            self._starts = {k: starts for k, starts in self._starts.items() if starts and starts[-1] > now - WINDOW_S}
        starts = self._starts.setdefault(key, deque())
        while starts and starts[0] <= now - WINDOW_S:
            starts.popleft()
        return starts


def _seconds(wait: float) -> str:
    whole = math.ceil(wait)
    return "a second" if whole == 1 else f"{whole} seconds"


def hash_address(secret: str, address: str) -> str:
    """A keyed hash of a visitor's address: always the same, and of no use to whoever lacks `secret`.

    An empty address has an empty hash, which no limit looks at.
    """
    if not address:
        return ""
    return hmac.new(secret.encode(), b"address:" + address.encode(), hashlib.sha256).hexdigest()[:32]


def ensure_voter(session: Session, voter_id: str) -> None:
    """Make the voter's row where it is new, also when two requests of one visitor come at once."""
    if session.get(Voter, voter_id) is not None:
        return
    try:
        with session.begin_nested():
            session.add(Voter(id=voter_id))
    except IntegrityError:
        return  # the visitor's other request was first
