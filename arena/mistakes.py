"""Errors that nobody expected, told so that strangers neither fill the log with them nor write into it.

What an error says may quote what a visitor sent, so its kind is told, and the lines of code that it passed.
"""

import logging
import time
import traceback
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)
QUIET_S = 10.0
"""One mistake is told at most once in so many seconds."""
_MOST = 100
"""So many mistakes are known apart."""


class Mistakes:
    """Those of one process. Used from the event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._told: dict[str, float] = {}

    def tell(self, error: BaseException) -> None:
        """Log where `error` comes from, unless the same was told a moment ago."""
        place, now = _place_of(error), self._clock()
        if now - self._told.get(place, -QUIET_S) < QUIET_S:
            return
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[place] = now
        log.error("An unexpected %s\n%s", place, "\n".join(_steps(error)))


def _place_of(error: BaseException) -> str:
    """What kind of error it is, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where


def _steps(error: BaseException) -> Iterator[str]:
    """The lines of code that led to the error, and of the one that it came from."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _steps(earlier)
        yield f"then {type(error).__name__}:"
    yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
