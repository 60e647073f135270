"""How many people stand behind the ratings: who voted on which pair, read vote by vote as votes arrive."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import select

from arena.database import Battle, Database, Vote, VoteState

Pair = tuple[int, int]


class Electorate:
    """The voters of some scopes. It remembers what it has read, so that one vote more costs one row more.

    For one thread at a time.
    """

    def __init__(self, database: Database, scopes: Sequence[str], criterion: str) -> None:
        self._database = database
        self._scopes = scopes
        self._criterion = criterion
        self._forget()

    def voters(self, sequence: int, votes: int) -> Mapping[Pair, AbstractSet[str]]:
        """Who voted on each pair of revisions (a, b), seats as they were, up to the vote with number `sequence`.

        `votes` is how many there are by the counts: where that is not what adding the new ones comes to, a vote was
        withdrawn or excluded, and all are read afresh.
        """
        self._read(sequence)
        if self._votes != votes:
            self._forget()
            self._read(sequence)
        return self._by_pair

    def _forget(self) -> None:
        self._by_pair: dict[Pair, set[str]] = {}
        self._names: dict[str, str] = {}
        self._votes = 0
        self._read_up_to = 0

    def _read(self, sequence: int) -> None:
        """Add the votes that are newer than what has been read."""
        if sequence <= self._read_up_to:
            return
        for pair, voter in self._newer(sequence):
            self._votes += 1
            # One string for each voter, however many votes: the database driver makes a new one for each row.
            self._by_pair.setdefault(pair, set()).add(self._names.setdefault(voter, voter))
        self._read_up_to = sequence

    def _newer(self, sequence: int) -> Iterable[tuple[Pair, str]]:
        statement = (
            select(Battle.revision_a, Battle.revision_b, Vote.voter_id)
            .join(Battle, Battle.id == Vote.battle_id)
            .where(Vote.sequence > self._read_up_to, Vote.sequence <= sequence)
            .where(Vote.rated, Vote.state == VoteState.COUNTED, Battle.mode.in_(self._scopes))
        )
        with self._database.read() as session:
            if not self._criterion:
                for a, b, voter in session.execute(statement, execution_options={"yield_per": 5000}):
                    yield (a, b), voter
                return
            for a, b, voter, criteria in session.execute(statement.add_columns(Vote.criteria)):
                if self._criterion in criteria:
                    yield (a, b), voter
