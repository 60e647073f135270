"""Training files: lines that platforms take, manifests that tell what is in them, commands that write them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.genai.types import Content, GeminiPreferenceExample
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from pydantic import ConfigDict, TypeAdapter, ValidationError

from arena.cli import main
from arena.database import Database
from arena.errors import ConfigError
from arena.preferences.export import export_files
from arena.preferences.manifest import (
    FileFormat,
    Manifest,
    check_file,
    read_manifest,
)
from arena.preferences.rules import Rules, problems_of, rules_of
from arena.tables import Mode, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote
from tests.conftest import SettingsFactory
from tests.preference_facts import GOOD, PROMPT, TURNS, WORSE, facts_of_lines, lines_of, select

A, B, TIE, BOTH_BAD = Winner
HISTORY = ({"role": "user", "content": "I feel lost."}, {"role": "assistant", "content": "Where would you be?"})
VERSE = "Answer in verse."


@pytest.fixture
def chain(database: Database) -> str:
    """A continued battle of two models with one system prompt; its battle."""
    poet, bard = add_models(database, "poet", "bard", system_prompt=VERSE)
    return add_vote(database, poet, bard, B, turns=((PROMPT, WORSE, GOOD),), history=HISTORY)


def export(database: Database, file_format: FileFormat, out: Path, **rules: int) -> Manifest:
    with select(database, negatives=file_format == "kto") as found:
        (manifest,) = export_files(found, file_format, Rules("The platform", **rules), out)
    return manifest


TURNS_BEFORE = [*map(dict, HISTORY), {"role": "user", "content": PROMPT}]
CHAT = [{"role": "system", "content": VERSE}, *TURNS_BEFORE]
CHOSEN, REJECTED = ({"role": "assistant", "content": text} for text in (GOOD, WORSE))
LINES: Mapping[FileFormat, list[Mapping[str, Any]]] = {
    "openai": [
        {
            "input": {"messages": CHAT, "tools": [], "parallel_tool_calls": True},
            "preferred_output": [CHOSEN],
            "non_preferred_output": [REJECTED],
        }
    ],
    "vertex": [
        {
            "system_instruction": {"parts": [{"text": VERSE}]},
            "contents": [
                {"role": "user", "parts": [{"text": "I feel lost."}]},
                {"role": "model", "parts": [{"text": "Where would you be?"}]},
                {"role": "user", "parts": [{"text": PROMPT}]},
            ],
            "completions": [
                {"score": 1, "completion": {"role": "model", "parts": [{"text": GOOD}]}},
                {"score": 0, "completion": {"role": "model", "parts": [{"text": WORSE}]}},
            ],
        }
    ],
    "trl": [{"prompt": CHAT, "chosen": [CHOSEN], "rejected": [REJECTED]}],
    "kto": [
        {"prompt": CHAT, "completion": [CHOSEN], "label": True},
        {"prompt": CHAT, "completion": [REJECTED], "label": False},
    ],
    "sft": [{"messages": [*CHAT, CHOSEN]}],
}


@pytest.mark.usefixtures("chain")
def test_each_format_has_the_lines_that_its_readers_take(database: Database, tmp_path: Path) -> None:
    written = {name: lines_of(_exported(database, name, tmp_path)) for name in LINES}

    assert written == LINES


def _exported(database: Database, file_format: FileFormat, folder: Path) -> Path:
    export(database, file_format, folder / f"{file_format}.jsonl")
    return folder / f"{file_format}.jsonl"


@pytest.mark.usefixtures("chain")
def test_the_sdks_own_types_accept_the_lines(database: Database, tmp_path: Path) -> None:
    """No unknown key passes. Google's example type lacks the system instruction; OpenAI has none for a whole line."""
    (vertex,) = lines_of(_exported(database, "vertex", tmp_path))
    (openai,) = lines_of(_exported(database, "openai", tmp_path))
    (supervised,) = lines_of(_exported(database, "sft", tmp_path))
    strictly = ConfigDict(extra="forbid")
    messages = TypeAdapter(list[ChatCompletionMessageParam], config=strictly)
    answers = TypeAdapter(list[ChatCompletionAssistantMessageParam], config=strictly)

    Content.model_validate(vertex["system_instruction"])
    example = GeminiPreferenceExample.model_validate({k: v for k, v in vertex.items() if k != "system_instruction"})
    assert [completion.score for completion in example.completions or []] == [1, 0]
    assert set(openai["input"]) <= set(CompletionCreateParamsBase.__annotations__)
    for said in (openai["input"]["messages"], supervised["messages"]):
        messages.validate_python(said)
    with pytest.raises(ValidationError):
        messages.validate_python([{**openai["input"]["messages"][-1], "weight": 1}])
    for side in ("preferred_output", "non_preferred_output"):
        assert len(answers.validate_python(openai[side])) == 1


