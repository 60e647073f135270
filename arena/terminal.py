"""How commands talk to a terminal, a pipe and a file."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from arena.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{message[0].upper()}{message[1:]}; see {self.prog} --help.\n")


class Progress:
    """A bar for work that turns out to take long, on a terminal only."""

    PATIENCE_S = 2.0
    WIDTH = 40

    def __init__(self, doing: str, out: TextIO | None) -> None:
        self._doing = doing
        self._out = out if out is not None and out.isatty() else None
        self._drawn_at = time.monotonic() + self.PATIENCE_S - 0.1
        self._drawn = False

    def __call__(self, share: float) -> None:
        """Show the share that is done, 0 to 1, at most ten times a second."""
        now = time.monotonic()
        if self._out is None or now - self._drawn_at < 0.1:
            return
        self._drawn_at, self._drawn = now, True
        full = round(share * self.WIDTH)
        self._out.write(f"\r{self._doing} [{'#' * full}{'.' * (self.WIDTH - full)}] {share:4.0%}")
        self._out.flush()

    def clear(self) -> None:
        """Leave no trace of the bar."""
        if self._out is not None and self._drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()


@contextlib.contextmanager
def progress(doing: str, out: TextIO | None) -> Iterator[Progress]:
    """A bar for as long as the work lasts; `out` is `None` where it would be in the way."""
    bar = Progress(doing, out)
    try:
        yield bar
    finally:
        bar.clear()


@contextlib.contextmanager
def output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if path is None:
        yield sys.stdout
        return
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as out:
            yield out
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}).") from error
    finally:
        with contextlib.suppress(OSError):  # where no file can be, there is none
            draft.unlink()


def print_json(answer: object) -> None:
    """Print an answer for programs."""
    sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings, each column as wide as its longest text."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def tell(sentence: str) -> None:
    """Say something that is no part of a command's answer."""
    sys.stderr.write(f"{sentence}\n")


def agreed(question: str, nobody: str) -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        ConfigError: there is none; `nobody` says what to give instead.

    """
    if not sys.stdin.isatty():
        raise ConfigError(nobody)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def count_of(number: int, what: str) -> str:
    """'1 vote', '2 votes'."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
