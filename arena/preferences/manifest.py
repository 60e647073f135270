"""What stands beside a training file: its hash, what is in it, what was held back and why, each line's battle.

`train.jsonl` has its manifest in `train.jsonl.manifest.json`, and for each of its lines one line in
`train.jsonl.lines.jsonl`: `{"line": 1, "battle": …, "turn": …, "criterion": …, "agreed": …, …}`. Neither holds a moment
or a path, so that the same votes give the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from arena.errors import ConfigError

FileFormat = Literal["openai", "vertex", "trl", "kto", "sft"]
Split = Literal["train", "validation"]
TOKEN_ESTIMATE = "UTF-8 bytes of all texts divided by 4, and 4 more for each message"  # noqa: S105 - of a text, no secret
_PORTION = 1 << 20


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a manifest refers to, in the same folder."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a training file is, and what became of every vote that it could have been made from."""

    format: FileFormat
    split: Split
    file: str
    """Name of the training file, in the manifest's own folder."""
    sha256: str
    bytes: int
    lines: int
    filters: Mapping[str, Any]
    """What was asked for: `arena.preferences.filters.Filters`, as JSON."""
    votes: int
    """Votes looked at; the sum of `kept`, `no_pair` and `held_back`."""
    votes_through: int
    """The number of the latest vote that was looked at."""
    kept: int
    """Votes kept in both splits together, before what this format leaves out (`left_out`)."""
    no_pair: Mapping[str, int]
    """Votes that say nothing about two answers to one prompt, by reason (`tie`, `both_bad`, …)."""
    held_back: Mapping[str, int]
    """Votes that a gate held back, by the gate's name; a vote is counted at the first one that it does not pass."""
    left_out: Mapping[str, int]
    """Kept votes without a line of their own in either file: `same_answers` (a vote that agrees with one that is in
    it), `same_line` (it would repeat a line), `too_long` (its line is over the platform's limit)."""
    partner: NamedFile | None
    """The other split's file, if there is one."""
    line_map: NamedFile
    """The file that names each line's battle."""
    tokens: int
    """Estimated tokens of the whole file, one pass over it."""
    token_estimate: str
    """How `tokens` was estimated."""
    models: Sequence[str]
    """Whose answers are in it: `id@revision number`, sorted."""
    rules: Mapping[str, int]
    """The limits it was held against."""
    problems: Sequence[str]
    """Why the platform would refuse it, a sentence each; empty if it is ready."""
    lengths: Mapping[str, Any] = field(default_factory=dict)
    """How chosen and rejected answers differ in length: `arena.preferences.lengths.LengthLean`, as JSON."""

    @property
    def ready(self) -> bool:
        """Whether it keeps the platform's published rules."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The manifest as it is stored, with `ready` spelled out."""
        return {**asdict(self), "ready": self.ready}


def manifest_path(file: Path) -> Path:
    """Where the manifest of a training file is."""
    return file.with_name(f"{file.name}.manifest.json")


def line_map_path(file: Path) -> Path:
    """Where the line map of a training file is."""
    return file.with_name(f"{file.name}.lines.jsonl")


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest beside its file in `folder`; it appears under its name only when it is whole."""
    path = manifest_path(folder / manifest.file)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(manifest.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`, or of the training file at `path`.

    Raises:
        ConfigError: there is none, or it is not one.

    """
    own = path if path.name.endswith(".manifest.json") else manifest_path(path)
    try:
        stored = json.loads(own.read_text(encoding="utf-8"))
        known = {column.name: stored[column.name] for column in fields(Manifest)}
        known["partner"] = NamedFile(**stored["partner"]) if stored["partner"] else None
        known["line_map"] = NamedFile(**stored["line_map"])
    except OSError as error:
        raise ConfigError(f"{own}: cannot be read; write the file with `export`, which makes its manifest.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{own}: is not a manifest of this arena; export the file again.") from error
    return Manifest(**known)


def check_file(file: Path) -> Manifest:
    """The manifest of a training file that is still, byte for byte, what the manifest says.

    Raises:
        ConfigError: there is no manifest, or the file or its line map has changed since.

    """
    manifest = read_manifest(file)
    for path, expected in ((file, manifest.sha256), (line_map_path(file), manifest.line_map.sha256)):
        if not path.is_file() or sha256_of(path) != expected:
            raise ConfigError(f"{path}: is missing, or is not what was exported; export it again.")
    return manifest


def sha256_of(path: Path) -> str:
    """A file's SHA-256 as hexadecimal digits, read in portions."""
    digest = hashlib.sha256()
    with path.open("rb") as stored:
        while portion := stored.read(_PORTION):
            digest.update(portion)
    return digest.hexdigest()