def test_a_vote_for_neither_gives_kto_two_bad_examples_and_the_others_nothing(
    database: Database, tmp_path: Path
) -> None:
    hare, fox = add_models(database, "hare", "fox")
    battle = add_vote(database, hare, fox, BOTH_BAD, turns=TURNS)

    kto, trl = (_exported(database, name, tmp_path) for name in ("kto", "trl"))

    assert [(line["completion"][0]["content"], line["label"]) for line in lines_of(kto)] == [
        (GOOD, False),
        (WORSE, False),
    ]
    assert [fact["battle"] for fact in facts_of_lines(kto)] == [battle, battle]
    assert lines_of(trl) == []
    assert read_manifest(trl).no_pair == {"both_bad": 1}


def test_the_manifest_tells_what_the_file_is_made_of(database: Database, tmp_path: Path, chain: str) -> None:
    hare, fox = add_models(database, "hare", "fox")
    add_vote(database, hare, fox, TIE, turns=TURNS)
    add_vote(database, hare, fox, A, turns=(("Where?", "I am sorry, I cannot help.", "Here."),))
    for voter in ("anna", "ben"):
        add_vote(database, hare, fox, A, mode=Mode.CAMPAIGN, voter=voter, turns=TURNS)
    out = tmp_path / "exports" / "train.jsonl"

    manifest = export(database, "openai", out, least_lines=10)

    assert check_file(out) == manifest
    assert (manifest.votes, manifest.kept, manifest.lines) == (5, 3, 2)
    assert (manifest.no_pair, manifest.held_back) == ({"tie": 1}, {"refusal": 1})
    assert manifest.left_out == {"same_answers": 1}
    assert manifest.models == ["bard@1", "fox@1", "hare@1", "poet@1"]
    assert manifest.bytes == out.stat().st_size
    assert manifest.problems == ["The platform takes no file of fewer than 10 lines: 8 more pairs are missing."]
    assert manifest.lengths["pairs"] == 2
    assert facts_of_lines(out)[0] == {
        "line": 1,
        "battle": chain,
        "turn": 2,
        "criterion": None,
        "agreed": 1,
        "chosen": {"model": "bard@1", "finish_reason": "stop"},
        "rejected": {"model": "poet@1", "finish_reason": "stop"},
    }
    assert facts_of_lines(out)[1]["agreed"] == 2


def test_tokens_are_estimated_from_bytes_of_the_texts(database: Database, tmp_path: Path) -> None:
    hare, fox = add_models(database, "hare", "fox")
    add_vote(database, hare, fox, A, turns=(("Größe?", "Ja.", "12345678"),))

    told = {name: export(database, name, tmp_path / "file.jsonl").tokens for name in ("openai", "vertex", "sft")}

    assert told == {"openai": 2 + 1 + 2 + 3 * 4, "vertex": 2 + 1 + 2 + 3 * 4, "sft": 2 + 1 + 2 * 4}


def test_a_line_over_the_platforms_limit_is_left_out_and_told(database: Database, tmp_path: Path, chain: str) -> None:
    hare, fox = add_models(database, "hare", "fox")
    add_vote(database, hare, fox, A, turns=(("What now?", "word " * 100, "another " * 100),))
    out = tmp_path / "train.jsonl"

    manifest = export(database, "vertex", out, most_line_tokens=100)

    assert (manifest.lines, manifest.left_out) == (1, {"too_long": 1})
    assert facts_of_lines(out)[0]["battle"] == chain
    assert manifest.models == ["bard@1", "poet@1"]


def test_an_answer_preferred_in_several_pairs_is_learnt_once(database: Database, tmp_path: Path) -> None:
    hare, fox, heron = add_models(database, "hare", "fox", "heron")
    add_vote(database, hare, fox, A, turns=TURNS)
    add_vote(database, hare, heron, A, turns=((PROMPT, GOOD, "Begin tomorrow."),))

    manifest = export(database, "sft", tmp_path / "sft.jsonl")

    assert (manifest.lines, manifest.left_out) == (1, {"same_line": 1})
    assert export(database, "trl", tmp_path / "trl.jsonl").lines == 2


