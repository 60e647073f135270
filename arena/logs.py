"""The log: for people or for programs, with the battle that a line is about, and without what visitors wrote."""

import contextvars
import io
import json
import logging
import logging.handlers
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

battle_in_log: contextvars.ContextVar[str] = contextvars.ContextVar("battle_in_log", default="")
"""The id of the battle that the running task belongs to; every line logged in it carries the id."""

_FILE_BYTES, _FULL_FILES = 5_000_000, 5
_QUOTED_FROM = 12
"""So many characters in common with a prompt are taken for a quotation of it."""


def start_log(handler: logging.Handler, level: str, form: Literal["text", "json"]) -> None:
    """Send everything that is logged from now on to `handler`; `level` is a word such as `info`.

    Libraries are heard from warnings on only: at lower levels they tell addresses, and the SDKs whole requests.
    """
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.getLogger("arena").setLevel(level.upper())
    logging.basicConfig(level=max(logging.WARNING, logging.getLogger("arena").level), handlers=[handler], force=True)
    # It warns of each request that is none: a stranger's script could push everything else out of the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    if form == "json":
        sys.stderr = PrintedLines(logging.getLogger("stderr"))


def rotated(file: Path) -> logging.Handler:
    """Write to `file`, and keep a few full ones beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return logging.handlers.RotatingFileHandler(file, maxBytes=_FILE_BYTES, backupCount=_FULL_FILES)


def battle_of(record: logging.LogRecord) -> str:
    """The battle that a line is about: as its writer said (`extra={"battle": …}`), or as the task knows it."""
    return str(getattr(record, "battle", "")) or battle_in_log.get()


class TextLines(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, with its battle at the end."""
        line = super().formatMessage(record)
        battle = battle_of(record)
        return f"{line} (battle {battle})" if battle else line


class JsonLines(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and where there are any `battle`, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """Spell a record out."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if battle := battle_of(record):
            line["battle"] = battle
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PrintedLines(io.TextIOBase):
    """A standard error for libraries that print: each line becomes a line of the log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._unfinished = ""

    def write(self, text: str) -> int:
        """Log every line that is whole."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            if line.strip():
                self._log.error("%s", line.rstrip())
        return len(text)


def without_quotations(detail: str, texts: Sequence[str]) -> str:
    """`detail` with every passage that is quoted from one of the texts replaced by "…".

    A platform's words about a failure may repeat the prompt, and the log must not.
    """
    said = "\n".join(texts)
    quoted = [False] * len(detail)
    for start in range(len(detail) - min(_QUOTED_FROM, len(said)) + 1 if said else 0):
        end = start + min(_QUOTED_FROM, len(said))
        if detail[start:end] in said:
            quoted[start:end] = [True] * (end - start)
    kept = [
        "…" if hidden else character
        for place, (character, hidden) in enumerate(zip(detail, quoted, strict=True))
        if not (hidden and place and quoted[place - 1])
    ]
    return "".join(kept)
