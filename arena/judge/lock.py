"""One process at a time asks a judge: two would ask, and pay, for the same verdicts."""

from contextlib import AbstractContextManager

from arena.alone import alone
from arena.database import Database


def judging_alone(database: Database) -> AbstractContextManager[None]:
    """Hold the lock; raises `ConfigError` where somebody else does."""
    return alone(database, "judging", "A judge is being asked already, by another command; wait for it, or stop it.")
