"""Votes from FastChat's logs and from public arena data: each once, whatever is imported again."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from arena.database import Database
from arena.errors import ConfigError
from arena.imports.fastchat import read_fastchat
from arena.imports.foreign import ForeignVote, Read
from arena.imports.lmsys import COLUMNS, read_lmsys, source_of
from arena.imports.storing import Store

Format = Literal["fastchat", "lmsys"]

BATCH = 1000
"""Votes stored in one transaction: large enough to be quick, small enough that visitors' votes need not wait."""

_READERS: Mapping[Format, Callable[[Path], Iterator[Read]]] = {"fastchat": read_fastchat, "lmsys": read_lmsys}


@dataclass(slots=True)
class ImportReport:
    """What an import did: every line or row that was read is either imported or skipped for one reason."""

    read: int = 0
    imported: int = 0
    unrated: Counter[str] = field(default_factory=Counter)
    """Of the imported: kept but not rated, by reason."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Left out, by reason."""

    def as_json(self) -> dict[str, object]:
        """The report for programs, the commonest reasons first."""
        return {
            "read": self.read,
            "imported": self.imported,
            "rated": self.imported - self.unrated.total(),
            "unrated": dict(self.unrated.most_common()),
            "skipped": dict(self.skipped.most_common()),
        }


def import_votes(
    database: Database,
    paths: Sequence[Path],
    *,
    secret: str,
    file_format: Format | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> ImportReport:
    """Import every vote of the files that is not here yet; running it again imports nothing.

    Args:
        database: where to.
        paths: files of any supported format.
        secret: keys the hashes of voters' addresses.
        file_format: of all files; told from each file's beginning where it is `None`.
        progress: called now and then with the share of the files that has been read, 0 to 1.

    Raises:
        ConfigError: a file is missing, unreadable, or of no known format; files before it have been imported.

    """
    report = ImportReport()
    total = sum(_size(path) for path in paths) or 1
    done = 0
    for path in paths:
        reader = _READERS[file_format or detect_format(path)]
        store = Store(database, source_of(path), path.name, secret)
        for bytes_read, batch in _batches(reader(path), report):
            _take(store, batch, report)
            progress((done + bytes_read) / total)
        done += _size(path)
    return report


def detect_format(path: Path) -> Format:
    """The format of a file, told from its first line.

    Raises:
        ConfigError: it is neither; says what would be.

    """
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"").decode("utf-8-sig", "replace").strip()
    if first.startswith("{"):
        return "fastchat"
    if set(COLUMNS) <= {name.strip().strip('"') for name in first.split(",")}:
        return "lmsys"
    raise ConfigError(
        f"{path}: neither a FastChat log (a JSON object a line) nor CSV with the columns {', '.join(COLUMNS)}."
    )


def _size(path: Path) -> int:
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error


def _batches(outcomes: Iterator[Read], report: ImportReport) -> Iterator[tuple[int, Sequence[ForeignVote]]]:
    """Votes in portions with the bytes read so far; what the reader left out goes to the report at once."""
    batch: list[ForeignVote] = []
    bytes_read = 0
    for read in outcomes:
        report.read += 1
        bytes_read = read.bytes_read
        if isinstance(read.outcome, ForeignVote):
            batch.append(read.outcome)
        else:
            report.skipped[read.outcome.reason] += 1
        if len(batch) == BATCH:
            yield bytes_read, batch
            batch = []
    yield bytes_read, batch


def _take(store: Store, batch: Sequence[ForeignVote], report: ImportReport) -> None:
    if not batch:
        return
    stored = store.add(batch)
    report.imported += stored.imported
    report.unrated += stored.unrated
    report.skipped += stored.skipped
