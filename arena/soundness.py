"""Whether SQLite's file is sound also where nobody reads: looked through soon after the start, and once a day."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from arena.database import Database

EVERY_S = 24 * 3600.0
FIRST_AFTER_S = 5.0
"""The first visitors after a start come first."""


async def keep_looking(database: Database, first_after_s: float = FIRST_AFTER_S) -> None:
    """Look the file through now and then until cancelled, and tell `database.outages` what came of it."""
    if database.file is None:  # PostgreSQL looks after its own
        return
    await asyncio.sleep(first_after_s)
    while True:
        damage = await asyncio.to_thread(damage_in, database.file)
        if damage is not None:
            database.outages.looked_through(damage)
        await asyncio.sleep(EVERY_S)


def damage_in(file: Path) -> str | None:
    """What is wrong with a database's file, in SQLite's words; empty if nothing is, `None` if that cannot be told now.

    Reads all of it, about a second for each gigabyte on a quick disk; others read and write meanwhile.
    """
    try:
        place = f"file:{quote(str(file.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=1)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:  # locked, moved, without rights: whoever writes next is told
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if verdict == "ok" else " ".join(str(verdict).split())
