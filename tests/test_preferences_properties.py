"""What holds for every training file, whatever was voted: told of hundreds of made-up votes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from arena.database import Database, open_database
from arena.preferences.export import export_files
from arena.preferences.filters import Filters
from arena.preferences.manifest import FileFormat, Manifest, Split, check_file
from arena.preferences.rules import Rules
from arena.preferences.selection import select_votes
from arena.preferences.similarity import plain
from arena.tables import Answer, Battle, Conversation, Mode, Prompt, Vote, Winner
from tests.arena_facts import add_models, add_vote
from tests.preference_facts import CHALLENGES, ORCHARD, SECRET_GARDEN, facts_of_lines, lines_of

PROMPTS = (SECRET_GARDEN.text, ORCHARD.text, "Where do I begin?", "And then?", "What is here?", "where do I  BEGIN?")
ANSWERS = ("Look at the field.", "Plant one tree.", "Come back tomorrow.", "PLANT one  tree.", "I can't help.", "")


@dataclass(frozen=True)
class Story:
    """One vote to be."""

    prompt: str
    answers: tuple[str, str]
    winner: Winner
    models: tuple[int, int]
    voter: str
    mode: Mode
    chained_to: str | None
    turns: int


STORIES = st.builds(
    Story,
    prompt=st.sampled_from(PROMPTS),
    answers=st.tuples(st.sampled_from(ANSWERS), st.sampled_from(ANSWERS)),
    winner=st.sampled_from(Winner),
    models=st.sampled_from([(1, 2), (2, 1), (2, 3), (1, 3)]),
    voter=st.sampled_from(["anna", "ben"]),
    mode=st.sampled_from([Mode.BATTLE, Mode.BATTLE, Mode.CAMPAIGN, Mode.SIDE_BY_SIDE]),
    chained_to=st.sampled_from([None, None, *PROMPTS]),
    turns=st.sampled_from([1, 1, 1, 2]),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three models, to be copied."""
    file = tmp_path_factory.mktemp("template") / "arena.db"
    database = open_database(f"sqlite:///{file}")
    add_models(database, "hare", "fox", "heron")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


def tell(database: Database, stories: Sequence[Story]) -> None:
    for story in stories:
        opening: Sequence[Mapping[str, str]] = ()
        if story.chained_to:
            opening = (
                {"role": "user", "content": story.chained_to},
                {"role": "assistant", "content": "The field is bare."},
            )
        add_vote(
            database,
            *story.models,
            story.winner,
            turns=((story.prompt, *story.answers),) * story.turns,
            mode=story.mode,
            voter=story.voter,
            history=opening,
        )


@pytest.mark.slow
@settings(
    max_examples=8,
    phases=[Phase.generate],  # a failing example is small enough; making it smaller takes minutes
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stories=st.lists(STORIES, min_size=25, max_size=40), share=st.sampled_from([0.1, 0.5]))
def test_whatever_was_voted_files_keep_their_promises(template: Path, stories: Sequence[Story], share: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(template, folder / "arena.db")
        database = Database(f"sqlite:///{folder / 'arena.db'}")
        event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        tell(database, stories)
        for file_format in get_args(FileFormat):
            one, two = folder / file_format / "one", folder / file_format / "two"

            manifests = write(database, file_format, one, share)
            again = write(database, file_format, two, share)

            assert manifests == again
            assert_same_bytes(one, two)
            told = manifests[0]
            assert told.votes == len(stories) == told.kept + sum(told.no_pair.values()) + sum(told.held_back.values())
            assert_promises(database, *(list(examples(one / f"{split}.jsonl")) for split in get_args(Split)))
        database.close()


def assert_same_bytes(one: Path, two: Path) -> None:
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }
    assert len(list(one.iterdir())) == 6


def assert_promises(database: Database, train: Sequence["Example"], validation: Sequence["Example"]) -> None:
    """No prompt in both files, whole or as the beginning of a chain; nothing held out; every line as it was voted."""
    assert {example.prompt for example in train}.isdisjoint(example.prompt for example in validation)
    assert {plain(example.prompt[0]) for example in train}.isdisjoint(plain(e.prompt[0]) for e in validation)
    for example in (*train, *validation):
        assert SECRET_GARDEN.text not in example.prompt
        assert example.chosen != example.rejected
        assert_it_is_what_was_voted(database, example)


def write(database: Database, file_format: FileFormat, folder: Path, share: float) -> Sequence[Manifest]:
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    filters = Filters(negatives=file_format == "kto")
    with select_votes(database, filters, CHALLENGES, folder) as found:
        manifests = export_files(found, file_format, Rules("The platform"), train, validation, share)
    assert [check_file(train), check_file(validation)] == manifests
    return manifests


@dataclass(frozen=True)
class Example:
    """A line of any format: user's and assistant's turns, what is good in it, what is bad, and its battle."""

    prompt: tuple[str, ...]
    chosen: str | None
    rejected: str | None
    battle: str


def examples(file: Path) -> Iterator[Example]:
    for line, facts in zip(lines_of(file), facts_of_lines(file), strict=True):
        yield Example(*_said(line), str(facts["battle"]))


def _said(line: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None, str | None]:
    if "contents" in line:
        texts = [completion["completion"]["parts"][0]["text"] for completion in line["completions"]]
        return tuple(content["parts"][0]["text"] for content in line["contents"]), texts[0], texts[1]
    if "input" in line:
        shared, chosen, rejected = line["input"]["messages"], line["preferred_output"], line["non_preferred_output"]
        return _texts(shared), chosen[0]["content"], rejected[0]["content"]
    if "messages" in line:
        return _texts(line["messages"][:-1]), line["messages"][-1]["content"], None
    if "label" in line:
        said = line["completion"][0]["content"]
        return (_texts(line["prompt"]), said, None) if line["label"] else (_texts(line["prompt"]), None, said)
    return _texts(line["prompt"]), line["chosen"][0]["content"], line["rejected"][0]["content"]


def _texts(messages: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(message["content"] for message in messages)


def assert_it_is_what_was_voted(database: Database, example: Example) -> None:
    """The battle that the line map names has this prompt, these answers and this verdict."""
    with database.read() as session:
        battle = session.get_one(Battle, example.battle)
        conversation = session.get_one(Conversation, battle.conversation_id)
        prompt = session.get_one(Prompt, (conversation.id, 1)).text
        winner = session.get_one(Vote, battle.id).winner
        answers = {
            answer.side: answer.text
            for answer in session.scalars(select(Answer).where(Answer.conversation_id == conversation.id))
        }
    a, b = answers["a"], answers["b"]  # type: ignore[index]
    good, bad = {"model_a": ({a}, {b}), "model_b": ({b}, {a}), "both_bad": (set(), {a, b})}[winner.value]
    assert example.prompt == (*(message["content"] for message in conversation.history), prompt)
    assert example.chosen is None or example.chosen in good
    assert example.rejected is None or example.rejected in bad
