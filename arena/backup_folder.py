"""The folder of backups: what they are called, which are whole, and when each was made."""

import contextlib
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from arena.config import Settings

_STAMP = "%Y%m%dT%H%M%SZ"
_MADE = re.compile(r"(?:arena|demo)-(\d{8}T\d{6}Z)")


def new_stamp() -> str:
    """The present second, as names of backups tell it."""
    return datetime.now(UTC).strftime(_STAMP)


def new_name(settings: Settings) -> str:
    """What a backup that is made now is called."""
    return f"{_prefix(settings)}-{new_stamp()}.db"


def newest_backup(settings: Settings) -> Path | None:
    """The newest backup in the folder of backups, by its name."""
    return next(reversed(stored_backups(settings)), None)


def stored_backups(settings: Settings) -> Sequence[Path]:
    """The backups in the folder of backups by their names, the oldest first."""
    name = re.compile(rf"{_prefix(settings)}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?\.db")
    try:
        found = [(match[1], int(match[2] or 0), match[0]) for match in map(name.fullmatch, _names(settings)) if match]
    except OSError:
        return []
    backups = [settings.resolved_backup_dir / name for *_, name in sorted(found)]
    return [backup for backup in backups if _is_finished(backup)]


def why_unreadable(settings: Settings) -> str | None:
    """Why nobody can tell what is kept in the folder of backups; `None` where one can, or it is yet to be made."""
    try:
        _names(settings)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{settings.resolved_backup_dir} cannot be read ({error.strerror})."
    return None


def _is_finished(backup: Path) -> bool:
    """A process that was killed just before its last step leaves the name it had reserved, and nothing in it."""
    with contextlib.suppress(OSError):
        return backup.stat().st_size > 0
    return False


def made_at(backup: Path) -> datetime:
    """When a backup was made, by its name."""
    match = _MADE.match(backup.name)
    if match is None:
        raise ValueError(f"{backup} is no backup's name")
    return datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)


def describe_backups(settings: Settings) -> str:
    """The newest backup in words."""
    if make_url(settings.resolved_database_url).get_backend_name() != "sqlite":
        return "PostgreSQL is backed up with pg_dump"
    newest = newest_backup(settings)
    if newest is None:
        return f"none yet in {settings.resolved_backup_dir}; make one with: python -m arena backup"
    return f"{newest}, made on {made_at(newest):%-d %B %Y at %H:%M} UTC"


def _names(settings: Settings) -> list[str]:
    return os.listdir(settings.resolved_backup_dir)  # a name is all that is asked for


def _prefix(settings: Settings) -> str:
    """Votes of the demonstration are told apart from real ones by their backups' names too."""
    return "demo" if settings.demo else "arena"
