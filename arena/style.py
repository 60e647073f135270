"""Standings with style held equal, computed in the background and cached: no vote and no page waits for them."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from arena.answer_style import measure
from arena.counts import read_counts
from arena.database import Database
from arena.ratings import Ratings, rate
from arena.stamps import latest_sequence
from arena.style_control import StyleEffect, StyleRatings, rate_by_style
from arena.style_reading import LookedVotes
from arena.style_votes import FEATURES, StyleVotes
from arena.tables import (
    Answer,
    AnswerStyle,
    ModelRevision,
    Seat,
    Vote,
    now,
)

log = logging.getLogger(__name__)

REFRESH_S = 30.0
"""How old the standings may grow before somebody who looks at them has them computed again."""

PORTION = 500
"""Answers measured in one transaction: nobody waits long for the write lock, and a stop is soon obeyed."""

_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class StyleRow:
    """One revision beside its plain rating."""

    revision_id: int
    model_id: str
    display_name: str
    """With ' (revision N)' where another revision of the same id also stands."""
    rating: float
    """If all answers looked alike."""
    low: float
    high: float
    rank_low: int
    rank_high: int
    plain: float
    """From the same votes, style left in."""
    votes: int


@dataclass(frozen=True, slots=True)
class StyleStandings:
    """The style-controlled leaderboard at one moment: best first, revisions with votes only."""

    rows: Sequence[StyleRow]
    effects: Sequence[StyleEffect]
    votes: int
    left_out: int
    """Rated votes whose answers are not here (imported without text)."""
    sequence: int
    """The number of the latest change in it, in commit order."""
    computed_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The standings for programs, ratings to a tenth of a point."""
        return {
            "computed_from": {"votes": self.votes, "left_out": self.left_out, "sequence": self.sequence},
            "computed_at": self.computed_at.isoformat(),
            "effects": [
                {
                    "feature": effect.feature,
                    "coefficient": round(effect.coefficient, 4),
                    "low": round(effect.low, 4),
                    "high": round(effect.high, 4),
                    "points_if_twice": round(effect.points, 1),
                    "sentence": effect.sentence,
                }
                for effect in self.effects
            ],
            "standings": [
                {
                    "model": row.model_id,
                    "display_name": row.display_name,
                    "rating": round(row.rating, 1),
                    "low": round(row.low, 1),
                    "high": round(row.high, 1),
                    "plain": round(row.plain, 1),
                    "votes": row.votes,
                }
                for row in self.rows
            ],
        }


