"""Who votes: pseudonymous voters, known by a random id and for limits by a keyed hash of their address."""

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from arena.tables import Voter

_VOTERS: Table = Voter.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class VoterIdentity:
    """Who is asking. `voter_id` is random, from a signed cookie (or the session where cookies are refused)."""

    voter_id: str
    address_hash: str = ""
    """Keyed hash of the visitor's address: serves limits only, is never stored with votes."""
    session: str = ""
    """The page's connection; closing it stops the voter's running battles of that page."""


def hash_address(secret: str, address: str) -> str:
    """A keyed hash of a visitor's address: always the same, and of no use to whoever lacks `secret`.

    An empty address has an empty hash, which no limit looks at.
    """
    if not address:
        return ""
    return hmac.new(secret.encode(), b"address:" + address.encode(), hashlib.sha256).hexdigest()[:32]


def ensure_voter(session: Session, voter_id: str) -> None:
    """Make the voter's row where it is new, also when two requests of one visitor come at once."""
    session.execute(_inserting(session.get_bind().dialect.name), {"id": voter_id})


@cache
def _inserting(dialect: str) -> sqlite.Insert | postgresql.Insert:
    insert = postgresql.insert(_VOTERS) if dialect == "postgresql" else sqlite.insert(_VOTERS)
    return insert.on_conflict_do_nothing(index_elements=["id"])
