"""A file system in memory for what tests write: nothing there waits for a disk."""

import os
import shutil
from pathlib import Path

_ROOM_BYTES = 3 << 30
"""PostgreSQL's servers, one for each process of tests, take most."""


def memory_with_room() -> Path | None:
    """The folder, where there is one with room."""
    folder = Path("/dev/shm")
    usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    return folder if usable and shutil.disk_usage(folder).free > _ROOM_BYTES else None
