"""How soon each model begins to speak, as the leaderboard tells it: from voted battles only.

A figure that moved during a battle would tell who is in it. This one is read from answers whose battle has its vote, so
it moves with votes as the ratings do.
"""

from collections import deque
from collections.abc import Mapping
from statistics import median

from sqlalchemy import and_, func, select

from arena.database import Database
from arena.tables import Answer, Seat, Vote

LATEST_VOTES = 20_000
"""A new process looks at so many of the latest votes; from then on only at those that are new."""

LATEST_ANSWERS = 200
"""The median is that of a model's so many latest first answers: how it is now, not how it was."""


class FirstTokens:
    """Medians of time to first token by revision. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._times: dict[int, deque[float]] = {}
        self._known: int | None = None

    def read(self) -> Mapping[int, float]:
        """Milliseconds by revision's id, brought up to date with the votes since the last time."""
        with self._database.engine.connect() as connection:
            newest = connection.scalar(select(func.max(Vote.sequence))) or 0
            if self._known is None or newest < self._known:  # an older copy of the database may have been restored
                self._times, self._known = {}, newest - LATEST_VOTES
            statement = (
                select(Answer.revision_id, Answer.first_token_ms)
                .select_from(Vote)
                .join(Seat, and_(Seat.battle_id == Vote.battle_id, Seat.turn == 1))
                .join(Answer, Answer.id == Seat.answer_id)
                .where(Vote.sequence > self._known, Vote.sequence <= newest, Answer.first_token_ms.is_not(None))
                .order_by(Vote.sequence)
            )
            for revision, milliseconds in connection.execute(statement).cursor.fetchall():
                self._times.setdefault(revision, deque(maxlen=LATEST_ANSWERS)).append(milliseconds)
        self._known = newest
        return {revision: median(times) for revision, times in self._times.items()}
