"""How the arena of a data folder is found by other processes: its files, and whether it runs."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """Where a service keeps what it needs to be found again."""

    folder: Path

    @property
    def pid(self) -> Path:
        """The process's number."""
        return self.folder / "arena.pid"

    @property
    def address(self) -> Path:
        """Where that process listens; it writes this itself."""
        return self.folder / "arena.address"

    @property
    def log(self) -> Path:
        """The rotated log."""
        return self.folder / "logs" / "arena.log"

    @property
    def output(self) -> Path:
        """What the latest start printed: where a crash before the log is told."""
        return self.folder / "logs" / "start.log"


def running(files: Files) -> int | None:
    """The service's process number; `None` if it does not run, whatever the pid file says."""
    try:
        number = int(files.pid.read_text())
    except (OSError, ValueError):
        return None
    return number if alive(number) and _is_ours(number, files) else None


def _is_ours(number: int, files: Files) -> bool:
    """Whether that process is this service; its number may have gone to another one since."""
    try:
        command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return not Path("/proc").is_dir()
    return str(files.folder).encode() in command


def alive(number: int) -> bool:
    """Whether a process of that number runs; one that ended and waits for its parent does not."""
    with contextlib.suppress(OSError):
        os.waitpid(number, os.WNOHANG)
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


@contextlib.contextmanager
def alone(files: Files) -> Iterator[None]:
    """One start, stop or restore at a time, whoever else tries."""
    files.folder.mkdir(parents=True, exist_ok=True)
    with (files.folder / "arena.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
