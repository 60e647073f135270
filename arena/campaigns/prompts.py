"""The prompts of a campaign, from a file: YAML, JSONL or CSV. Whatever is wrong in it is told line by line."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from arena.battle.requests import check_prompt
from arena.challenges import Challenge
from arena.config import Settings
from arena.errors import BattleError, ConfigError

_MOST_PROBLEMS = 20
_WORDS = ("prompt", "text", "challenge")
"""What the column or key of a prompt may be called."""
_LISTS = ("prompts", "challenges")
_KEYS = (*_WORDS, "id", "tags", "held_out")


@dataclass(frozen=True, slots=True)
class CampaignText:
    """One prompt of a campaign about to be made."""

    key: str
    """Its id in the file, or its number there."""
    text: str
    tags: tuple[str, ...] = ()
    challenge_id: str | None = None
    """Of a shipped challenge."""


_Numbered = tuple[int, object]
"""A line, and what stands there."""


def texts_of_challenges(challenges: Sequence[Challenge]) -> Sequence[CampaignText]:
    """The arena's challenges as a campaign's prompts."""
    return [CampaignText(c.id, c.text, c.tags, challenge_id=c.id) for c in challenges]


def read_prompts(file: Path, settings: Settings) -> Sequence[CampaignText]:
    """Read a file of prompts; its ending tells the format.

    A prompt is a text, or a mapping with `prompt` (or `text`), and where wanted `id` and `tags`. YAML may hold them in
    a list, or under `prompts` or `challenges`; CSV has them in columns with a heading, tags divided by semicolons.

    Raises:
        ConfigError: the file cannot be read, or prompts are wrong, empty, too long or there twice: one line each.

    """
    problems: list[str] = []
    texts: list[CampaignText] = []
    seen: dict[str, int] = {}
    for line, given in _entries(file, problems):
        try:
            text = _text_of(given, len(texts) + 1)
            check_prompt(text.text, 0, settings)
            _refuse_twice(text, line, seen)
        except (BattleError, ValueError) as error:
            problems.append(f"{file}:{line}: {error}")
        else:
            texts.append(text)
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        told = problems[:_MOST_PROBLEMS] + ([f"{file}: and {more} more."] if more > 0 else [])
        raise ConfigError("\n".join(told))
    if not texts:
        raise ConfigError(f"{file}: holds no prompts.")
    return texts


def _entries(file: Path, problems: list[str]) -> Iterator[_Numbered]:
    readers = {".yaml": _yaml, ".yml": _yaml, ".jsonl": _jsonl, ".csv": _csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ConfigError(f"{file}: must end in .yaml, .jsonl or .csv, which tells how it is read.")
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as text: {error}.") from None
    return reader(file, content, problems)


def _yaml(file: Path, content: str, problems: list[str]) -> Iterator[_Numbered]:
    try:
        # Twice: once for the values, once for the lines that they stand on.
        loaded, node = yaml.safe_load(content), yaml.compose(content, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: cannot be read as YAML: {' '.join(str(error).split())}.") from None
    if isinstance(loaded, dict):
        name = next((name for name in _LISTS if name in loaded), None)
        if name is not None and isinstance(node, yaml.MappingNode):
            loaded, node = loaded[name], next(value for key, value in node.value if key.value == name)
    if not isinstance(loaded, list) or not isinstance(node, yaml.SequenceNode):
        raise ConfigError(f"{file}: must hold a list of prompts, by itself or under `prompts`.")
    yield from ((entry.start_mark.line + 1, value) for entry, value in zip(node.value, loaded, strict=True))


def _jsonl(file: Path, content: str, problems: list[str]) -> Iterator[_Numbered]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            problems.append(f"{file}:{number}: this is not JSON: {error}.")


def _csv(file: Path, content: str, problems: list[str]) -> Iterator[_Numbered]:
    rows = csv.DictReader(io.StringIO(content, newline=""))
    if not any(word in (rows.fieldnames or ()) for word in _WORDS):
        raise ConfigError(
            f"{file}:1: needs a heading with a column named `prompt`; beside it `id` and `tags` are read."
        )
    before = rows.line_num
    try:
        for row in rows:
            line, before = before + 1, rows.line_num
            if None in row:
                problems.append(f"{file}:{line}: has more cells than the heading; a prompt with commas needs quotes.")
            elif any((value or "").strip() for value in row.values()):
                yield line, {name: value for name, value in row.items() if name in _KEYS and value}
    except csv.Error as error:
        problems.append(f"{file}:{rows.line_num}: this is not CSV: {error}.")


def _text_of(given: object, number: int) -> CampaignText:
    if isinstance(given, str):
        return CampaignText(str(number), given.strip())
    if not isinstance(given, dict):
        raise ValueError("a prompt is a text, or a mapping with `prompt`, and where wanted `id` and `tags`.")  # noqa: TRY004 - told, not raised on
    unknown = [str(name) for name in given if name not in _KEYS]
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown)}; known are prompt, id and tags.")
    text = next((given[word] for word in _WORDS if word in given), None)
    if not isinstance(text, str):
        raise ValueError("has no `prompt`, or one that is no text.")  # noqa: TRY004 - as above
    key = given.get("id", number)
    if not isinstance(key, str | int) or not str(key).strip():
        raise ValueError("`id` must be a text or a number.")
    return CampaignText(str(key).strip(), text.strip(), _tags_of(given))


def _tags_of(given: Mapping[str, Any]) -> tuple[str, ...]:
    tags = given.get("tags") or ()
    if isinstance(tags, str):
        tags = [tag.strip() for tag in tags.split(";") if tag.strip()]
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("`tags` must be a list of texts.")
    return tuple(tags)


def _refuse_twice(text: CampaignText, line: int, seen: dict[str, int]) -> None:
    for what, value in (("id", f"id {text.key}"), ("prompt", f"text {text.text}")):
        if value in seen:
            raise ValueError(f"the same {what} stands on line {seen[value]} already.")
    seen[f"id {text.key}"] = seen[f"text {text.text}"] = line
