"""The platforms of a configuration, each made when it is first needed; no SDK is imported here."""

import threading

from arena.config import Settings, read_environment
from arena.errors import ConfigError
from arena.finetune.configuration import PlatformEntry, TuningConfig, load_tuning
from arena.finetune.platform import TuningPlatform
from arena.providers.google_credentials import CredentialSource


class Platforms:
    """Gives the platform of a name. Safe from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, TuningPlatform] = {}
        self._lock = threading.Lock()

    @property
    def config(self) -> TuningConfig:
        """What may be tuned, as the file says now.

        Raises:
            ConfigError: the file cannot be used.

        """
        return load_tuning(self._settings, read_environment())

    def __call__(self, name: str) -> TuningPlatform:
        """The platform `openai` or `vertex`.

        Raises:
            ConfigError: something that it needs is not configured; says what to set.

        """
        with self._lock:
            if name not in self._made:
                config = self.config
                self._made[name] = self._openai(config.openai) if name == "openai" else self._vertex(config.vertex)
            return self._made[name]

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for platform in self._made.values():
                platform.close()
            self._made.clear()

    def _openai(self, entry: PlatformEntry) -> TuningPlatform:
        from arena.finetune.openai import OpenAITuning

        key = read_environment().get(entry.key_variable) if entry.key_variable else "none"
        if key is None:
            raise ConfigError(f"{entry.key_variable} is not set: set it in the environment or in .env.")
        return OpenAITuning(key.strip(), entry.api_base)

    def _vertex(self, entry: PlatformEntry) -> TuningPlatform:
        from arena.finetune.vertex import VertexPlace, VertexTuning

        if entry.project_id is None:
            raise ConfigError("GOOGLE_CLOUD_PROJECT is not set: set it, or project_id in ARENA_TUNING_FILE.")
        if entry.bucket is None:
            raise ConfigError(
                "vertex.bucket is missing in ARENA_TUNING_FILE: name a Cloud Storage bucket for the files."
            )
        place = VertexPlace(
            entry.project_id, entry.location or "us-central1", entry.bucket, entry.api_base, entry.storage_base
        )
        given = self._settings.google_credentials_json
        path = read_environment().get("GOOGLE_APPLICATION_CREDENTIALS")
        return VertexTuning(place, CredentialSource(given.get_secret_value() if given else None, path))
