"""What may be tuned, at which price: the base models of each platform, from `ARENA_TUNING_FILE`, never from code."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arena.config import Settings
from arena.errors import ConfigError
from arena.finetune.platform import Method, PlatformName
from arena.operator_files import data_file, expand_variables, read_yaml
from arena.roster import google_location, google_project


class BaseModelEntry(BaseModel):
    """A model that can be tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price: float | None = Field(default=None, ge=0)
    """US dollars per million trained tokens; `None` where nobody has looked it up."""
    methods: tuple[Method, ...] = ("preference",)
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    """What is asked for unless a person says otherwise; what is left out or `auto` is the platform's choice."""
    shutdown_date: date | None = None
    """For platforms that do not tell; where one tells, its word wins."""
    chat_price: dict[str, float] | None = None
    """`{input: …, output: …}` of the tuned model, for the roster's `price`."""


class PlatformEntry(BaseModel):
    """A platform and how it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_base: str | None = None
    key_variable: str | None = None
    """Name of the environment variable that holds the key; default OPENAI_API_KEY where `api_base` is not given."""
    project_id: str | None = None
    location: str | None = None
    bucket: str | None = None
    """Cloud Storage bucket for the files, with or without a folder behind it."""
    storage_base: str | None = None
    """Another address of Cloud Storage, for private endpoints."""
    closes_on: date | None = None
    """From when the platform takes no new jobs."""
    prices_from: str | None = None
    """Where the prices were looked up, to be told beside each estimate."""
    prices_as_of: date | None = None
    """When that was."""
    assumed_epochs: int = Field(default=3, ge=1)
    """Passes over the file to reckon with where the platform chooses their number."""
    models: dict[str, BaseModelEntry] = Field(default_factory=dict)


class TuningConfig(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    openai: PlatformEntry = PlatformEntry()
    vertex: PlatformEntry = PlatformEntry()

    def platform(self, name: PlatformName) -> PlatformEntry:
        """The platform of that name."""
        return self.openai if name == "openai" else self.vertex


def tuning_path(settings: Settings) -> Path:
    """The file that holds: the setting's, else `tuning.yaml` in the data folder, else the one that ships."""
    if settings.tuning_file is not None:
        return settings.tuning_file
    return data_file(settings.data_dir, "tuning.yaml")


def load_tuning(settings: Settings, environment: Mapping[str, str]) -> TuningConfig:
    """Read the file; `${NAME}` in it is the environment variable NAME, and one that is unset counts as left out.

    Raises:
        ConfigError: the file is missing or malformed: names the file, the key and what is accepted.

    """
    path = tuning_path(settings)
    try:
        config = TuningConfig.model_validate(_expanded(read_yaml(path) or {}, environment))
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}." for e in error.errors()]
        raise ConfigError("\n".join(problems)) from None
    return TuningConfig(openai=_openai(config.openai, environment), vertex=_vertex(config.vertex, environment))


def _expanded(value: object, environment: Mapping[str, str]) -> object:
    """`value` with its `${NAME}`s replaced; a text that comes out empty is `None`."""
    if isinstance(value, dict):
        return {key: _expanded(item, environment) for key, item in value.items()}
    return (expand_variables(value, environment, []) or None) if isinstance(value, str) else value


def _openai(entry: PlatformEntry, environment: Mapping[str, str]) -> PlatformEntry:
    """OpenAI's own key goes only to where the environment points, never to an address of the file."""
    if entry.api_base is not None:
        return entry
    own = {"api_base": environment.get("OPENAI_BASE_URL"), "key_variable": entry.key_variable or "OPENAI_API_KEY"}
    return entry.model_copy(update=own)


def _vertex(entry: PlatformEntry, environment: Mapping[str, str]) -> PlatformEntry:
    project = entry.project_id or google_project(environment)
    location = entry.location or google_location(environment)
    return entry.model_copy(update={"project_id": project, "location": location})
