"""Facts for tests of training data: what makes a vote one that teaches, to be spoiled in one way at a time."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import update

from arena.challenges import Challenge
from arena.database import Database
from arena.preferences.filters import Filters
from arena.preferences.manifest import line_map_path
from arena.preferences.selection import Selection, select_votes
from arena.tables import Answer, Seat, Side

SECRET_GARDEN = Challenge(
    "garden", "Describe the garden behind the wall that nobody has seen.", ("life",), held_out=True
)
ORCHARD = Challenge("orchard", "Describe the orchard you want in ten years.", ("life",), held_out=False)
CHALLENGES = (SECRET_GARDEN, ORCHARD)
PROMPT, GOOD, WORSE = "How do I begin?", "See what you want, then see where you stand.", "Begin by making a long list."
TURNS = ((PROMPT, GOOD, WORSE),)


def select(database: Database, folder: Path | None = None, **filters: Any) -> Selection:
    """A selection from the database, kept in `folder` meanwhile; by default in the database's own."""
    folder = folder or Path(str(database.engine.url.database)).parent
    return select_votes(database, Filters(**filters), CHALLENGES, folder)


def change_answer(database: Database, battle: str, side: Side, **columns: Any) -> None:
    """Change what is stored of one side's answer."""
    with database.write() as session:
        seat = session.get_one(Seat, (battle, side, 1))
        session.execute(update(Answer).where(Answer.id == seat.answer_id).values(**columns))


def lines_of(path: Path) -> Sequence[Mapping[str, Any]]:
    """A file's lines, read as JSON."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def facts_of_lines(file: Path) -> Sequence[Mapping[str, Any]]:
    """What a training file's line map says of each of its lines, in their order."""
    facts = lines_of(line_map_path(file))
    assert [fact["line"] for fact in facts] == list(range(1, len(facts) + 1))
    return facts
