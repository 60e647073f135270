"""The roster: which models may fight, from `models.yaml` or FastChat's `api_endpoints.json`."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from arena.errors import ConfigError
from arena.operator_files import expand_variables, mentions_variable, read_mapping

log = logging.getLogger(__name__)

Platform = Literal["openai", "vertex", "demo"]
PLATFORM_NAMES: Mapping[str, str] = {
    "openai": "OpenAI",
    "vertex": "Vertex AI",
    "demo": "Offline demo",
    "compatible": "Local server",
    "imported": "Imported",
}
"""What people read for a platform."""

OPENAI_BASE_URL = "https://api.openai.com/v1"
_VERTEX_RESOURCE = re.compile(r"^projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/(?:models|endpoints)/[^/]+$")
_FASTCHAT_ONLY = {"anony_only", "custom_system_prompt", "text-arena", "vision-arena", "multimodal"}


class SamplingDefaults(BaseModel):
    """How a model's answers are sampled unless a visitor of a named page decides otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=2000, ge=1)


class Price(BaseModel):
    """US dollars per million tokens, for estimates and caps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ModelEntry(BaseModel):
    """One language model of the roster, as its owner wrote it; `${NAME}`s expanded."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    id: str = Field(min_length=1, max_length=200)
    api_type: Platform
    model_name: str = ""
    api_base: str | None = None
    api_key: SecretStr | None = None
    project_id: str | None = None
    location: str | None = None
    display_name: str = ""
    family: str | None = None
    version: str | None = None
    parent: str | None = None
    role: Literal["battle", "judge"] = "battle"
    price: Price | None = None
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)
    weight: float = Field(default=1.0, ge=0)
    system_prompt: str | None = None
    recommended_config: SamplingDefaults = SamplingDefaults()
    missing_variables: tuple[str, ...] = ()
    """Environment variables that the entry names and nobody set; such a model is not ready, and says why."""

    @field_validator("version", mode="before")
    @classmethod
    def _version_is_text(cls, value: object) -> object:
        """YAML reads `version: 3` as a number."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @property
    def platform(self) -> str:
        """`openai`, `vertex`, `demo`, or `compatible` for another server that speaks OpenAI's protocol."""
        if self.api_type == "openai" and (self.api_base or OPENAI_BASE_URL).rstrip("/") != OPENAI_BASE_URL:
            return "compatible"
        return self.api_type


@dataclass(frozen=True, slots=True)
class Roster:
    """The models by id, in the file's order, and what the operator should know about the file."""

    models: Mapping[str, ModelEntry]
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self.models.values())

    def __len__(self) -> int:
        return len(self.models)


def load_roster(path: Path, environment: Mapping[str, str]) -> Roster:
    """Read `path`, expand `${NAME}` from `environment`, validate every entry.

    Raises:
        ConfigError: the file is missing or malformed, or an entry is wrong: names the file, the entry, the key and the
            accepted values, one line each.

    """
    advice = "copy models.yaml here, or name the roster with --models."
    entries = read_mapping(path, "from a model's id to its entry", advice)
    warnings: list[str] = []
    models: dict[str, ModelEntry] = {}
    problems: list[str] = []
    for model_id, raw in entries.items():
        try:
            entry = _parse_entry(path, str(model_id), raw, environment, warnings)
        except ConfigError as error:
            problems.append(str(error))
            continue
        if entry is not None:
            models[entry.id] = entry
    problems += _dangling_references(path, models)
    if problems:
        raise ConfigError("\n".join(problems))
    for warning in warnings:
        log.warning("%s", warning)
    return Roster(models, tuple(warnings))


def read_entry(place: str, model_id: str, raw: object, environment: Mapping[str, str]) -> ModelEntry:
    """One entry that does not stand in the roster file; `place` names it in errors.

    Raises:
        ConfigError: as `load_roster`, for this entry.

    """
    entry = _parse_entry(Path(place), model_id, raw, environment, [])
    if entry is None:
        raise ConfigError(f"{place}: {model_id}: is of a platform that the arena does not have.")
    return entry


def _parse_entry(
    path: Path, model_id: str, raw: object, environment: Mapping[str, str], warnings: list[str]
) -> ModelEntry | None:
    """One entry, or `None` where FastChat's file names a platform that the arena does not have."""
    where = f"{path}: {model_id}"
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: must be a mapping of keys, such as api_type: openai.")
    fields = {str(key): value for key, value in raw.items()}
    if path.suffix == ".json" and (reason := _skip_reason(fields)):
        warnings.append(f"{where}: skipped, {reason}.")
        return None
    if fields.get("custom_system_prompt"):
        warnings.append(f"{where}: its custom system prompt is not in the file; set system_prompt.")
    missing: list[str] = []
    filled = {key: value for key, value in fields.items() if value is not None and key not in _FASTCHAT_ONLY}
    expanded = {key: expand_variables(value, environment, missing) for key, value in filled.items()}
    if "missing_variables" in expanded or "id" in expanded:
        raise ConfigError(f"{where}: the id is the entry's key; {_accepted_keys()}.")
    try:
        entry = ModelEntry.model_validate(
            {**expanded, "id": model_id, "missing_variables": tuple(dict.fromkeys(missing))}
        )
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(where, error, fields))) from None
    return _completed(path, entry, environment)


