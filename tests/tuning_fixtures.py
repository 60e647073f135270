"""Training files with their manifests, and scripted platforms to send them to."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from arena.config import Settings, read_environment
from arena.database import Database
from arena.finetune.plan import Plan, Wish, make_plan
from arena.finetune.platforms import Platforms
from arena.finetune.sending import Sender
from arena.finetune.store import add_job
from arena.preferences.manifest import Manifest, NamedFile, line_map_path, sha256_of, write_manifest
from arena.roster import Roster, load_roster
from arena.tables import TuningJob
from tests.conftest import SettingsFactory
from tests.scripted_openai_tuning import BASE, KEY, ScriptedOpenAITuning
from tests.scripted_storage import ScriptedStorage
from tests.scripted_vertex_tuning import BASE as GEMINI
from tests.scripted_vertex_tuning import BUCKET, PROJECT, ScriptedVertexTuning
from tests.scripting import Script

QUESTIONS = tuple(f"What do you want to create in year {year}?" for year in range(12))


def write_training_file(
    folder: Path, file_format: str = "openai", questions: Sequence[str] = QUESTIONS, *, validation: Sequence[str] = ()
) -> Path:
    """A training file as an export writes it, line n made of battle `battle-n`; and its validation file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file, partner = folder / f"{file_format}.jsonl", None
    if validation:
        held = folder / f"{file_format}.validation.jsonl"
        _write(held, file_format, validation, "validation", None, "held")
        partner = NamedFile(held.name, sha256_of(held))
    _write(file, file_format, questions, "train", partner, "battle")
    if validation:
        # Each names the other.
        own = folder / f"{file_format}.validation.jsonl"
        _write(own, file_format, validation, "validation", NamedFile(file.name, sha256_of(file)), "held")
    return file


def _write(
    file: Path, file_format: str, questions: Sequence[str], split: Any, partner: NamedFile | None, battle: str
) -> None:
    lines = [json.dumps(_line(file_format, question, number)) for number, question in enumerate(questions, start=1)]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    facts = [{"line": number, "battle": f"{battle}-{number}", "turn": 1} for number in range(1, len(questions) + 1)]
    line_map_path(file).write_text("".join(f"{json.dumps(fact)}\n" for fact in facts), encoding="utf-8")
    content = file.read_bytes()
    manifest = Manifest(
        format=file_format,  # type: ignore[arg-type]
        split=split,
        file=file.name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        lines=len(questions),
        filters={},
        votes=len(questions),
        votes_through=len(questions),
        kept=len(questions),
        no_pair={},
        held_back={},
        left_out={},
        partner=partner,
        line_map=NamedFile(line_map_path(file).name, sha256_of(line_map_path(file))),
        tokens=1_000,
        token_estimate="as told",
        models=("hare@1", "tortoise@1"),
        rules={},
        problems=() if len(questions) >= 10 or split != "train" else ("It has too few lines.",),
    )
    write_manifest(file.parent, manifest)


def rewrite_manifest(file: Path, **changes: Any) -> None:
    """Change what a file's manifest says, as an export with other rules would."""
    from arena.preferences.manifest import read_manifest

    write_manifest(file.parent, replace(read_manifest(file), **changes))


def _line(file_format: str, question: str, number: int) -> dict[str, Any]:
    good, bad = f"See it first, then take step {number}.", f"Fix problem {number}."
    if file_format == "vertex":
        completions = [
            {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
            for score, text in ((1, good), (0, bad))
        ]
        return {"contents": [{"role": "user", "parts": [{"text": question}]}], "completions": completions}
    asked = {"role": "user", "content": question}
    if file_format == "sft":
        return {"messages": [asked, {"role": "assistant", "content": good}]}
    return {
        "input": {"messages": [asked], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [{"role": "assistant", "content": good}],
        "non_preferred_output": [{"role": "assistant", "content": bad}],
    }


@dataclass(slots=True)
class Workshop:
    """Scripted platforms, a configuration that names them, and a sender over a database."""

    openai: ScriptedOpenAITuning
    vertex: ScriptedVertexTuning
    storage: ScriptedStorage
    settings: Settings
    database: Database
    platforms: Platforms
    folder: Path

    def sender(self, holder: str = "this process", first_wait_s: float = 0.001) -> Sender:
        """A process that sends jobs and follows them."""
        return Sender(self.database, self.platforms, holder, first_wait_s=first_wait_s)

    def plan(self, platform: Any = "openai", file: Path | None = None, **wish: Any) -> Plan:
        """What a file would become, by default one that keeps all rules."""
        path = file or write_training_file(self.folder, "openai" if platform == "openai" else "vertex")
        return make_plan(self.platforms.config, Wish(platform, path, **wish))

    def job(self, platform: Any = "openai", **wish: Any) -> TuningJob:
        """A job that is stored and not sent yet."""
        return add_job(self.database, self.plan(platform, **wish))

    def finish(self, job: TuningJob, sender: Sender | None = None) -> TuningJob:
        """Advance a job until it has ended."""
        sender = sender or self.sender()
        for _ in range(30):
            job = sender.advance(job.id)
            if job.ended_at is not None:
                return job
        raise AssertionError(f"it does not end: {job.status}, {job.trouble}")


def roster_of(workshop: Workshop) -> Roster:
    """A roster file with one model, `coaia-1`, at the scripted OpenAI."""
    workshop.openai.scripts["tortoise"] = Script("Slow and steady, first see what you want.")
    entry = {"api_type": "openai", "model_name": "tortoise", "family": "coaia", "version": 1}
    file = workshop.folder.parent / "models.yaml"
    file.write_text(yaml.safe_dump({"coaia-1": entry}), encoding="utf-8")
    return load_roster(file, read_environment())


@pytest.fixture
def workshop(
    tmp_path: Path, database: Database, make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    """OpenAI, Vertex AI and Cloud Storage, with keys."""
    with ScriptedStorage(BUCKET) as storage, ScriptedOpenAITuning() as openai, ScriptedVertexTuning(storage) as vertex:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", openai.url)
        credentials = vertex.write_credentials(tmp_path / "vertex.json")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
        file = write_tuning_config(tmp_path / "tuning.yaml", vertex, storage)
        settings = make_settings(tuning_file=file)
        platforms = Platforms(settings)
        yield Workshop(openai, vertex, storage, settings, database, platforms, tmp_path / "files")
        platforms.close()


def write_tuning_config(file: Path, vertex: ScriptedVertexTuning, storage: ScriptedStorage) -> Path:
    """A tuning configuration with one base model at each scripted platform."""
    model = {"price": 5.0, "methods": ["preference", "supervised"], "hyperparameters": {"beta": 0.1}}
    reached = {"project_id": PROJECT, "bucket": f"{BUCKET}/arena", "api_base": vertex.url, "storage_base": storage.url}
    whole = {"openai": {"models": {BASE: model}}, "vertex": {**reached, "models": {GEMINI: model}}}
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return file
