"""CSV that people open in spreadsheets, which take some texts for formulas: pure."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

Row = Mapping[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Table:
    """Writes rows under a heading to an open file; text that could be a formula gets an apostrophe before it."""

    def __init__(self, out: TextIO, columns: Sequence[str]) -> None:
        self._rows = csv.DictWriter(out, columns, lineterminator="\n")
        self._rows.writeheader()

    def write(self, row: Row) -> None:
        """Write one row; a column that it lacks stays empty."""
        self._rows.writerow({name: _harmless(value) for name, value in row.items()})

    def write_all(self, rows: Iterable[Row]) -> None:
        """Write every row."""
        for row in rows:
            self.write(row)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
