"""What the operator decides: settings from the environment and `.env`. The only reader of the environment."""

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from arena.errors import ConfigError
from arena.late import replace_at_import
from arena.mounts import is_mounted

SHIPPED_DIR = Path(__file__).resolve().parent.parent
"""Where `app.py`, `models.yaml` and the shipped `data/` lie."""
_ALLOCATION = {
    "MALLOC_ARENA_MAX": (-8, 2),
    "MALLOC_MMAP_THRESHOLD_": (-3, 2**20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**20),
}
"""How the GNU C library is to allocate, unless the environment says it: its number of each option, and the value."""


class Settings(BaseSettings):
    """Everything an operator may set; each field is `ARENA_<NAME>` in the environment, and `None` means unset."""

    model_config = SettingsConfigDict(
        env_prefix="ARENA_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` on Hugging Face Spaces and in the container."""

    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on."""

    models: Path = Path("models.yaml")
    """The roster file: `models.yaml`, or FastChat's `api_endpoints.json`."""

    data_dir: Path = Path("data")
    """Where the database, exports and backups live; a local disk."""

    backup_dir: Path | None = None
    """Where backups are written; default ARENA_BACKUP_MOUNT if anything is mounted there, else `<data dir>/backups`."""

    backup_mount: Path | None = None
    """Where backups are written if anything is mounted there and ARENA_BACKUP_DIR is unset; the image says `/data`."""

    backup_hours: float = Field(default=24.0, ge=0)
    """How often a running arena backs up its SQLite database, if votes have come since; 0: never."""

    backup_keep: int = Field(default=14, ge=2)
    """How many backups stay in ARENA_BACKUP_DIR; an older one with more votes stays too."""

    backup_repo: str | None = None
    """A Hugging Face dataset, `owner/name`, that backups and votes are copied to (needs HF_TOKEN)."""

    vote_log: bool | None = None
    """Each vote also becomes a file in ARENA_BACKUP_DIR; default: where that is outside the data folder, or with
    ARENA_BACKUP_REPO."""

    temporary_storage: bool = False
    """A restart empties the data folder's disk, as on a Space: pages say so where a vote could be lost."""

    tuning_file: Path | None = None
    """Base models that may be tuned, with prices; default `tuning.yaml` in the data folder, else the one that ships."""

    tuning_look_s: float = Field(default=5.0, gt=0)
    """Seconds until a tuning job is first looked at; while nothing is new the next looks come ever less often."""

    database_url: str | None = None
    """Any SQLAlchemy URL of SQLite or PostgreSQL; default `sqlite:///<data dir>/arena.db`."""

    admin_password: SecretStr | None = None
    """Opens the operator's pages; unset: made at the first start and kept in the data folder."""

    secret: SecretStr | None = None
    """Signs cookies and keys address hashes; unset: made at the first start and kept in the data folder."""

    metrics_token: SecretStr | None = None
    """Bearer token that opens `/metrics` to a scraper; unset: the operator's session only."""

    google_credentials_json: SecretStr | None = None
    """A service account's JSON itself, for hosts whose secrets are strings."""

    demo: bool = False
    """Offline demonstration models only."""

    pace: Literal["common", "live"] = "common"
    """`common`: both answers advance together, so that speed tells nothing; `live`: text is shown as it comes."""

    pace_characters_per_s: int = Field(default=600, ge=20)
    """How fast text is shown at most, per pane, in characters a second."""

    frames_per_s: float = Field(default=10.0, gt=0, le=30)
    """How often a running battle's panes are refreshed."""

    draw: Literal["uniform", "separate", "leader"] = "separate"
    """Who meets whom: `uniform`; `separate`: pairs whose difference is not sure yet; `leader`: the best against those
    it does not surely beat."""

    first_token_s: float = Field(default=10.0, gt=0)
    """Deadline for the first token of one attempt."""

    first_text_s: float = Field(default=25.0, gt=0)
    """Deadline for the first text of a seat, all attempts and replacements together."""

    silence_s: float = Field(default=20.0, gt=0)
    """Longest silence between two tokens."""

    answer_s: float = Field(default=120.0, gt=0)
    """Deadline for a whole answer."""

    max_answer_characters: int = Field(default=100_000, ge=1)
    """Longest answer; a longer one is cut off and failed."""

    max_prompt_characters: int = Field(default=30_000, ge=1)
    """Longest challenge; a longer one is refused with a notice, never cut."""

    max_turns: int = Field(default=50, ge=1)
    """Most turns of one conversation."""

    max_battles: int = Field(default=200, ge=1)
    """Most battles and chat turns running at once; further ones wait in line and are told their place. While the
    processor cannot keep up, fewer."""

    max_waiting: int = Field(default=500, ge=0)
    """Longest line before a full arena; whoever finds it full is asked to come back."""

    battles_per_minute: int = Field(default=20, ge=1)
    """Most battles one voter may start in a minute; one address five times as many. Further turns count too."""

    battles_per_day: int | None = Field(default=None, ge=1)
    """Most battles one voter may start in a day (UTC); one address five times as many."""

    battles_per_minute_in_all: int | None = Field(default=None, ge=1)
    """Most battles that all visitors together may start in a minute."""

    battles_per_day_in_all: int | None = Field(default=None, ge=1)
    """Most battles that all visitors together may start in a day (UTC)."""

    spend_per_day: float | None = Field(default=None, gt=0)
    """Most US dollars that answers may cost in a day (UTC), by the prices in the roster."""

    moderation: Literal["off", "openai"] = "off"
    """`openai`: prompts are first shown to OpenAI's moderation endpoint, and refused if it objects."""

    moderation_unavailable: Literal["allow", "refuse"] = "refuse"
    """What happens to a prompt when the moderation cannot be asked."""

    moderation_s: float = Field(default=3.0, gt=0)
    """Deadline for the moderation of a prompt, in seconds."""

    forgotten_votes: Literal["deleted", "kept"] = "deleted"
    """The votes of a voter who asks to be forgotten: `deleted`, or `kept` without any text under a new random id."""

    body_s: float = Field(default=15.0, gt=0)
    """How long a request's body may take to arrive, in seconds."""

    rest_after_failures: int = Field(default=3, ge=1)
    """Failures in a row after which a model is rested."""

    rest_s: float = Field(default=30.0, gt=0)
    """First rest of a failing model; doubled at each failed trial, up to ten minutes; a tenth of it where fewer than
    two others are left."""

    drain_s: float = Field(default=15.0, ge=0)
    """How long running battles may finish when the arena is stopped."""

    question: str = "Which answer better demonstrates structural tension?"
    """The voting question above the vote bar; stored with each vote."""

    question_version: str = "1"
    """Version of the voting question; stored with each vote."""

    pairs_length_ratio: float = Field(default=5.0, gt=1)
    """Training files: a longer answer than so many times the other is held back."""

    pairs_near_identical: float = Field(default=0.95, gt=0, le=1)
    """Training files: answers at least so alike, 0 to 1, are held back."""

    openai_least_lines: int = Field(default=10, ge=1)
    """Fewest lines of a training file that OpenAI takes."""

    openai_most_bytes: int = Field(default=512_000_000, ge=1)
    """Largest training file that OpenAI takes."""

    vertex_most_lines: int = Field(default=10_000_000, ge=1)
    """Most lines of a training file that Vertex AI takes."""

    vertex_most_bytes: int = Field(default=1_000_000_000, ge=1)
    """Largest training file that Vertex AI takes."""

    vertex_most_line_tokens: int = Field(default=131_072, ge=1)
    """Longest line that Vertex AI takes, in tokens; longer ones are left out."""

    vertex_most_validation_lines: int = Field(default=5_000, ge=1)
    """Most lines of a validation file that Vertex AI takes; the rest trains."""

    session_hours: float = Field(default=12.0, gt=0)
    """How long an operator's session lasts."""

    forwarded_hops: int = Field(default=0, ge=0)
    """Number of trusted proxies in front; 0 believes no X-Forwarded-For; on a Hugging Face Space 1."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much the log says."""

    log_format: Literal["text", "json"] = "text"
    """`text` for people, `json` for programs: one object a line, with the battle's id where there is one."""

    @property
    def resolved_database_url(self) -> str:
        """The database's URL; demo votes have a file of their own and can never reach a real leaderboard."""
        if self.demo:
            return f"sqlite:///{self.data_dir / 'demo.db'}"
        return self.database_url or f"sqlite:///{self.data_dir / 'arena.db'}"

    @property
    def keeps_backups_elsewhere(self) -> bool:
        """Whether backups outlive the data folder."""
        return not self.resolved_backup_dir.absolute().is_relative_to(self.data_dir.absolute())

    @property
    def resolved_backup_dir(self) -> Path:
        """Where backups go."""
        return self.backup_dir or self.data_dir / "backups"


def load_settings(**overrides: object) -> Settings:
    """Read the environment and `.env`; `overrides` (command line flags) win, and those that are `None` are unset.

    Raises:
        ConfigError: a variable has a value of the wrong kind; names the variable and what is accepted.

    """
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**{**_hosting_defaults(), **given})
    except ValidationError as error:
        problems = [f"ARENA_{str(e['loc'][0]).upper()}: {e['msg']} (it is {e['input']!r})" for e in error.errors()]
        raise ConfigError("; ".join(problems)) from None
    return settings.model_copy(update={"backup_dir": _place_of_backups(settings)})


