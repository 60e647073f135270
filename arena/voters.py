"""Who votes: pseudonymous voters, and how much one of them may ask for."""

from dataclasses import dataclass

from arena.config import Settings


@dataclass(frozen=True, slots=True)
class VoterIdentity:
    """Who is asking. `voter_id` is random, from a signed cookie (or the session where cookies are refused)."""

    voter_id: str
    address_hash: str = ""
    """Keyed hash of the visitor's address: serves limits only, is never stored with votes."""
    session: str = ""
    """The page's connection; closing it stops the voter's running battles of that page."""


class BattleLimits:
    """How many battles a voter may start in a minute and run at once. In this process's memory."""

    def __init__(self, settings: Settings) -> None:
        raise NotImplementedError

    def check(self, voter: VoterIdentity) -> None:
        """Count one more battle, or raise `BattleError` saying when to come back."""
        raise NotImplementedError
