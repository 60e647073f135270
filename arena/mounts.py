"""What is mounted where, as Linux tells."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_MOUNTS = Path("/proc/self/mountinfo")


class _Mount(NamedTuple):
    """One line of Linux's list."""

    place: Path
    kind: str
    """The type of its file system."""


def is_mounted(place: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether something is mounted at `place`; if it comes from the same disk, only Linux's list tells."""
    return os.path.ismount(place) or any(mount.place == place for mount in _listed(mounts))


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """The type of the file system that holds `path`; empty where that is not told."""
    place = existing_parent(path).resolve()
    best = _Mount(Path(), "")
    for mount in _listed(mounts):
        if place.is_relative_to(mount.place) and len(mount.place.parts) >= len(best.place.parts):
            best = mount
    return best.kind


def existing_parent(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that is there and may be looked into."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.isdir(place))


def _listed(mounts: Path) -> Iterator[_Mount]:
    with suppress(OSError):
        for line in mounts.read_text().splitlines():
            left, _, right = line.partition(" - ")
            place = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), left.split()[4])
            yield _Mount(Path(place), right.split()[0])
