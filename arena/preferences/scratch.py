"""Where a selection's votes are kept while it is open: a private SQLite file, so that memory does not grow with them.

What one vote cannot tell alone is told here: votes that contradict or repeat each other, and medians.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from arena.errors import ConfigError

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16000;
PRAGMA temp_store = FILE;
CREATE TABLE votes (
    sequence INTEGER PRIMARY KEY, battle TEXT NOT NULL, voter TEXT NOT NULL, reason TEXT,
    answers BLOB, answers_way INTEGER, meeting BLOB, meeting_way INTEGER,
    chosen INTEGER, rejected INTEGER, position INTEGER, repeats INTEGER, lesson BLOB
);
CREATE VIEW lines AS SELECT * FROM votes WHERE reason IS NULL AND repeats IS NULL;
CREATE TABLE margins (first INTEGER PRIMARY KEY, agreed INTEGER NOT NULL);
CREATE TABLE seen (line BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_ROW = (
    "INSERT INTO votes VALUES (:sequence, :battle, :voter, :reason, :answers, :answers_way, :meeting, :meeting_way, "
    ":chosen, :rejected, :position, NULL, :lesson)"
)
_CONFLICTS = """
CREATE INDEX by_answers ON votes (answers) WHERE answers IS NOT NULL;
CREATE INDEX by_meeting ON votes (meeting) WHERE meeting IS NOT NULL;
CREATE TEMP TABLE torn AS
    SELECT answers AS key FROM votes WHERE answers IS NOT NULL
    GROUP BY answers HAVING min(answers_way) <> max(answers_way);
CREATE TEMP TABLE torn_meetings AS
    SELECT meeting AS key FROM votes WHERE meeting IS NOT NULL
    GROUP BY meeting HAVING min(meeting_way) <> max(meeting_way);
UPDATE votes SET reason = 'conflict' WHERE answers IN (SELECT key FROM torn);
UPDATE votes SET reason = 'conflict' WHERE meeting IN (SELECT key FROM torn_meetings);
"""
_REPEATS = """
CREATE TEMP TABLE several AS
    SELECT answers AS key, min(sequence) AS first, count(DISTINCT voter) AS agreed
    FROM votes WHERE answers IS NOT NULL AND reason IS NULL GROUP BY answers HAVING count(*) > 1;
CREATE INDEX temp.by_key ON several (key);
INSERT INTO margins SELECT first, agreed FROM several;
UPDATE votes SET repeats = (SELECT first FROM several WHERE key = answers)
    WHERE reason IS NULL AND answers IN (SELECT key FROM several)
    AND sequence NOT IN (SELECT first FROM margins);
CREATE INDEX by_reason ON votes (reason, sequence);
"""
_MANY = 500


class Scratch:
    """The votes of one selection, each with its reason or its lesson."""

    def __init__(self, folder: Path) -> None:
        """A private file in `folder`, gone when it is closed.

        Raises:
            ConfigError: nothing can be written there.

        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(prefix=".selection-", dir=folder)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written ({error.strerror}).") from error
        self._lock = threading.Lock()
        file = Path(self._folder.name) / "votes.db"
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._connection.executescript(_SCHEMA)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep some votes."""
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(_ROW, rows)
            self._connection.execute("COMMIT")

    def settle(self) -> None:
        """Once all votes are there: hold back those that contradict each other, and count those that agree."""
        with self._lock:
            self._connection.executescript(_CONFLICTS)
            self._connection.executescript(_REPEATS)

    def reasons(self) -> Mapping[str | None, int]:
        """How many votes there are for each reason; `None` are those that are kept."""
        return dict(self._rows("SELECT reason, count(*) FROM votes GROUP BY reason"))

    def battles(self, reason: str | None, offset: int, limit: int) -> Sequence[tuple[str, int]]:
        """Battles with that reason and their votes' numbers, newest first."""
        statement = "SELECT battle, sequence FROM votes WHERE reason IS ? ORDER BY sequence DESC LIMIT ? OFFSET ?"
        return self._rows(statement, reason, limit, offset)

    def lessons(self, low: int, high: int) -> Iterator[tuple[bytes, int]]:
        """Each kept lesson with how many people agreed, in the order of votes; positions from low to below high."""
        after = 0
        statement = """
            SELECT sequence, lesson, coalesce(agreed, 1) FROM lines LEFT JOIN margins ON first = sequence
            WHERE sequence > ? AND position >= ? AND position < ? ORDER BY sequence LIMIT ?
        """
        while rows := self._rows(statement, after, low, high, _MANY):
            yield from ((lesson, agreed) for _, lesson, agreed in rows)
            after = rows[-1][0]

    def lines(self) -> int:
        """How many lessons are kept, each of them once."""
        return int(self._rows("SELECT count(*) FROM lines")[0][0])

    def lengths(self) -> tuple[int, tuple[int, int], int, int]:
        """Pairs, the median lengths of chosen and rejected answers, and how many chose the longer and the shorter."""
        ((number, longer, shorter),) = self._rows(
            "SELECT count(*), coalesce(sum(chosen > rejected), 0), coalesce(sum(chosen < rejected), 0) "
            "FROM lines WHERE chosen IS NOT NULL"
        )
        return number, self._medians(number), longer, shorter

    def _medians(self, number: int) -> tuple[int, int]:
        if not number:
            return 0, 0
        middle = number // 2
        chosen = "SELECT chosen FROM lines WHERE chosen IS NOT NULL ORDER BY chosen LIMIT 1 OFFSET ?"
        rejected = "SELECT rejected FROM lines WHERE chosen IS NOT NULL ORDER BY rejected LIMIT 1 OFFSET ?"
        return int(self._rows(chosen, middle)[0][0]), int(self._rows(rejected, middle)[0][0])

    def position_at(self, rank: int) -> int | None:
        """The position that so many lessons are below or at; `None` if there are not that many."""
        rows = self._rows("SELECT position FROM lines ORDER BY position LIMIT 1 OFFSET ?", rank)
        return rows[0][0] if rows else None

    def first_time(self, line: bytes) -> bool:
        """Whether this digest of a line has not been asked about since `forget_lines`."""
        with self._lock:
            return self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (line,)).rowcount == 1

    def forget_lines(self) -> None:
        """Begin a new file."""
        with self._lock:
            self._connection.execute("DELETE FROM seen")

    def close(self) -> None:
        """Remove the file."""
        self._connection.close()
        self._folder.cleanup()

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._lock, closing(self._connection.execute(statement, values)) as cursor:
            return cursor.fetchall()
