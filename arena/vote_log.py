"""Each vote as one closed file: what restores the votes given since the last backup.

A disk that a restart empties (a Hugging Face Space) and a bucket beside it that cannot append: so every vote, with its
battle and answers, becomes an object of its own, written once and never changed. A vote that changes writes another
object. Reading them back is idempotent: the same objects twice give the same votes and counts. A voter who was
forgotten leaves an object too, so that nothing of theirs comes back with an older backup or object.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.config import Settings
from arena.counts import add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.errors import BackupError
from arena.forgetting import Policy, forget
from arena.tables import Answer, Base, Battle, Conversation, ModelRevision, Prompt, Seat, Vote, Voter, now
from arena.vote_object import Row, Rows, opened, rows_of, sealed, typed, write_once

log = logging.getLogger(__name__)
_STAMP = "%Y%m%dT%H%M%S%fZ"
_FORGOTTEN = "-forgotten-"
_FORGOTTEN_NAME = re.compile(rf"{_FORGOTTEN}([0-9a-f]{{64}})\.json")
_DOUBT = timedelta(hours=1)
"""So much earlier than a backup's name an object may say that it was written, and still not be in the backup."""
_PARTS: Sequence[type[Base]] = (Voter, Conversation, Prompt, Answer, Battle, Seat)
"""What a vote stands on, in the order in which rows may be inserted."""


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
            content = sealed(rows_of(session, vote))
            name = f"{vote.changed_at:{_STAMP}}-{battle_id}.json"
        return self._keep(name, content)

    def forget(self, voter_id: str, policy: Policy) -> Path:
        """Write that a voter was forgotten, in a form that does not name them; on the disk when this returns.

        Raises:
            BackupError: it could not be written.

        """
        mark = _mark(voter_id)
        return self._keep(f"{now():{_STAMP}}{_FORGOTTEN}{mark}.json", sealed({"forgotten": [{"votes": policy}]}))

    def _keep(self, name: str, content: bytes) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return write_once(self.folder / name, content)
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
            rows = opened(file)
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


def vote_log_of(settings: Settings) -> VoteLog | None:
    """Where each vote is logged; `None` if it is not."""
    wanted = settings.vote_log
    if wanted is None:
        wanted = settings.keeps_backups_elsewhere or settings.backup_repo is not None
    return VoteLog(settings.resolved_backup_dir / "votes") if wanted else None


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


def _bring_back(database: Database, rows: Rows, replayed: Replayed) -> None:
    """Insert or renew one vote in a transaction of its own, the pair counts with it."""
    newer = typed(Vote, rows["votes"][0])
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
                session.merge(table(**_with_revisions(typed(table, row), revisions)))
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
        values = typed(ModelRevision, row)
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
