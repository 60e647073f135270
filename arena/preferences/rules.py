"""What each platform publishes about the files it takes. Pure; the numbers are settings, for platforms change them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from arena.config import Settings
from arena.preferences.manifest import FileFormat, Split

VALIDATION_SHARE = 0.3
"""Vertex AI takes a larger share for validation only up to `VALIDATION_FREE` lines."""
VALIDATION_FREE = 1_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of one platform; `None` where it publishes none."""

    reader: str
    """Who reads the file, in words."""
    least_lines: int = 1
    most_lines: int | None = None
    most_bytes: int | None = None
    most_line_tokens: int | None = None
    most_validation_lines: int | None = None

    def as_json(self) -> Mapping[str, int]:
        """The limits that there are."""
        return {name: limit for name, limit in asdict(self).items() if isinstance(limit, int)}

    def validation_limit(self, lines: int) -> int | None:
        """How many of so many lines may be for validation; `None` if any number."""
        if self.most_validation_lines is None:
            return None
        return min(self.most_validation_lines, max(VALIDATION_FREE, int(lines * VALIDATION_SHARE)))


def rules_of(settings: Settings, file_format: FileFormat) -> Rules:
    """The rules for a format; supervised files are held against OpenAI's."""
    if file_format in ("openai", "sft"):
        return Rules("OpenAI", least_lines=settings.openai_least_lines, most_bytes=settings.openai_most_bytes)
    if file_format == "vertex":
        return Rules(
            "Vertex AI",
            most_lines=settings.vertex_most_lines,
            most_bytes=settings.vertex_most_bytes,
            most_line_tokens=settings.vertex_most_line_tokens,
            most_validation_lines=settings.vertex_most_validation_lines,
        )
    return Rules("TRL")


def problems_of(rules: Rules, split: Split, lines: int, size: int = 0) -> Sequence[str]:
    """Why the platform would refuse a file of so many lines and bytes, a sentence each; empty if it would not."""
    found = []
    if split == "train" and lines < rules.least_lines:
        missing = _number(rules.least_lines - lines, "more pair is", "more pairs are")
        found.append(f"{rules.reader} takes no file of fewer than {_lines(rules.least_lines)}: {missing} missing.")
    if split == "validation" and not lines:
        found.append("No prompt fell into the validation file yet: raise its share, or leave it out.")
    if rules.most_lines is not None and lines > rules.most_lines:
        found.append(f"{rules.reader} takes at most {_lines(rules.most_lines)}: {lines - rules.most_lines:,} too many.")
    if rules.most_bytes is not None and size > rules.most_bytes:
        found.append(f"{rules.reader} takes at most {rules.most_bytes:,} bytes: {size - rules.most_bytes:,} too many.")
    return found


def _lines(number: int) -> str:
    return _number(number, "line", "lines")


def _number(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
