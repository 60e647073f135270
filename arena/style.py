"""Standings with style held equal, computed in the background and cached: no vote and no page waits for them."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, case, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from arena.answer_style import measure
from arena.counts import latest_sequence, read_counts
from arena.database import Database
from arena.ratings import Ratings, rate
from arena.style_control import StyleEffect, StyleRatings, rate_by_style
from arena.style_votes import FEATURES, prepare_votes
from arena.tables import (
    Answer,
    AnswerStyle,
    Battle,
    ImportedVote,
    ModelRevision,
    Seat,
    Side,
    Vote,
    VoteState,
    Winner,
    counted_in,
    now,
)

log = logging.getLogger(__name__)
Singles = NDArray[np.float32]

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
        self._votes = _no_votes()
        self._read_up_to = 0
        self._voters: dict[str, int] = {}

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
                self._read(sequence)
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

    def _read(self, sequence: int) -> None:
        """Have every vote up to `sequence`: only the new ones, unless an older one changed since."""
        with self._database.read() as session:
            numbered = select(func.count()).where(Vote.sequence > self._read_up_to, Vote.sequence <= sequence)
            if session.scalar(numbered) != sequence - self._read_up_to:
                # Numbers are also given to changes of older votes (withdrawn, held, counted again): read all again.
                self._votes, self._read_up_to = _no_votes(), 0
            statement = _style_votes(self._scopes, self._read_up_to, sequence)
            nobody = {f"imported:{source}" for source in session.scalars(select(ImportedVote.source).distinct())}
            portions = [self._votes]
            for part in session.execute(statement, execution_options={"yield_per": 20_000}).partitions():
                rows = [(self._number(voter, nobody), *figures) for voter, *figures in part]
                portions.append(np.array(rows, np.float32).T)
        self._votes, self._read_up_to = np.concatenate(portions, axis=1), sequence

    def _number(self, voter: str, nobody: Collection[str]) -> int:
        """The voter's number, -1 for an id that stands for nobody in particular."""
        return -1 if voter in nobody else self._voters.setdefault(voter, len(self._voters))

    def _compute(self, sequence: int) -> StyleStandings:
        revisions, places = np.unique(self._votes[1:3].astype(np.int64), return_inverse=True)
        a, b = places.reshape(2, -1)
        score = self._votes[3]
        style_a, style_b = self._votes[4:].reshape(2, len(FEATURES), -1)
        voter = self._votes[0].astype(np.intp)
        fitted = rate_by_style(prepare_votes(len(revisions), a, b, score, style_a, style_b, voter))
        plain, played = _plain(len(revisions), a, b, score)
        with self._database.read() as session:
            names = {r.id: r for r in session.scalars(select(ModelRevision))}
        chosen = [names[revision] for revision in revisions.tolist()]
        votes = len(score)
        return StyleStandings(
            rows=_rows(chosen, fitted, plain, played),
            effects=fitted.effects,
            votes=votes,
            left_out=max(read_counts(self._database, self._scopes).votes - votes, 0),
            sequence=sequence,
            computed_at=now(),
        )


def _no_votes() -> Singles:
    return np.zeros((4 + 2 * len(FEATURES), 0), np.float32)


def _style_votes(scopes: Sequence[str], after: int, up_to: int) -> Select[Any]:
    """Rated votes: voter, revision A, revision B, A's score, A's features, B's features, summed over the turns."""
    score = case((Vote.winner == Winner.MODEL_A, 1.0), (Vote.winner == Winner.MODEL_B, 0.0), else_=0.5)
    sums = [
        func.sum(case((Seat.side == side, getattr(AnswerStyle, name)), else_=0)) for side in Side for name in FEATURES
    ]
    return (
        select(Vote.voter_id, Battle.revision_a, Battle.revision_b, score, *sums)
        .select_from(Vote)
        .join(Battle, Battle.id == Vote.battle_id)
        .join(Seat, Seat.battle_id == Vote.battle_id)
        .join(AnswerStyle, AnswerStyle.answer_id == Seat.answer_id)
        .where(
            Vote.rated,
            Vote.state == VoteState.COUNTED,
            Vote.sequence > after,
            Vote.sequence <= up_to,
            counted_in().in_(scopes),
            Battle.revision_a != Battle.revision_b,
        )
        .group_by(Vote.battle_id, Vote.voter_id, Battle.revision_a, Battle.revision_b, Vote.winner)
    )


def _plain(n: int, a: NDArray[np.int64], b: NDArray[np.int64], score: Singles) -> tuple[Ratings, NDArray[np.int64]]:
    """Ratings of the same votes with style left in, and the votes of each model."""
    wins, ties = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    decided = score != 0.5
    won = score == 1
    np.add.at(wins, (np.where(won, a, b)[decided], np.where(won, b, a)[decided]), 1)
    np.add.at(ties, (a[~decided], b[~decided]), 1)
    ties += ties.T
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
            plain=float(plain.rating[place]),
            votes=int(played[place]),
        )
        for place, revision in enumerate(revisions)
    ]
    return sorted(rows, key=lambda row: (-row.rating, row.model_id, row.revision_id))