def _skip_reason(fields: Mapping[str, Any]) -> str | None:
    api_type = fields.get("api_type")
    if api_type not in ("openai", "vertex", "demo"):
        return f"the arena has no api_type {api_type!r} (it has openai, vertex and demo)"
    if fields.get("text-arena") is False:
        return "it is for FastChat's vision arena only"
    return None


def _completed(path: Path, entry: ModelEntry, environment: Mapping[str, str]) -> ModelEntry:
    """`entry` with the defaults that depend on its other keys."""
    named = {"display_name": entry.display_name or entry.id, "model_name": entry.model_name or entry.id}
    entry = entry.model_copy(update=named)
    if entry.api_type == "vertex":
        return entry.model_copy(update=_vertex_defaults(path, entry, environment))
    if entry.api_type == "openai":
        return entry.model_copy(update=_openai_defaults(entry, environment))
    return entry


def _vertex_defaults(path: Path, entry: ModelEntry, environment: Mapping[str, str]) -> dict[str, Any]:
    """Project and location: the entry's, else the resource name's, else Google's and FastChat's variables."""
    resource = _VERTEX_RESOURCE.match(entry.model_name)
    if "/" in entry.model_name and not resource and not entry.model_name.startswith("publishers/"):
        raise ConfigError(
            f"{path}: {entry.id}: model_name: must be projects/PROJECT/locations/LOCATION/models/ID or …/endpoints/ID, "
            f"or a published model's name such as gemini-2.5-flash, not {entry.model_name!r}."
        )
    named = resource.groupdict() if resource else {}

    project = entry.project_id or named.get("project") or google_project(environment)
    location = entry.location or named.get("location") or google_location(environment)
    missing = entry.missing_variables if project else (*entry.missing_variables, "GOOGLE_CLOUD_PROJECT")
    return {"project_id": project, "location": location, "missing_variables": missing}


def google_project(environment: Mapping[str, str]) -> str | None:
    """The project of Google's or FastChat's variable."""
    return environment.get("GOOGLE_CLOUD_PROJECT", environment.get("GCP_PROJECT_ID"))


def google_location(environment: Mapping[str, str]) -> str:
    """The region of Google's or FastChat's variable, or the one where most models are."""
    return environment.get("GOOGLE_CLOUD_LOCATION", environment.get("GCP_LOCATION")) or "us-central1"


def _openai_defaults(entry: ModelEntry, environment: Mapping[str, str]) -> dict[str, Any]:
    """The base URL, and for OpenAI itself the key: a third party's server never gets OpenAI's key by default."""
    defaults: dict[str, Any] = {"api_base": entry.api_base or environment.get("OPENAI_BASE_URL") or OPENAI_BASE_URL}
    has_key = entry.api_key is not None and entry.api_key.get_secret_value() != ""
    if has_key or entry.missing_variables:
        return defaults
    if entry.api_base is None or entry.model_copy(update=defaults).platform == "openai":
        if "OPENAI_API_KEY" in environment:
            return {**defaults, "api_key": SecretStr(environment["OPENAI_API_KEY"])}
        return {**defaults, "missing_variables": ("OPENAI_API_KEY",)}
    return defaults


def _dangling_references(path: Path, models: Mapping[str, ModelEntry]) -> list[str]:
    """A sentence for each parent, target or exclusion that names no model of the roster."""
    problems = []
    for entry in models.values():
        named = [
            ("parent", entry.parent),
            *(("targets", t) for t in entry.targets),
            *(("excludes", e) for e in entry.excludes),
        ]
        for key, other in named:
            if other is not None and (other not in models or other == entry.id):
                others = ", ".join(m for m in models if m != entry.id) or "none"
                problems.append(f"{path}: {entry.id}: {key}: {other!r} is no other model of the roster ({others}).")
    return problems


def _problems(where: str, error: ValidationError, fields: Mapping[str, Any]) -> Iterator[str]:
    """One sentence on each wrong key of an entry that reads `fields` in its file."""
    for e in error.errors():
        own = fields.get(str(e["loc"][0]))
        given = own if mentions_variable(own) else e["input"]
        yield _explain(f"{where}: {'.'.join(map(str, e['loc']))}", e["type"], e["msg"], given)


def _explain(place: str, kind: str, message: str, given: object) -> str:
    """One sentence on one wrong key. A value that came from the environment, or a key, is never shown."""
    if kind == "extra_forbidden":
        return f"{place}: unknown key; {_accepted_keys()}."
    if kind == "missing":
        return f"{place}: is missing; accepted are openai, vertex and demo."
    secret = "api_key" in place or mentions_variable(given)
    return f"{place}: {message[0].lower()}{message[1:]}" + ("." if secret else f", not {given!r}.")


def _accepted_keys() -> str:
    keys = [name for name in ModelEntry.model_fields if name not in ("id", "missing_variables")]
    return "accepted are " + ", ".join(keys)
