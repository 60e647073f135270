"""A selection written to files: train and validation by prompt, each with its manifest and line map.

The same votes give the same bytes. Files appear under their names only when they are whole, their manifests last.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from arena.errors import ConfigError
from arena.preferences.formats import FORMATS
from arena.preferences.lessons import said_in
from arena.preferences.manifest import (
    TOKEN_ESTIMATE,
    FileFormat,
    Manifest,
    NamedFile,
    Split,
    line_map_path,
    write_manifest,
)
from arena.preferences.pairs import Lesson, Negatives
from arena.preferences.rules import Rules, problems_of
from arena.preferences.selection import Selection
from arena.preferences.split import POSITIONS, boundary

_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4


@dataclass(slots=True)
class _Hashed:
    """A file that is being written under a draft's name, hashed on the way."""

    path: Path
    out: BinaryIO
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    @property
    def named(self) -> NamedFile:
        return NamedFile(self.path.name, self.digest.hexdigest())

    def write(self, line: bytes) -> None:
        self.out.write(line)
        self.digest.update(line)
        self.size += len(line)


@dataclass(slots=True)
class _Part:
    """One split's two files and what has gone into them."""

    split: Split
    file: _Hashed
    line_map: _Hashed
    lines: int = 0
    tokens: int = 0
    models: set[str] = field(default_factory=set)
    left_out: dict[str, int] = field(default_factory=dict)


def export_files(
    selection: Selection,
    file_format: FileFormat,
    rules: Rules,
    out: Path,
    validation_out: Path | None = None,
    share: float = 0.1,
    progress: Callable[[float], None] = lambda done: None,
) -> Sequence[Manifest]:
    """Write a selection's lessons to `out`, and `share` (0 to 1) of the prompts to `validation_out` if it is given.

    Returns the manifests as they were written: train, then validation. `progress` is called with the share done.

    Raises:
        ConfigError: a file cannot be written, or both have the same name.

    """
    if validation_out is not None and validation_out.resolve() == out.resolve():
        raise ConfigError("The train and the validation file need names of their own.")
    try:
        return _export(selection, file_format, rules, _splits(selection, rules, out, validation_out, share), progress)
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: cannot be written ({error.strerror}).") from error


@dataclass(frozen=True, slots=True)
class _Slice:
    """The positions whose prompts go into one file."""

    split: Split
    path: Path
    low: int
    high: int
    share: float


def _splits(
    selection: Selection, rules: Rules, out: Path, validation_out: Path | None, share: float
) -> Sequence[_Slice]:
    if validation_out is None:
        return [_Slice("train", out, 0, POSITIONS, 0.0)]
    edge = boundary(share)
    limit = rules.validation_limit(selection.lessons_kept)
    if limit is not None:
        first_too_many = selection.position_at(limit)
        edge = edge if first_too_many is None else min(edge, first_too_many)
    return [
        _Slice("train", out, edge, POSITIONS, share),
        _Slice("validation", validation_out, 0, edge, share),
    ]


def _export(
    selection: Selection,
    file_format: FileFormat,
    rules: Rules,
    slices: Sequence[_Slice],
    progress: Callable[[float], None],
) -> Sequence[Manifest]:
    try:
        parts = _write_drafts(selection, file_format, rules, slices, progress)
        for part in parts:
            for hashed in (part.file, part.line_map):
                _draft(hashed.path).replace(hashed.path)
    finally:
        for piece in slices:
            for path in (piece.path, line_map_path(piece.path)):
                _draft(path).unlink(missing_ok=True)
    manifests = _manifests(selection, file_format, rules, slices, parts)
    for piece, manifest in zip(slices, manifests, strict=True):
        write_manifest(piece.path.parent, manifest)
    return manifests


def _write_drafts(
    selection: Selection,
    file_format: FileFormat,
    rules: Rules,
    slices: Sequence[_Slice],
    progress: Callable[[float], None],
) -> Sequence[_Part]:
    selection.forget_lines()
    done = 0
    parts = []
    with ExitStack() as stack:
        for piece in slices:
            piece.path.parent.mkdir(parents=True, exist_ok=True)
            paths = (piece.path, line_map_path(piece.path))
            file, line_map = (_Hashed(path, stack.enter_context(_draft(path).open("wb"))) for path in paths)
            part = _Part(piece.split, file, line_map)
            parts.append(part)
            for lesson in selection.lessons(piece.low, piece.high):
                _write(part, selection, file_format, rules, lesson)
                done += 1
                progress(done / selection.lessons_kept)
    return parts


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _write(part: _Part, selection: Selection, file_format: FileFormat, rules: Rules, lesson: Lesson) -> None:
    """Write a lesson's lines, or count why it has none."""
    left_out = "same_line"
    written = False
    for record in FORMATS[file_format](lesson):
        tokens = estimated_tokens(record)
        if rules.most_line_tokens is not None and tokens > rules.most_line_tokens:
            left_out = "too_long"
            continue
        line = orjson.dumps(record)
        if not selection.first_time(hashlib.blake2b(line, digest_size=16).digest()):
            continue
        written = True
        part.lines += 1
        part.tokens += tokens
        part.file.write(line + b"\n")
        part.line_map.write(orjson.dumps({"line": part.lines, **_facts(lesson)}) + b"\n")
    if written:
        part.models.update(said.model for said in said_in(lesson))
    else:
        part.left_out[left_out] = part.left_out.get(left_out, 0) + 1


def _facts(lesson: Lesson) -> Mapping[str, Any]:
    """What the line map says of a lesson."""
    shared = {"battle": lesson.battle, "turn": lesson.turn, "criterion": lesson.criterion or None}
    answers = [{"model": said.model, "finish_reason": said.finish_reason} for said in said_in(lesson)]
    if isinstance(lesson, Negatives):
        return {**shared, "bad": answers}
    return {**shared, "agreed": lesson.agreed, "chosen": answers[0], "rejected": answers[1]}


def estimated_tokens(record: Mapping[str, Any]) -> int:
    """See `TOKEN_ESTIMATE`; of one line in any format."""
    texts = list(_texts(record))
    return sum(-(-len(text.encode()) // _BYTES_A_TOKEN) + _TOKENS_A_MESSAGE for text in texts)


def _texts(value: object) -> Iterator[str]:
    """Every text under `content` or `text`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("content", "text") and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _manifests(
    selection: Selection,
    file_format: FileFormat,
    rules: Rules,
    slices: Sequence[_Slice],
    parts: Sequence[_Part],
) -> Sequence[Manifest]:
    repeats = selection.kept - selection.lessons_kept
    left_out = {"same_answers": repeats} if repeats else {}
    for part in parts:
        for reason, count in part.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    partners = [part.file.named for part in reversed(parts)] if len(parts) > 1 else [None]
    return [
        Manifest(
            format=file_format,
            split=part.split,
            file=part.file.path.name,
            sha256=part.file.named.sha256,
            bytes=part.file.size,
            lines=part.lines,
            filters={**selection.filters.as_json(), "validation_share": piece.share},
            votes=selection.votes,
            votes_through=selection.votes_through,
            kept=selection.kept,
            no_pair=selection.no_pair,
            held_back=selection.held_back_counts,
            left_out=left_out,
            partner=partner,
            line_map=part.line_map.named,
            tokens=part.tokens,
            token_estimate=TOKEN_ESTIMATE,
            models=sorted(part.models),
            rules=rules.as_json(),
            problems=problems_of(rules, part.split, part.lines, part.file.size),
            lengths=selection.lengths.as_json(),
        )
        for piece, part, partner in zip(slices, parts, partners, strict=True)
    ]