def _place_of_backups(settings: Settings) -> Path | None:
    """Decided once: a mount that goes away meanwhile must not part votes from the backups that they belong to."""
    mount = settings.backup_mount
    return mount if settings.backup_dir is None and mount is not None and is_mounted(mount) else settings.backup_dir


def _hosting_defaults() -> dict[str, Any]:
    """Defaults that differ on a Hugging Face Space: behind its one proxy, backups on the mounted bucket."""
    environment = read_environment()
    if "SPACE_ID" not in environment:
        return {}
    defaults: dict[str, Any] = {}
    if "ARENA_HOST" not in environment:
        defaults["host"] = "0.0.0.0"  # noqa: S104 - a Space is reached through its host's proxy only
    if "ARENA_TEMPORARY_STORAGE" not in environment:
        defaults["temporary_storage"] = True
    if "ARENA_FORWARDED_HOPS" not in environment:
        defaults["forwarded_hops"] = 1
    if environment.keys().isdisjoint(("ARENA_BACKUP_DIR", "ARENA_BACKUP_MOUNT")) and Path("/data").is_dir():
        defaults["backup_dir"] = Path("/data")
    return defaults


def read_environment() -> Mapping[str, str]:
    """The process's environment over the working folder's `.env`; empty values count as unset."""
    merged = {**dotenv_values(".env"), **os.environ}
    return {name: value for name, value in merged.items() if value}


