"""The commands that keep votes safe: a copy of the database, and the way back."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.terminal import progress

if TYPE_CHECKING:
    from arena.config import Settings

    NewCommand = Callable[[Any, str, str, str], argparse.ArgumentParser]
    SettingsOf = Callable[[argparse.Namespace], Settings]


def add_backups(commands: Any, new_command: "NewCommand", settings_of: "SettingsOf") -> None:  # noqa: ANN401 - argparse's own
    """Add `backup` and `restore`; `settings_of` reads the settings that a command line names."""
    what = "a checked copy of the database, while the arena runs or not"
    command = new_command(commands, "backup", what, "backup --out /mnt/safe/arena.db")
    command.add_argument("--out", type=Path, metavar="FILE", help="default: a new file in ARENA_BACKUP_DIR")
    command.set_defaults(run=lambda given: write_backup(settings_of(given), given.out))

    what = "put a backup in the database's place; the present one is backed up first"
    command = new_command(commands, "restore", what, "restore data/backups/arena-20260131T120000Z.db")
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(run=lambda given: restore_backup(settings_of(given), given.file))


def write_backup(settings: "Settings", out: Path | None) -> int:
    """Make a backup and tell where it is."""
    from arena.backup import back_up, described

    with progress("Copying", sys.stderr) as bar:
        made = back_up(settings, out, bar)
    sys.stdout.write(f"{made.file}: {made.size:,} bytes, {described(made.votes)}\n")
    return 0


def restore_backup(settings: "Settings", file: Path) -> int:
    """Put a backup back and tell where the former database is."""
    from arena.backup import described, restore

    with progress("Restoring", sys.stderr) as bar:
        restored = restore(settings, file, bar)
    sys.stdout.write(f"{restored.database} holds {described(restored.votes)} now.\n")
    if restored.former is not None:
        sys.stdout.write(f"The former database is kept: {restored.former}\n")
    return 0
