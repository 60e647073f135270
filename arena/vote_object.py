"""One vote as one closed file: its rows and all that they stand on, sealed with a hash, written once."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Enum, select
from sqlalchemy.orm import Session

from arena.tables import Answer, Base, Battle, Conversation, ModelRevision, Prompt, Seat, UtcDateTime, Vote, Voter

FORMAT = 1
Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"""A vote's rows, by table."""


def rows_of(session: Session, vote: Vote) -> Rows:
    """The vote and everything it stands on, by table."""
    battle = session.get_one(Battle, vote.battle_id)
    of_conversation = battle.conversation_id
    seats = session.scalars(select(Seat).where(Seat.battle_id == battle.id)).all()
    found: Mapping[str, Iterable[Base]] = {
        "model_revisions": [session.get_one(ModelRevision, id_) for id_ in (battle.revision_a, battle.revision_b)],
        "voters": [session.get_one(Voter, voter) for voter in {vote.voter_id, battle.voter_id}],
        "conversations": [session.get_one(Conversation, of_conversation)],
        "prompts": session.scalars(select(Prompt).where(Prompt.conversation_id == of_conversation)),
        "answers": [session.get_one(Answer, seat.answer_id) for seat in seats],
        "battles": [battle],
        "seats": seats,
        "votes": [vote],
    }
    return {table: [_plain(row) for row in rows] for table, rows in found.items()}


def _plain(row: Base) -> Row:
    """A row's columns; times and words as text."""
    values = {column.name: getattr(row, column.name) for column in row.__table__.columns}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def typed(table: type[Base], row: Row) -> dict[str, Any]:
    """The opposite of `_plain`; a column of an older object that is gone is left out."""
    values: dict[str, Any] = {}
    for column in table.__table__.columns:
        if column.name not in row:
            continue
        value = row[column.name]
        if value is not None and isinstance(column.type, UtcDateTime):
            value = datetime.fromisoformat(value)
        elif value is not None and isinstance(column.type, Enum) and column.type.enum_class is not None:
            value = column.type.enum_class(value)
        values[column.name] = value
    return values


def sealed(rows: Rows) -> bytes:
    """The object's bytes: a first line with the hash of the second."""
    body = orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps({"format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n" + body + b"\n"


def opened(file: Path) -> Rows | None:
    """What an object holds; `None` if it is cut off, damaged or of a format to come."""
    try:
        head, body = file.read_bytes().split(b"\n", 1)
        said = orjson.loads(head)
        whole = said["format"] == FORMAT and said["sha256"] == hashlib.sha256(body.removesuffix(b"\n")).hexdigest()
        rows: Rows | None = orjson.loads(body) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rows


def write_once(file: Path, content: bytes) -> Path:
    """Write a file that nobody else has; one with the same name is the same vote and stays."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return file
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return file
