"""The training files in the data folder's `exports`, and the names under which they may be fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from arena.config import Settings
from arena.errors import ConfigError
from arena.preferences.manifest import Manifest, line_map_path, manifest_path, read_manifest


@dataclass(frozen=True, slots=True)
class Shelved:
    """A training file with its manifest, and what belongs to it."""

    path: Path
    manifest: Manifest
    made_at: datetime

    @property
    def parts(self) -> Mapping[str, Path]:
        """What can be fetched, by name; each is there."""
        found = (self.path, manifest_path(self.path), line_map_path(self.path))
        return {path.name: path for path in found if path.is_file()}


def exports_dir(settings: Settings) -> Path:
    """Where the files made on the Data page are."""
    return settings.data_dir / "exports"


def shelved_files(settings: Settings) -> Sequence[Shelved]:
    """Every training file with a manifest, the newest first; what is neither is passed over."""
    found = [one for path in exports_dir(settings).glob("*.manifest.json") if (one := _shelved(path)) is not None]
    return sorted(found, key=lambda one: (one.made_at, one.path.name), reverse=True)


def fetchable(settings: Settings) -> Mapping[str, Path]:
    """Everything that may be fetched, by name."""
    return {name: path for one in shelved_files(settings) for name, path in one.parts.items()}


def _shelved(path: Path) -> Shelved | None:
    try:
        manifest = read_manifest(path)
        file = path.parent / Path(manifest.file).name
        return Shelved(file, manifest, datetime.fromtimestamp(file.stat().st_mtime, UTC))
    except (ConfigError, OSError):
        return None
