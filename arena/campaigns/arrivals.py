"""How many new judges one address may bring in any minute, so that nobody reserves every pair under new names."""

import math
import time
from collections import deque
from collections.abc import Callable

from arena.errors import BattleError
from arena.voters import VoterIdentity

WINDOW_S = 60.0
"""The window in which arrivals are counted."""

ADDRESS_SHARE = 5
"""How many voters' worth of arrivals one address may have: a school or an office shares one."""

_TIDY_ABOVE = 10_000


class Arrivals:
    """Counts by voter and by address, in this process's memory: a campaign never keeps anybody from a battle."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_minute` is for one voter; `clock` gives seconds."""
        self._per_minute = per_minute
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def check(self, voter: VoterIdentity) -> None:
        """Count one more arrival; one that is refused is not counted, so that waiting always helps.

        Raises:
            BattleError: there were too many; says when to come back.

        """
        now = self._clock()
        windows = [(self._window(f"voter {voter.voter_id}", now), self._per_minute)]
        if voter.address_hash:
            windows.append((self._window(f"address {voter.address_hash}", now), self._per_minute * ADDRESS_SHARE))
        wait = max((times[-limit] + WINDOW_S - now for times, limit in windows if len(times) >= limit), default=0.0)
        if wait > 0:
            seconds = math.ceil(wait)
            when = "a second" if seconds == 1 else f"{seconds} seconds"
            raise BattleError(f"Many people came at once. You can start judging in {when}.", reason="limit_arrivals")
        for times, _ in windows:
            times.append(now)

    def _window(self, key: str, now: float) -> deque[float]:
        if len(self._times) > _TIDY_ABOVE:
            self._times = {k: times for k, times in self._times.items() if times and times[-1] > now - WINDOW_S}
        times = self._times.setdefault(key, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times
