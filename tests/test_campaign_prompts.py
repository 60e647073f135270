"""Files of prompts: every format, and every mistake told with its line."""

from pathlib import Path

import pytest

from arena.campaigns.prompts import read_prompts
from arena.errors import ConfigError
from tests.conftest import SettingsFactory

FILES = {
    "a.yaml": "- What do you want?\n- {id: orchard, prompt: An orchard., tags: [life, land]}\n",
    "b.yaml": "prompts:\n  - What do you want?\n  - id: orchard\n    text: An orchard.\n    tags: [life, land]\n",
    "c.jsonl": '"What do you want?"\n\n{"id": "orchard", "prompt": "An orchard.", "tags": ["life", "land"]}\n',
    "d.csv": "id,prompt,tags,source\n,What do you want?,,me\norchard,An orchard.,life; land,me\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_holds_texts_ids_and_tags(name: str, tmp_path: Path, make_settings: SettingsFactory) -> None:
    file = tmp_path / name
    file.write_text(FILES[name])

    first, second = read_prompts(file, make_settings())

    assert (first.key, first.text, first.tags) == ("1", "What do you want?", ())
    assert (second.key, second.text, second.tags) == ("orchard", "An orchard.", ("life", "land"))


def test_every_mistake_is_told_with_its_line(tmp_path: Path, make_settings: SettingsFactory) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(
        '{"prompt": "Fine."}\n{"prompt":\n{"text": ""}\n{"prompt": "Fine."}\n{"prompt": "x", "wait": 1}\n7\n'
    )

    with pytest.raises(ConfigError) as told:
        read_prompts(file, make_settings())

    lines = [line.removeprefix(f"{file}:") for line in str(told.value).split("\n")]
    assert [line.split(":")[0] for line in lines] == ["2", "3", "4", "5", "6"]
    assert "not JSON" in lines[0]
    assert "stands on line 1 already" in lines[2]
    assert "unknown key wait" in lines[3]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", "What?", "must end in .yaml, .jsonl or .csv"),
        ("a.yaml", "just: this", "must hold a list of prompts"),
        ("a.yaml", "- [", "cannot be read as YAML"),
        ("a.yaml", "[]", "holds no prompts"),
        ("a.csv", "question\nWhat?", "column named `prompt`"),
        ("a.csv", "prompt\nOne, two", "needs quotes"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    name: str, content: str, problem: str, tmp_path: Path, make_settings: SettingsFactory
) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(ConfigError, match=problem):
        read_prompts(tmp_path / name, make_settings())
