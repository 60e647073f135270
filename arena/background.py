"""A figure read from the votes themselves: worked out in the background, so that nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from arena.database import Database

log = logging.getLogger(__name__)

Figure = TypeVar("Figure")
BUSY_SHARE = 0.05
"""The share of its time that the background may spend on one figure."""

_AFTER_FAILURE_S = 60.0


class Background(Generic[Figure]):
    """The latest figure, and its renewal in one of the database's threads after votes. Safe from any thread."""

    def __init__(self, database: Database, read: Callable[[], Figure]) -> None:
        """`read` works the figure out; it may take long, and never runs twice at a time."""
        self._database = database
        self._read = read
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._figure: Figure | None = None
        self._stamp: object = None
        self._busy = False
        self._due_at = 0.0

    def current(self, stamp: object) -> Figure | None:
        """What is known now, `None` before the first time; a `stamp` other than the figure's has it renewed soon."""
        with self._lock:
            due = stamp != self._stamp and not self._busy and time.monotonic() >= self._due_at
            self._busy = self._busy or due
            known = self._figure
        if due:
            self._database.later(lambda: self._renew(stamp))
        return known

    def wait(self, stamp: object) -> Figure:
        """The figure, worked out first where there is none: for whoever can do nothing without it."""
        with self._reading:
            known = self._figure
            return known if known is not None else self._work_out(stamp)

    def _renew(self, stamp: object) -> None:
        try:
            with self._reading:
                self._work_out(stamp)
        except SQLAlchemyError:  # what is known stays; a later question asks again
            log.warning("A figure could not be read from the votes", exc_info=True)
            with self._lock:
                self._due_at = time.monotonic() + _AFTER_FAILURE_S
        finally:
            with self._lock:
                self._busy = False

    def _work_out(self, stamp: object) -> Figure:
        began = time.monotonic()
        figure = self._read()
        ended = time.monotonic()
        with self._lock:
            self._figure, self._stamp = figure, stamp
            self._due_at = ended + (ended - began) / BUSY_SHARE
        return figure
