"""One process at a time fills a campaign: two would ask, and pay, for the same answers."""

from contextlib import AbstractContextManager

from arena.alone import alone
from arena.database import Database

_BUSY = "This campaign is being filled already, by another command; wait for it, or stop it."


def filling_alone(database: Database, campaign_id: str) -> AbstractContextManager[None]:
    """Hold the campaign's lock; raises `ConfigError` where somebody else does."""
    return alone(database, f"{campaign_id}.filling", _BUSY)
