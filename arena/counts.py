"""Pair counts: what the ratings are computed from, kept in the transaction of each vote."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from arena.database import Database, Winner


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Counts of verdicts between revisions, as arrays: `wins[i, j]` is how often revision i beat revision j."""

    revisions: Sequence[int]
    """Revision id of each row and column, ascending."""
    wins: NDArray[np.int64]
    ties: NDArray[np.int64]
    """Symmetric, diagonal zero, as `both_bad`."""
    both_bad: NDArray[np.int64]
    sequence: int
    """The commit number of the latest change in here; 0 when there is none."""


def next_sequence(session: Session) -> int:
    """The next number in commit order; the row stays locked until the transaction ends."""
    raise NotImplementedError


def add_verdict(
    session: Session,
    *,
    scope: str,
    revision_a: int,
    revision_b: int,
    winner: Winner,
    sequence: int,
    amount: int = 1,
    criterion: str = "",
) -> None:
    """Add `amount` (-1 takes a withdrawn vote back) of a verdict to its pair, in the caller's transaction."""
    raise NotImplementedError


def read_counts(database: Database, scopes: Sequence[str], criterion: str = "") -> PairCounts:
    """The counts of the given scopes together."""
    raise NotImplementedError


def latest_sequence(database: Database) -> int:
    """The newest commit number; a cache with the same number is current."""
    raise NotImplementedError


def rebuild_counts(database: Database) -> int:
    """Recompute every pair count from the votes, in one transaction; returns the number of votes counted."""
    raise NotImplementedError
