"""The public layout of Chatbot Arena's votes: CSV with `model_a`, `model_b`, `winner`, and no text that is kept."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from arena.errors import ConfigError
from arena.imports.foreign import NAMED, ForeignVote, LeftOut, Read, Skipped, clean
from arena.tables import Winner

COLUMNS = ("model_a", "model_b", "winner")
WINNERS: Mapping[str, Winner] = {
    "model_a": Winner.MODEL_A,
    "model_b": Winner.MODEL_B,
    "tie": Winner.TIE,
    "tie (bothbad)": Winner.BOTH_BAD,
    "both_bad": Winner.BOTH_BAD,
}
_LONGEST_FIELD = 16 * 1024 * 1024
"""Some published files carry whole conversations in a field."""


def read_lmsys(path: Path) -> Iterator[Read]:
    """Yield what each row became; rows without an id are known by the file's content and their number.

    Raises:
        ConfigError: the file is not CSV with the layout's columns.

    """
    csv.field_size_limit(_LONGEST_FIELD)
    source = source_of(path)
    with path.open("rb") as raw:
        lines = _Lines(iter(raw))
        rows = csv.DictReader(lines)
        try:
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
            if missing:
                raise ConfigError(f"{path}: has no column {missing[0]!r}; the layout needs {', '.join(COLUMNS)}.")
            for number, row in enumerate(rows, start=1):
                yield Read(_outcome(row, source, number), lines.bytes_read)
        except csv.Error as error:
            raise ConfigError(f"{path}: line {rows.line_num} is not valid CSV ({error}).") from error


def source_of(path: Path) -> str:
    """A file's fingerprint: the same content has the same one under any name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


class _Lines:
    """Decodes lines for the csv module and counts their bytes."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.bytes_read = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        encoding = "utf-8" if self.bytes_read else "utf-8-sig"
        self.bytes_read += len(line)
        return line.decode(encoding, "replace")


def _outcome(row: Mapping[str, str | None], source: str, number: int) -> ForeignVote | Skipped:
    try:
        return _vote(row, source, number)
    except LeftOut as reason:
        return Skipped(str(reason))


def _vote(row: Mapping[str, str | None], source: str, number: int) -> ForeignVote:
    model_a, model_b = ((row[name] or "").strip() for name in COLUMNS[:2])
    if not model_a or not model_b:
        raise LeftOut("a model's name is missing")
    if model_a == model_b:
        raise LeftOut("both sides are the same model")
    word = (row["winner"] or "").strip()
    if word not in WINNERS:
        raise LeftOut(f"unknown winner {word!r}")
    identity = row.get("question_id") or row.get("battle_id")
    return ForeignVote(
        key=f"lmsys:{clean(identity)}" if identity else f"lmsys:{source}:{number}",
        models=(clean(model_a), clean(model_b)),
        winner=WINNERS[word],
        unrated_reason=_unrated_reason(row),
        own_battle=row.get("battle_id"),
    )


def _unrated_reason(row: Mapping[str, str | None]) -> str | None:
    """Some published files say whether the voter knew the models; our own exports, whether a vote is rated."""
    if (row.get("anony") or "").strip().lower() == "false":
        return NAMED
    return "not rated where it was given" if (row.get("rated") or "").strip().lower() == "false" else None
