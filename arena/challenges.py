"""The shipped challenges: prompts that invite a creative orientation."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arena.errors import ConfigError
from arena.operator_files import data_file, read_yaml, repeated


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge a visitor can be surprised with."""

    id: str
    text: str
    tags: tuple[str, ...]
    held_out: bool
    """Never in a training export, so that it can measure what training changed."""


class _ChallengeEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    text: str = Field(min_length=1)
    tags: tuple[str, ...] = Field(min_length=1)
    held_out: bool = False


class _ChallengeFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int
    challenges: tuple[_ChallengeEntry, ...]


def load_challenges(data_dir: Path) -> tuple[Challenge, ...]:
    """Read `challenges.yaml` from the data folder, else the copy shipped beside `app.py`.

    Raises:
        ConfigError: names the file, the entry and what is accepted.

    """
    path = data_file(data_dir, "challenges.yaml")
    try:
        parsed = _ChallengeFile.model_validate(read_yaml(path))
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}." for e in error.errors()]
        raise ConfigError("\n".join(problems)) from None
    if (twice := repeated(entry.id for entry in parsed.challenges)) is not None:
        raise ConfigError(f"{path}: the id {twice!r} is there twice; each challenge needs an id of its own.")
    return tuple(Challenge(entry.id, entry.text.strip(), entry.tags, entry.held_out) for entry in parsed.challenges)