class StyleControl:
    """Keeps the style-controlled standings. Safe from any thread."""

    def __init__(self, database: Database, scopes: Sequence[str] = ("battle", "imported")) -> None:
        """Nothing is computed before somebody asks."""
        self._database = database
        self._scopes = scopes
        self._latest: StyleStandings | None = None
        self._looked_at = -REFRESH_S
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._measured_up_to = 0
        self._votes = LookedVotes(database, scopes)
        self._fitted: StyleRatings | None = None

    def standings(self) -> StyleStandings | None:
        """The latest standings, at once; `None` before the first are ready. Old ones start a refresh beside."""
        if time.monotonic() - self._looked_at >= REFRESH_S:
            self.refresh_soon()
        return self._latest

    def refresh_soon(self) -> None:
        """Refresh in a thread, unless one is at it."""
        with self._starting:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._looked_at = time.monotonic()
            self._thread = threading.Thread(target=self._refresh_quietly, name="style", daemon=True)
            self._thread.start()

    def refresh(self) -> StyleStandings | None:
        """Measure new answers, read new votes, and fit if anything changed; blocking. `None` if stopped before."""
        with self._working:
            sequence = latest_sequence(self._database)
            if not self._measure(sequence):
                return self._latest
            if self._latest is None or self._latest.sequence != sequence:
                self._votes.read(sequence)
                self._latest = self._compute(sequence)
            self._looked_at = time.monotonic()
            return self._latest

    def close(self) -> None:
        """Stop what runs, within a portion, and start nothing more."""
        with self._starting:
            self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except SQLAlchemyError:
            log.exception("Style control could not be refreshed; it is tried again when somebody looks at it")

    def _measure(self, sequence: int) -> bool:
        """Measure the answers of votes up to `sequence` that nobody has measured; whether it came to the end."""
        while not self._stop.is_set():
            missing, reached = self._unmeasured(sequence)
            if not missing:
                self._measured_up_to = sequence
                return True
            self._store(missing)
            self._measured_up_to = reached - 1  # its vote may have more answers than the portion held
            self._stop.wait(_PAUSE_S)
        return False

    def _unmeasured(self, sequence: int) -> tuple[dict[str, str], int]:
        """Texts of the next answers without a style, by id, and the number of the vote they reach to."""
        statement = (
            select(Vote.sequence, Answer.id, Answer.text)
            .join(Seat, Seat.battle_id == Vote.battle_id)
            .join(Answer, Answer.id == Seat.answer_id)
            .outerjoin(AnswerStyle, AnswerStyle.answer_id == Answer.id)
            .where(Vote.sequence > self._measured_up_to, Vote.sequence <= sequence, AnswerStyle.answer_id.is_(None))
            .order_by(Vote.sequence)
            .limit(PORTION)
        )
        with self._database.read() as session:
            rows = session.execute(statement).all()
        return {answer_id: text for _, answer_id, text in rows}, rows[-1][0] if rows else sequence

    def _store(self, texts: dict[str, str]) -> None:
        rows = []
        for answer_id, text in texts.items():
            look = measure(text)
            rows.append({"answer_id": answer_id, **{name: getattr(look, name) for name in FEATURES}})
        with self._database.write() as session:
            on_postgresql = session.get_bind().dialect.name == "postgresql"
            insert = postgresql.insert(AnswerStyle) if on_postgresql else sqlite.insert(AnswerStyle)
            session.execute(insert.on_conflict_do_nothing(), rows)  # another process may have been first

    def _compute(self, sequence: int) -> StyleStandings:
        revisions, votes = self._votes.revisions, self._votes.votes
        self._fitted = fitted = rate_by_style(votes, self._fitted)
        plain, played = _plain(votes)
        with self._database.read() as session:
            names = {r.id: r for r in session.scalars(select(ModelRevision))}
        chosen = [names[revision] for revision in revisions]
        return StyleStandings(
            rows=_rows(chosen, fitted, plain, played),
            effects=fitted.effects,
            votes=votes.votes,
            left_out=max(read_counts(self._database, self._scopes).votes - votes.votes, 0),
            sequence=sequence,
            computed_at=now(),
        )


def _plain(votes: StyleVotes) -> tuple[Ratings, NDArray[np.int64]]:
    """Ratings of the same votes with style left in, and the votes of each model."""
    wins, ties = np.zeros((2, votes.models, votes.models), np.int64)
    wins[votes.low, votes.high], wins[votes.high, votes.low], neither = votes.tallies()
    ties[votes.low, votes.high] = ties[votes.high, votes.low] = neither
    return rate(wins, ties, np.zeros_like(ties)), (wins + wins.T + ties).sum(axis=1)


def _rows(
    revisions: Sequence[ModelRevision], fitted: StyleRatings, plain: Ratings, played: NDArray[np.int64]
) -> Sequence[StyleRow]:
    ids = [revision.model_id for revision in revisions]
    rows = [
        StyleRow(
            revision_id=revision.id,
            model_id=revision.model_id,
            display_name=revision.display_name
            + (f" (revision {revision.number})" if ids.count(revision.model_id) > 1 else ""),
            rating=float(fitted.rating[place]),
            low=float(fitted.low[place]),
            high=float(fitted.high[place]),
            rank_low=int(fitted.rank_low[place]),
            rank_high=int(fitted.rank_high[place]),
            plain=float(plain.rating[place]),
            votes=int(played[place]),
        )
        for place, revision in enumerate(revisions)
    ]
    return sorted(rows, key=lambda row: (-row.rating, row.model_id, row.revision_id))
