"""The votes that make lessons, and why the others do not: read once, judged by the gates, held against each other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from arena.challenges import Challenge
from arena.database import Database
from arena.preferences.candidates import PORTION, Candidate, read_candidates
from arena.preferences.filters import Filters
from arena.preferences.gates import HELD_BACK, NO_PAIR, Grounds, reason_of
from arena.preferences.held_out import HeldOut
from arena.preferences.lengths import LengthLean, length_lean
from arena.preferences.lessons import answers_key, lesson_of, meeting_key, packed, said_in, unpacked
from arena.preferences.pairs import Lesson, Pair
from arena.preferences.scratch import Scratch
from arena.preferences.split import POSITIONS, position_of

PAGE = 50


@dataclass(frozen=True, slots=True)
class NotKept:
    """A battle whose vote makes no lesson."""

    battle: str
    sequence: int
    """The vote's number."""
    reason: str


class Selection:
    """What a reading of all votes found; close it, for it keeps a file on disk. Safe to ask from several threads."""

    def __init__(self, filters: Filters, scratch: Scratch, votes_through: int) -> None:
        """See `select_votes`."""
        self.filters = filters
        self.votes_through = votes_through
        """The number of the latest vote that was read."""
        self._scratch = scratch
        counts = scratch.reasons()
        self.votes = sum(counts.values())
        self.kept = counts.get(None, 0)
        """Votes kept; several of them may have judged the same two answers alike."""
        self.no_pair: Mapping[str, int] = {name: counts[name] for name in NO_PAIR if name in counts}
        self.held_back_counts: Mapping[str, int] = {name: counts[name] for name in HELD_BACK if name in counts}
        self.lessons_kept = scratch.lines()
        """Lessons kept, each pair of answers once."""
        self.lengths: LengthLean = length_lean(*scratch.lengths())

    def held_back(self, reason: str, page: int = 1) -> Sequence[NotKept]:
        """The battles behind a reason's count, newest first, `PAGE` to a page; pages are numbered from 1."""
        rows = self._scratch.battles(reason, (page - 1) * PAGE, PAGE)
        return [NotKept(battle, sequence, reason) for battle, sequence in rows]

    def battle_ids(self, reason: str | None, offset: int, limit: int) -> Sequence[str]:
        """The battles behind a reason's count, newest first; `None` are those whose votes are kept."""
        return [battle for battle, _ in self._scratch.battles(reason, offset, limit)]

    def battles(self, reason: str) -> Iterator[NotKept]:
        """All battles behind a reason's count, newest first."""
        page = 1
        while found := self.held_back(reason, page):
            yield from found
            page += 1

    def lessons(self, low: int = 0, high: int = POSITIONS) -> Iterator[Lesson]:
        """Every lesson whose prompt stands from `low` to below `high` (see `arena.preferences.split`), oldest first."""
        return (unpacked(kept, agreed) for kept, agreed in self._scratch.lessons(low, high))

    def pairs(self) -> Iterator[Pair]:
        """Every pair, oldest first."""
        return (lesson for lesson in self.lessons() if isinstance(lesson, Pair))

    def position_at(self, rank: int) -> int | None:
        """The position of the lesson that so many others stand before or beside; `None` if there are not so many."""
        return self._scratch.position_at(rank)

    def first_time(self, line: bytes) -> bool:
        """Whether this digest of a line is new since `forget_lines`."""
        return self._scratch.first_time(line)

    def forget_lines(self) -> None:
        """Begin a new file: every line is new again."""
        self._scratch.forget_lines()

    def as_json(self) -> dict[str, Any]:
        """Counts for programs."""
        return {
            "votes": self.votes,
            "kept": self.kept,
            "pairs": self.lessons_kept,
            "no_pair": dict(self.no_pair),
            "held_back": dict(self.held_back_counts),
            "lengths": self.lengths.as_json(),
            "filters": self.filters.as_json(),
        }

    def close(self) -> None:
        """Give back what it keeps on disk."""
        self._scratch.close()

    def __enter__(self) -> "Selection":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def select_votes(
    database: Database,
    filters: Filters,
    challenges: Iterable[Challenge],
    folder: Path,
    progress: Callable[[float], None] = lambda share: None,
) -> Selection:
    """Read every vote once and judge it. What is found is kept in a private file in `folder`, not in memory.

    `progress` is called now and then with the share that is read, 0 to 1. Blocking: call it in a thread.

    Raises:
        ConfigError: nothing can be written in `folder`.

    """
    grounds = Grounds(filters, HeldOut(challenges))
    scratch = Scratch(folder)
    last = 0
    try:
        rows: list[Mapping[str, Any]] = []
        for vote in read_candidates(database, filters.criterion, progress):
            rows.append(_row(vote, grounds))
            last = vote.sequence
            if len(rows) == PORTION:
                scratch.add(rows)
                rows.clear()
        scratch.add(rows)
        scratch.settle()
        return Selection(filters, scratch, last)
    except BaseException:
        scratch.close()
        raise


_NOTHING = dict.fromkeys(
    ("answers", "answers_way", "meeting", "meeting_way", "chosen", "rejected", "position", "lesson")
)


def _row(vote: Candidate, grounds: Grounds) -> Mapping[str, Any]:
    reason = reason_of(vote, grounds)
    facts = {**_NOTHING, "sequence": vote.sequence, "battle": vote.battle, "voter": vote.voter, "reason": reason}
    if reason is not None:
        return facts
    lesson = lesson_of(vote, grounds.filters.criterion)
    answers, answers_way = answers_key(lesson)
    meeting, meeting_way = meeting_key(lesson, None if grounds.filters.strict else vote.voter)
    facts |= {
        "answers": answers,
        "answers_way": answers_way,
        "meeting": meeting,
        "meeting_way": meeting_way,
        "position": position_of(lesson.prompt),
        "lesson": packed(lesson),
    }
    if isinstance(lesson, Pair):
        facts["chosen"], facts["rejected"] = (len(said.text) for said in said_in(lesson))
    return facts
