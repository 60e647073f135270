"""Each vote as one closed file: what restores the votes given since the last backup.

A disk that a restart empties (a Hugging Face Space) and a bucket beside it that cannot append: so every vote, with its
battle and answers, becomes an object of its own, written once and never changed. A vote that changes writes another
object. Reading them back is idempotent: the same objects twice give the same votes and counts. A voter who was
forgotten leaves an object too, so that nothing of theirs comes back with an older backup or object.
"""

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Enum, select
from sqlalchemy.orm import Session

from arena.counts import add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.errors import BackupError
from arena.forgetting import Policy, forget
from arena.tables import (
    Answer,
    Base,
    Battle,
    Conversation,
    ModelRevision,
    Prompt,
    Seat,
    UtcDateTime,
    Vote,
    Voter,
    now,
)

log = logging.getLogger(__name__)
FORMAT = 1
_STAMP = "%Y%m%dT%H%M%S%fZ"
_FORGOTTEN = "-forgotten-"
_FORGOTTEN_NAME = re.compile(rf"{_FORGOTTEN}([0-9a-f]{{64}})\.json")
_DOUBT = timedelta(hours=1)
"""So much earlier than a backup's name an object may say that it was written, and still not be in the backup."""
_PARTS: Sequence[type[Base]] = (Voter, Conversation, Prompt, Answer, Battle, Seat)
"""What a vote stands on, in the order in which rows may be inserted."""
Row = Mapping[str, Any]


@dataclass(slots=True)
class Replayed:
    """What reading a log back did."""

    added: int = 0
    changed: int = 0
    """Votes that were there in an older form."""
    known: int = 0
    forgotten: int = 0
    """Votes that stayed out because their voter was forgotten."""
    unreadable: list[str] = field(default_factory=list)
    """Names of objects that are cut off or damaged."""


class VoteLog:
    """Writes votes into a folder and reads them back."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made with the first vote."""
        self.folder = folder

    def write(self, database: Database, battle_id: str) -> Path:
        """Write the vote of a battle as it is now; the file is on the disk when this returns.

        Raises:
            BackupError: it could not be written.

        """
        with database.read() as session:
            vote = session.get_one(Vote, battle_id)
            content = _sealed(_rows_of(session, vote))
            name = f"{vote.changed_at:{_STAMP}}-{battle_id}.json"
        return self._keep(name, content)

    def forget(self, voter_id: str, policy: Policy) -> Path:
        """Write that a voter was forgotten, in a form that does not name them; on the disk when this returns.

        Raises:
            BackupError: it could not be written.

        """
        mark = _mark(voter_id)
        return self._keep(f"{now():{_STAMP}}{_FORGOTTEN}{mark}.json", _sealed({"forgotten": [{"votes": policy}]}))

    def _keep(self, name: str, content: bytes) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return _write_once(self.folder / name, content)
        except OSError as error:
            raise BackupError(f"A vote could not be written to {self.folder} ({error.strerror}).") from error

    def objects(self) -> Sequence[Path]:
        """Every object, the oldest first."""
        with suppress(FileNotFoundError):
            return sorted(self.folder.glob("*.json"))
        return []

    def replay(self, database: Database, since: datetime | None = None) -> Replayed:
        """Bring every vote of the log into the database that is not there, or there in an older form.

        `since` is when the database was backed up: voters forgotten after that are forgotten here, too.
        """
        replayed, objects = Replayed(), self.objects()
        first = "" if since is None else _before(since)
        marks = {file.name: match[1] for file in objects if (match := _FORGOTTEN_NAME.search(file.name))}
        gone = {mark: name for name, mark in marks.items() if name < first}
        for file in objects:
            rows = _opened(file)
            if rows is None:
                replayed.unreadable.append(file.name)
                log.warning("The vote object %s is cut off or damaged; it is skipped", file.name)
            elif file.name in marks:
                if file.name >= first:
                    _forget_again(database, marks[file.name], rows["forgotten"][0]["votes"])
            elif file.name < gone.get(_mark(rows["votes"][0]["voter_id"]), ""):
                replayed.forgotten += 1
            else:
                _bring_back(database, rows, replayed)
        return replayed

    def forget_before(self, moment: datetime) -> int:
        """Delete the objects of votes that were written before `moment`, which a checked backup holds by now."""
        old = [file for file in self.objects() if not is_wanted(file.name, moment)]
        for file in old:
            file.unlink(missing_ok=True)
        return len(old)


