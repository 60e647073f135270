"""The commands that keep votes safe: a copy of the database, and the way back."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arena.commands.command_line import new_command, settings_of
from arena.terminal import progress

if TYPE_CHECKING:
    from arena.commands.command_line import Commands


def add_backups(commands: "Commands") -> None:
    """Add `backup` and `restore`."""
    what = "a checked copy of the database, while the arena runs or not"
    command = new_command(commands, "backup", what, "backup --out /mnt/safe/arena.db")
    command.add_argument("--out", type=Path, metavar="FILE", help="default: a new file in ARENA_BACKUP_DIR")
    command.set_defaults(run=write_backup)

    what = "put a backup in the database's place; the present one is backed up first"
    command = new_command(commands, "restore", what, "restore data/backups/arena-20260131T120000Z.db")
    command.add_argument("file", type=Path, metavar="FILE")
    command.set_defaults(run=restore_backup)


def write_backup(given: argparse.Namespace) -> int:
    """Make a backup and tell where it is."""
    from arena.backup import back_up, described

    with progress("Copying", sys.stderr) as bar:
        made = back_up(settings_of(given), given.out, bar)
    sys.stdout.write(f"{made.file}: {made.size:,} bytes, {described(made.votes)}\n")
    return 0


def restore_backup(given: argparse.Namespace) -> int:
    """Put a backup back and tell where the former database is."""
    from arena.backup import described, restore

    with progress("Restoring", sys.stderr) as bar:
        restored = restore(settings_of(given), given.file, bar)
    sys.stdout.write(f"{restored.database} holds {described(restored.votes)} now.\n")
    if restored.former is not None:
        sys.stdout.write(f"The former database is kept: {restored.former}\n")
    return 0
