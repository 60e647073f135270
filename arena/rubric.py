"""The criteria that a voter can rate, and a judge scores, from data/rubric.yaml; versioned.

A verdict on a criterion belongs to the rubric's version: its key in the counts is `<criterion>@<version>`, so that what
was asked in other words is never added up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from arena.errors import ConfigError
from arena.operator_files import data_file, read_yaml, repeated

MOST_CRITERIA = 9
"""One for each number key, and more than anybody rates beside a vote."""

_AT = "@"


@dataclass(frozen=True, slots=True)
class Pole:
    """One end of a criterion."""

    name: str
    looks_like: str
    """How it shows in an answer."""
    example: str
    """A short piece of an answer."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that two answers can be compared by."""

    id: str
    name: str
    question: str
    """For the voter; the answer that shows more of `toward` wins the criterion."""
    toward: Pole
    away: Pole


@dataclass(frozen=True, slots=True)
class Rubric:
    """The criteria of one version, in their order; there may be none."""

    version: str
    criteria: tuple[Criterion, ...] = ()

    def __len__(self) -> int:
        """How many criteria there are."""
        return len(self.criteria)

    def __iter__(self) -> Iterator[Criterion]:
        """The criteria."""
        return iter(self.criteria)

    def __contains__(self, criterion: object) -> bool:
        """Whether a criterion has this id."""
        return any(known.id == criterion for known in self.criteria)

    def key(self, criterion: str) -> str:
        """What the counts call a criterion of this version."""
        return criterion_key(criterion, self.version)

    def find_key(self, asked: str) -> str:
        """The key of what somebody asks for by a criterion's id, or as `<criterion>@<version>` of an earlier rubric.

        Raises:
            ConfigError: names the criteria that there are.

        """
        if asked in self:
            return self.key(asked)
        if all(asked.partition(_AT)):
            return asked
        known = ", ".join(criterion.id for criterion in self) or "none"
        raise ConfigError(
            f"There is no criterion {asked!r}; accepted are {known}, or <criterion>@<version> of an earlier rubric."
        )


NO_RUBRIC = Rubric("none")
"""An arena that asks for nothing but the overall vote."""


def criterion_key(criterion: str, version: str | None) -> str:
    """What the counts call a criterion: `<criterion>@<version>`; the bare id where the vote names no version."""
    return f"{criterion}{_AT}{version}" if version else criterion


def split_key(key: str) -> tuple[str, str | None]:
    """The criterion and the version of a key."""
    criterion, _, version = key.partition(_AT)
    return criterion, version or None


def key_in_words(key: str) -> str:
    """A key as people read it: 'structural tension (rubric coaia-1)'."""
    criterion, version = split_key(key)
    words = criterion.replace("-", " ").replace("_", " ")
    return f"{words} (rubric {version})" if version else words


def load_rubric(data_dir: Path) -> Rubric:
    """Read `rubric.yaml` from the data folder, else the copy shipped beside `app.py`.

    Raises:
        ConfigError: names the file, the entry, the key and what is accepted.

    """
    path = data_file(data_dir, "rubric.yaml")
    raw = read_yaml(path)
    try:
        parsed = _RubricFile.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(path, raw, problem) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from None
    if (twice := repeated(entry.id for entry in parsed.criteria)) is not None:
        raise ConfigError(f"{path}: {twice}: id: is there twice; each criterion needs an id of its own.")
    return Rubric(parsed.version, tuple(_criterion(entry) for entry in parsed.criteria))


def _as_text(value: object) -> object:
    """YAML reads `version: 3` as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_Version = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class _PoleEntry(_Entry):
    name: _Text
    looks_like: _Text
    example: _Text


class _CriterionEntry(_Entry):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    name: _Text
    question: _Text
    toward: _PoleEntry
    away: _PoleEntry


class _RubricFile(_Entry):
    version: _Version
    criteria: tuple[_CriterionEntry, ...] = Field(max_length=MOST_CRITERIA)


_KEYS: Mapping[int, type[_Entry]] = {1: _RubricFile, 3: _CriterionEntry, 4: _PoleEntry}
"""What takes an unknown key, by how deep the key lies: criteria, 0, toward, key."""

_FORMS = {"version": "letters, digits, '.', '-' and '_', 40 at most", "id": "small letters, digits and '-', 40 at most"}


def _criterion(entry: _CriterionEntry) -> Criterion:
    toward, away = (Pole(pole.name, pole.looks_like, pole.example) for pole in (entry.toward, entry.away))
    return Criterion(entry.id, entry.name, entry.question, toward, away)


def _explain(path: Path, raw: object, problem: Mapping[str, Any]) -> str:
    """One sentence on one wrong key; the entry goes by its id where it has one."""
    place = problem["loc"]
    where = ": ".join([str(path), *_names(raw, place)])
    if not place:
        return f"{where}: must be a mapping with the keys version and criteria."
    key = place[-1]
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; accepted are {', '.join(_KEYS[len(place)].model_fields)}."
    if problem["type"] == "missing":
        return f"{where}: is missing."
    if problem["type"] == "string_pattern_mismatch":
        return f"{where}: accepted are {_FORMS[str(key)]}, not {problem['input']!r}."
    if problem["type"] == "too_long" and key == "criteria":
        return f"{where}: {MOST_CRITERIA} are the most, and there are {len(problem['input'])}."
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}, not {problem['input']!r}."


def _names(raw: object, place: tuple[int | str, ...]) -> list[str]:
    """The way to a key as people read it: the criterion's id, or its number from 1, then the keys below."""
    if len(place) < 2 or not isinstance(raw, dict):
        return [str(part) for part in place]
    entry = raw["criteria"][place[1]]
    given = entry.get("id") if isinstance(entry, dict) else None
    return [str(given) if given else f"criterion {int(place[1]) + 1}", *(str(part) for part in place[2:])]
