"""Manifests: what stands beside a training file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from arena.errors import ConfigError
from arena.preferences.manifest import (
    TOKEN_ESTIMATE,
    Manifest,
    NamedFile,
    check_file,
    line_map_path,
    manifest_path,
    read_manifest,
    sha256_of,
    write_manifest,
)


def exported(folder: Path, lines: int) -> Manifest:
    """A file of so many lines with its line map; the manifest is not written yet."""
    file = folder / "train.jsonl"
    file.write_text("{}\n" * lines, encoding="utf-8")
    facts = [{"line": n, "battle": f"battle-{n * 7}", "turn": 1} for n in range(1, lines + 1)]
    line_map_path(file).write_text("".join(f"{json.dumps(fact)}\n" for fact in facts), encoding="utf-8")
    return Manifest(
        format="openai",
        split="train",
        file=file.name,
        sha256=sha256_of(file),
        bytes=file.stat().st_size,
        lines=lines,
        filters={"criterion": ""},
        votes=lines + 3,
        votes_through=lines + 9,
        kept=lines,
        no_pair={"tie": 2},
        held_back={"refusal": 1},
        left_out={},
        partner=NamedFile("validation.jsonl", "0" * 64),
        line_map=NamedFile(line_map_path(file).name, sha256_of(line_map_path(file))),
        tokens=12,
        token_estimate=TOKEN_ESTIMATE,
        models=["hare@1", "tortoise@2"],
        rules={"least_lines": 10},
        problems=[],
    )


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = exported(tmp_path, 12)

    path = write_manifest(tmp_path, manifest)

    assert path == manifest_path(tmp_path / "train.jsonl")
    assert read_manifest(path) == read_manifest(tmp_path / "train.jsonl") == manifest
    assert manifest.ready
    assert not replace(manifest, problems=["No."]).ready


def test_a_file_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    manifest = exported(tmp_path, 3)
    write_manifest(tmp_path, manifest)
    file = tmp_path / "train.jsonl"

    assert check_file(file) == manifest
    file.write_text("{}\n{}\n{} \n", encoding="utf-8")

    with pytest.raises(ConfigError, match="is not what was exported"):
        check_file(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "openai"}'])
def test_what_is_no_manifest_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.jsonl.manifest.json").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match="is not a manifest"):
        read_manifest(tmp_path / "train.jsonl")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(tmp_path / "other.jsonl")