def test_a_platforms_limit_on_validation_sends_the_rest_to_training(database: Database, tmp_path: Path) -> None:
    hare, fox = add_models(database, "hare", "fox")
    for number in range(12):
        add_vote(database, hare, fox, A, turns=((f"Question {number}?", f"Yes {number}", f"Not {number} yet"),))
    train, validation = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"

    with select(database) as found:
        rules = Rules("Vertex AI", most_validation_lines=3)
        told = export_files(found, "vertex", rules, train, validation, share=0.9)

    assert [(manifest.split, manifest.lines) for manifest in told] == [("train", 9), ("validation", 3)]
    assert (told[0].partner, told[1].partner) == (
        _named(validation, told[1]),
        _named(train, told[0]),
    )


def _named(path: Path, manifest: Manifest) -> Any:
    from arena.preferences.manifest import NamedFile

    return NamedFile(path.name, manifest.sha256)


def test_each_platforms_published_rules_are_held_against_a_file(make_settings: SettingsFactory) -> None:
    settings = make_settings(openai_most_bytes=1_000, vertex_most_lines=20)
    openai, vertex = rules_of(settings, "openai"), rules_of(settings, "vertex")

    assert problems_of(openai, "train", 10, 1_000) == []
    assert problems_of(openai, "train", 9) == ["OpenAI takes no file of fewer than 10 lines: 1 more pair is missing."]
    assert problems_of(openai, "train", 10, 1_001) == ["OpenAI takes at most 1,000 bytes: 1 too many."]
    assert problems_of(vertex, "train", 21) == ["Vertex AI takes at most 20 lines: 1 too many."]
    assert problems_of(vertex, "validation", 0) != []
    assert [vertex.validation_limit(lines) for lines in (10, 10_000, 1_000_000)] == [1_000, 3_000, 5_000]


@pytest.mark.usefixtures("chain")
def test_what_cannot_be_written_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    (tmp_path / "taken.jsonl").mkdir()

    with select(database) as found:
        with pytest.raises(ConfigError, match="names of their own"):
            export_files(found, "trl", Rules("TRL"), out, tmp_path / "." / "train.jsonl")
        with pytest.raises(ConfigError, match="cannot be written"):
            export_files(found, "trl", Rules("TRL"), tmp_path / "taken.jsonl")

    assert [path.name for path in tmp_path.iterdir() if "jsonl" in path.name] == ["taken.jsonl"]
    assert list((tmp_path / "data").glob(".selection-*")) == []


def test_the_commands_tell_of_pairs_and_write_files(
    database: Database, tmp_path: Path, chain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hare, fox = add_models(database, "hare", "fox")
    withdrawn = add_vote(database, hare, fox, A, turns=TURNS)
    withdraw_vote(database, withdrawn)
    out = tmp_path / "train.jsonl"

    def arena(*arguments: str) -> str:
        assert main(arguments) == 0
        captured = capsys.readouterr()
        return captured.out + captured.err

    told = json.loads(arena("pairs", "--json"))
    page = arena("pairs")
    arena("pairs", "--withhold", chain, "--because", "a private matter")
    withheld = arena("pairs", "--list", "withheld")
    arena("pairs", "--release", chain)
    wrote = arena("export", "--format", "openai", "--out", str(out))

    assert (told["kept"], told["pairs"], told["held_back"]) == (1, 1, {"withdrawn": 1})
    assert told["battles"] == {"withdrawn": [withdrawn]}
    assert told["problems"]["openai"] == ["OpenAI takes no file of fewer than 10 lines: 9 more pairs are missing."]
    assert "The voter took the vote back." in page
    assert withheld.split() == [chain]
    assert "9 more pairs are missing" in wrote
    assert facts_of_lines(out)[0]["battle"] == chain


@pytest.mark.parametrize(
    "arguments",
    [
        ("pairs", "--list", "boredom"),
        ("pairs", "--withhold", "nothing", "--because", "so"),
        ("pairs", "--release", "nothing"),
        ("export", "--format", "trl", "--out", "out.jsonl", "--demo"),
    ],
)
def test_wrong_use_of_the_commands_is_told_in_one_sentence(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_share_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(("export", "--format", "trl", "--out", "out.jsonl", "--validation", "1.5"))

    assert "above 0 and below 1" in capsys.readouterr().err