def is_wanted(name: str, since: datetime | None) -> bool:
    """Whether an object of that name matters for a database that was backed up then; who was forgotten always does."""
    return since is None or name >= _before(since) or _FORGOTTEN in name


def _before(moment: datetime) -> str:
    """How names of objects begin that are surely not older than `moment`, whatever clocks say."""
    return f"{moment - _DOUBT:{_STAMP}}"


def _mark(voter_id: str) -> str:
    """Tells a voter again and names none: ids are long and random."""
    return hashlib.sha256(voter_id.encode()).hexdigest()


def _forget_again(database: Database, mark: str, policy: Policy) -> None:
    with database.read() as session:
        named = [voter for voter in session.scalars(select(Voter.id)) if _mark(voter) == mark]
    for voter in named:
        forget(database, voter, policy)


def _rows_of(session: Session, vote: Vote) -> Mapping[str, Sequence[Row]]:
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


def _typed(table: type[Base], row: Row) -> dict[str, Any]:
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


def _sealed(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """The object's bytes: a first line with the hash of the second."""
    body = orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)
    return orjson.dumps({"format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n" + body + b"\n"


def _opened(file: Path) -> Mapping[str, Sequence[Row]] | None:
    """What an object holds; `None` if it is cut off, damaged or of a format to come."""
    try:
        head, body = file.read_bytes().split(b"\n", 1)
        said = orjson.loads(head)
        whole = said["format"] == FORMAT and said["sha256"] == hashlib.sha256(body.removesuffix(b"\n")).hexdigest()
        rows: Mapping[str, Sequence[Row]] | None = orjson.loads(body) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rows


def _write_once(file: Path, content: bytes) -> Path:
    """Write a file that nobody else has; one with the same name is the same vote and stays."""
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return file
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return file


def _bring_back(database: Database, rows: Mapping[str, Sequence[Row]], replayed: Replayed) -> None:
    """Insert or renew one vote in a transaction of its own, the pair counts with it."""
    newer = _typed(Vote, rows["votes"][0])
    with database.write() as session:
        sequence = next_sequence(session)
        present = session.get(Vote, newer["battle_id"])
        if present is not None and present.changed_at >= newer["changed_at"]:
            replayed.known += 1
            return
        change = Counter({verdict: -1 for verdict in _counted(session, present)})
        revisions = _revisions(session, rows["model_revisions"])
        battle = rows["battles"][0]
        earlier = battle["continues_battle_id"]
        if earlier is not None and session.get(Battle, earlier) is None:
            battle = {**battle, "continues_battle_id": None}  # its own object was lost
        rows = {**rows, "battles": [battle]}
        for table in _PARTS:
            for row in rows[table.__tablename__]:
                session.merge(table(**_with_revisions(_typed(table, row), revisions)))
            session.flush()
        vote = session.merge(Vote(**{**newer, "sequence": sequence}))
        session.flush()
        change.update(_counted(session, vote))
        add_verdicts(session, {verdict: amount for verdict, amount in change.items() if amount}, sequence)
        if present is None:
            replayed.added += 1
        else:
            replayed.changed += 1


def _counted(session: Session, vote: Vote | None) -> Counter[Any]:
    """What a vote counts for as it stands."""
    if vote is None or not vote.rated:
        return Counter()
    battle = session.get_one(Battle, vote.battle_id)
    return Counter(
        verdicts_of(
            battle.scope or battle.mode,
            battle.revision_a,
            battle.revision_b,
            vote.winner,
            vote.criteria,
            vote.rubric_version,
        )
    )


def _revisions(session: Session, rows: Sequence[Row]) -> Mapping[int, int]:
    """What each revision of the log is called in this database; one that is not there is made."""
    names: dict[int, int] = {}
    for row in rows:
        values = _typed(ModelRevision, row)
        logged = values.pop("id")
        known = session.scalar(select(ModelRevision.id).where(ModelRevision.fingerprint == values["fingerprint"]))
        if known is None:
            made = ModelRevision(**values)
            session.add(made)
            session.flush()
            known = made.id
        names[logged] = known
    return names


def _with_revisions(values: dict[str, Any], revisions: Mapping[int, int]) -> dict[str, Any]:
    """The row with this database's ids of its model revisions."""
    columns = ("revision_id", "revision_a", "revision_b")
    return {name: revisions[value] if name in columns else value for name, value in values.items()}
