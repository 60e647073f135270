"""What the drawing of pairs knows: the votes of the models of the roster as they are now, kept beside the battles.

A battle never waits for the database or a fit: it draws by what was read last, and reading again happens in a thread
after battles and votes.
"""

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import select

from arena.counts import LiveCounts, PairCounts, read_counts
from arena.database import Database
from arena.matchmaking import Evidence
from arena.ratings import rate
from arena.stamps import Stamp
from arena.tables import ModelRevision

SCOPES = ("battle", "imported")
"""Whose votes say what is settled: those of the leaderboard."""


class VoteEvidence:
    """The latest evidence, and how to read it again. Safe from any thread."""

    def __init__(self, database: Database) -> None:
        """Nothing is known before the first `refresh`."""
        self._database = database
        self._lock = threading.Lock()
        self._counts = LiveCounts(SCOPES)
        self._stamp: Stamp | None = None
        self._newest: Mapping[str, int] = {}
        self.latest = Evidence()
        """Never changed, only replaced: whoever holds one may go on reading it."""

    def refresh(self) -> None:
        """Read again if a vote or a new revision changed anything; blocking. At once if another thread is at it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            stamp = self._database.glance(self._counts.catch_up)
            if stamp != self._stamp:
                if self._stamp is None or stamp.revision != self._stamp.revision:
                    self._newest = _newest_revisions(self._database)
                self.latest = _evidence_of(self._counts.together(), self._newest)
                self._stamp = stamp
        finally:
            self._lock.release()


def read_evidence(database: Database, scopes: Sequence[str] = SCOPES) -> Evidence:
    """What the votes say about the newest revision of each model that can be asked; a changed model starts anew."""
    return _evidence_of(read_counts(database, scopes), _newest_revisions(database))


def _evidence_of(counts: PairCounts, newest: Mapping[str, int]) -> Evidence:
    met = counts.wins + counts.wins.T + counts.ties + counts.both_bad
    if not met.any():
        return Evidence()
    ratings = rate(counts.wins, counts.ties, counts.both_bad)
    column = {revision: place for place, revision in enumerate(counts.revisions)}
    models = [model for model, revision in newest.items() if revision in column]
    places = np.array([column[newest[model]] for model in models], np.intp)
    among = np.ix_(places, places)
    return Evidence(
        models=models,
        votes=met[among],
        known=met.sum(axis=1)[places],
        rating=ratings.rating[places],
        covariance=ratings.covariance[among],
    )


def _newest_revisions(database: Database) -> dict[str, int]:
    """Model id -> its newest revision; an imported namesake cannot be asked and stands for none."""
    statement = (
        select(ModelRevision.model_id, ModelRevision.id)
        .where(ModelRevision.platform != "imported")
        .order_by(ModelRevision.number)
    )
    with database.read() as session:
        return dict(session.execute(statement).all())
