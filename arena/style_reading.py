"""Votes with the looks of their answers, read from the database and kept arranged: only what is new is read again."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, case, func, select

from arena.database import Database
from arena.style_votes import FEATURES, StyleVotes, arrange, no_votes, together
from arena.tables import AnswerStyle, Battle, ImportedVote, Seat, Side, Vote, VoteState, Winner, counted_in


class LookedVotes:
    """The rated votes of some scopes whose answers have been measured. For one thread at a time."""

    def __init__(self, database: Database, scopes: Sequence[str]) -> None:
        self._database = database
        self._scopes = scopes
        self._voters: dict[str, int] = {}
        self._forget()

    def _forget(self) -> None:
        self._models: dict[int, int] = {}
        self._read_up_to = 0
        self.votes: StyleVotes = no_votes()

    @property
    def revisions(self) -> Sequence[int]:
        """The revision that each model of the votes is, by its number."""
        return list(self._models)

    def read(self, sequence: int) -> None:
        """Have every vote up to `sequence`: only the new ones, unless an older one changed since."""
        with self._database.read() as session:
            numbered = select(func.count()).where(Vote.sequence > self._read_up_to, Vote.sequence <= sequence)
            if session.scalar(numbered) != sequence - self._read_up_to:
                # Numbers are also given to changes of older votes (withdrawn, held, counted again): read all again.
                self._forget()
            statement = _statement(self._scopes, self._read_up_to, sequence)
            nobody = {f"imported:{source}" for source in session.scalars(select(ImportedVote.source).distinct())}
            portions = [np.zeros((4 + 2 * len(FEATURES), 0), np.float32)]
            for part in session.execute(statement, execution_options={"yield_per": 20_000}).partitions():
                rows = [
                    (self._voter(voter, nobody), self._model(a), self._model(b), *figures)
                    for voter, a, b, *figures in part
                ]
                portions.append(np.array(rows, np.float32).T)
        voter, a, b, score, *features = np.concatenate(portions, axis=1)
        style_a, style_b = np.array(features).reshape(2, len(FEATURES), -1)
        first, second, voters = (values.astype(np.intp) for values in (a, b, voter))
        new = arrange(len(self._models), first, second, score, style_a, style_b, voters)
        self.votes, self._read_up_to = together(self.votes, new) if self.votes.votes else new, sequence

    def _voter(self, voter: str, nobody: Collection[str]) -> int:
        """The voter's number, -1 for an id that stands for nobody in particular."""
        return -1 if voter in nobody else self._voters.setdefault(voter, len(self._voters))

    def _model(self, revision: int) -> int:
        return self._models.setdefault(revision, len(self._models))


def _statement(scopes: Sequence[str], after: int, up_to: int) -> Select[Any]:
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
