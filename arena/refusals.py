"""What was refused, by reason: counted for `/metrics`, and told in the log without flooding it."""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)
QUIET_S = 10.0
"""At most one line for each reason in so many seconds; it says how many there were."""
_ID = re.compile(r"[0-9a-f]{32}")


class Refusals:
    """Counts since the start of this process. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told: dict[str, tuple[float, int]] = {}

    def count(self, reason: str, battle: object = "") -> None:
        """Count one refused call; `battle` is the id that it named, believed only as far as it looks like one."""
        with self._lock:
            self._counts[reason] += 1
            told_at, told = self._told.get(reason, (-QUIET_S, 0))
            now = self._clock()
            if now - told_at < QUIET_S:
                return
            untold = self._counts[reason] - told
            self._told[reason] = (now, self._counts[reason])
        named = battle if isinstance(battle, str) and _ID.fullmatch(battle) else ""
        log.info("refused: %s (%d times since this was last said)", reason, untold, extra={"battle": named})

    def by_reason(self) -> Mapping[str, int]:
        """How often each reason was given."""
        with self._lock:
            return dict(self._counts)
