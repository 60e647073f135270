"""The rubric: what ships, what another team may put in its place, and how a mistake in the file is told."""

from pathlib import Path

import pytest
import yaml

from arena.errors import ConfigError
from arena.rubric import Rubric, criterion_key, key_in_words, load_rubric, split_key

CLARITY = {
    "id": "clarity",
    "name": "Clarity",
    "question": "Which answer is clearer?",
    "toward": {"name": "Clear", "looks_like": "One thought a sentence.", "example": "Open the window."},
    "away": {"name": "Muddled", "looks_like": "Thoughts run together.", "example": "Ventilation may be effected."},
}


def write(folder: Path, **file: object) -> Path:
    """Put a rubric into a data folder; the file."""
    path = folder / "rubric.yaml"
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    return path


def test_the_four_criteria_of_creative_orientation_ship_and_each_shows_both_poles(tmp_path: Path) -> None:
    rubric = load_rubric(tmp_path)

    assert [(c.toward.name, c.away.name) for c in rubric] == [
        ("Structural tension", "Gap-thinking"),
        ("Desired outcomes", "Problem-solving"),
        ("Natural advancement", "Oscillation"),
        ("Phases of the creative process", "Inspiration and ideation"),
    ]
    assert all(criterion.question.endswith("?") for criterion in rubric)
    said = [text for c in rubric for pole in (c.toward, c.away) for text in (pole.looks_like, pole.example)]
    assert len(set(said)) == 16
    assert all(40 < len(text) < 300 for text in said)


def test_another_team_replaces_the_file(tmp_path: Path) -> None:
    write(tmp_path, version=3, criteria=[CLARITY])

    rubric = load_rubric(tmp_path)

    assert rubric.version == "3"
    assert rubric.key("clarity") == "clarity@3"
    assert "clarity" in rubric
    assert "structural-tension" not in rubric


def test_an_arena_may_ask_for_no_criteria(tmp_path: Path) -> None:
    write(tmp_path, version="plain", criteria=[])

    assert load_rubric(tmp_path) == Rubric("plain")


def test_a_key_keeps_versions_apart_and_can_be_read_back() -> None:
    assert criterion_key("clarity", "1") != criterion_key("clarity", "2")
    assert split_key(criterion_key("clarity", "1.2")) == ("clarity", "1.2")
    assert split_key(criterion_key("clarity", None)) == ("clarity", None)


def test_every_mistake_is_told_with_its_file_entry_key_and_what_is_accepted(tmp_path: Path) -> None:
    wrong = {**CLARITY, "hue": "blue", "question": "", "away": {**CLARITY["away"], "colour": 1}}  # type: ignore[dict-item]
    nameless = {key: value for key, value in CLARITY.items() if key not in ("id", "name")}
    path = write(tmp_path, version="one two", criteria=[wrong, nameless], extra=1)

    with pytest.raises(ConfigError) as told:
        load_rubric(tmp_path)

    assert set(str(told.value).splitlines()) == {
        f"{path}: version: accepted are letters, digits, '.', '-' and '_', 40 at most, not 'one two'.",
        f"{path}: clarity: hue: unknown key; accepted are id, name, question, toward, away.",
        f"{path}: clarity: question: string should have at least 1 character, not ''.",
        f"{path}: clarity: away: colour: unknown key; accepted are name, looks_like, example.",
        f"{path}: criterion 2: id: is missing.",
        f"{path}: criterion 2: name: is missing.",
        f"{path}: extra: unknown key; accepted are version, criteria.",
    }


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ({"version": "1", "criteria": [CLARITY, CLARITY]}, "clarity: id: is there twice"),
        ({"version": "1", "criteria": [{**CLARITY, "id": f"c{n}"} for n in range(10)]}, "9 are the most, and there"),
        ({"version": "1", "criteria": [{**CLARITY, "id": "a@b"}]}, "a@b: id: accepted are small letters"),
        ({"version": True, "criteria": []}, "version: "),
    ],
)
def test_a_rubric_that_could_not_be_voted_on_is_refused(tmp_path: Path, file: dict[str, object], sentence: str) -> None:
    write(tmp_path, **file)

    with pytest.raises(ConfigError) as told:
        load_rubric(tmp_path)

    assert sentence in str(told.value)


def test_a_file_that_is_no_mapping_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text("- just\n- a list\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="must be a mapping with the keys version and criteria"):
        load_rubric(tmp_path)


def test_a_key_is_read_as_its_criterion_and_the_rubrics_version() -> None:
    assert key_in_words(Rubric("coaia-1").key("structural-tension")) == "structural tension (rubric coaia-1)"
    assert key_in_words("clarity") == "clarity"
