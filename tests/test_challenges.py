"""The challenges that ship, and what a team's own file may hold."""

from collections import Counter
from pathlib import Path

import pytest

from arena.challenges import load_challenges
from arena.errors import ConfigError


def test_at_least_two_dozen_varied_challenges_ship(tmp_path: Path) -> None:
    challenges = load_challenges(tmp_path)

    areas = Counter(challenge.tags[0] for challenge in challenges)
    assert len(challenges) >= 24
    assert set(areas) == {"life", "art", "work", "learning", "community"}
    assert min(areas.values()) >= 4
    assert len({challenge.text for challenge in challenges}) == len(challenges)


def test_eight_shipped_challenges_are_held_out_of_training(tmp_path: Path) -> None:
    held_out = [challenge for challenge in load_challenges(tmp_path) if challenge.held_out]

    assert len(held_out) == 8
    assert {challenge.tags[0] for challenge in held_out} == {"life", "art", "work", "learning", "community"}


def test_a_file_in_the_data_folder_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "challenges.yaml").write_text("version: 1\nchallenges:\n  - {id: own, tags: [life], text: ' Ours '}\n")

    (only,) = load_challenges(tmp_path)

    assert (only.id, only.text, only.held_out) == ("own", "Ours", False)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("challenges: [", "YAML"),
        ("version: 1\nchallenges: [{id: x, tags: [life]}]", "challenges.0.text"),
        ("version: 1\nchallenges: [{id: x, tags: [life], text: t, held: true}]", "challenges.0.held"),
        ("version: 1\nchallenges: [{id: x, tags: [a], text: t}, {id: x, tags: [a], text: u}]", "'x' is there twice"),
    ],
)
def test_a_wrong_file_is_named_with_the_wrong_place(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "challenges.yaml").write_text(content)

    with pytest.raises(ConfigError) as caught:
        load_challenges(tmp_path)

    assert str(tmp_path / "challenges.yaml") in str(caught.value)
    assert named in str(caught.value)
