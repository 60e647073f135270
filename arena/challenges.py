"""The shipped challenges: prompts that invite a creative orientation."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge a visitor can be surprised with."""

    id: str
    text: str
    tags: tuple[str, ...]
    held_out: bool
    """Never in a training export, so that it can measure what training changed."""


def load_challenges(data_dir: Path) -> tuple[Challenge, ...]:
    """Read `challenges.yaml` from the data folder, else the copy shipped beside `app.py`.

    Raises:
        ConfigError: names the file, the entry and what is accepted.

    """
    raise NotImplementedError