def prepare_process() -> None:
    """Set what must be set before numpy and gradio are first imported; safe to call more than once.

    Measured: two BLAS threads make the small fits 3 to 10 times slower; gradio tries to import matplotlib twice a
    frame, and summarises its analytics with pandas after each event. For each of its components it reads its own
    source, at every import, to write a stub for editors that is there already: a quarter of the time that importing
    it takes.
    """
    replace_at_import("gradio.component_meta", "create_or_modify_pyi", lambda *_: None)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")  # else the last 10,000 are copied at each event
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    _give_memory_back()


def _give_memory_back() -> None:
    """Have the GNU C library keep less of what is no longer used; where it can.

    All threads allocate from two pools instead of eight for each core, whose gaps grow for hours: over five minutes of
    mixed traffic 367 MB and flat, instead of 386 MB and growing. And what takes a MB or more is given back as soon as
    it is dropped. The library by itself raises that limit to the largest that it has seen, up to 32 MB, and then finds
    room for votes that are counted among what stays. A lower limit costs too much: with 128 kB a fit of 300 models
    takes three times as long.
    """
    with suppress(AttributeError, OSError):  # not the GNU C library
        for name, (option, value) in _ALLOCATION.items():
            if name not in os.environ:
                ctypes.CDLL(None).mallopt(option, value)
