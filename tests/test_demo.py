"""The offline demonstration models."""

import itertools

import pytest

from arena.errors import FailureKind
from arena.providers.base import Message, Sampling
from arena.providers.demo import DemoProvider, Tempo, demo_roster
from arena.providers.demo_answers import ORIENTATIONS, compose, read_topic
from arena.roster import ModelEntry
from tests.provider_asking import PATIENT, ask

AT_ONCE = Tempo(first_token_s=(0.0, 0.0), tokens_per_s=1_000_000)
NOVEL = "How do I finish the novel that I have been writing for three years?"
PROMPTS = (
    NOVEL,
    "Our choir wants to sing outdoors. Help us to find a place in the old quarry!",
    "Write a poem about autumn leaves.",
    "I want to learn enough Portuguese to speak with my grandmother.",
    "你好",
    "{x} and {0}",
    "",
)


def test_three_models_are_offered_and_each_is_labelled_as_a_demonstration() -> None:
    roster = demo_roster()

    assert list(roster.models) == ["demo-structural-tension", "demo-problem-solving", "demo-inspiration"]
    assert all(entry.display_name.endswith("(offline demo)") for entry in roster)
    assert {entry.platform for entry in roster} == {"demo"}


@pytest.mark.parametrize("entry", list(demo_roster()), ids=lambda entry: entry.id)
async def test_each_model_streams_an_answer_of_several_paragraphs_about_the_prompt(entry: ModelEntry) -> None:
    progress = await ask(DemoProvider(AT_ONCE), entry, NOVEL)

    assert progress.complete
    assert progress.finish is not None
    assert progress.finish.reason == "stop"
    assert progress.finish.output_tokens == len(progress.text.split())
    assert "finish the novel that you have been writing" in progress.text
    assert len(progress.text.split("\n\n")) >= 4
    assert progress.text == compose(entry.model_name, [NOVEL])


def test_no_answer_names_its_author() -> None:
    for orientation, prompt in itertools.product(ORIENTATIONS, PROMPTS):
        answer = compose(orientation, [prompt]).lower()

        assert "demo" not in answer
        assert "structural tension" not in answer
        assert "problem solving" not in answer
        assert "language model" not in answer


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_answers_differ_by_prompt_by_turn_and_by_orientation(orientation: str) -> None:
    answers = {compose(orientation, [prompt]) for prompt in PROMPTS}
    others = {compose(other, [NOVEL]) for other in ORIENTATIONS}

    assert len(answers) == len(PROMPTS)
    assert len(others) == len(ORIENTATIONS)
    assert compose(orientation, [NOVEL, "And then?"]) != compose(orientation, ["And then?"])
    assert compose(orientation, [NOVEL]) == compose(orientation, [NOVEL])


def test_what_a_prompt_asks_for_and_names_is_found_and_said_to_its_writer() -> None:
    topic = read_topic(["I have a community garden in my street. Help me bring our neighbours back!"])

    assert topic.aim == "to bring your neighbours back"
    assert topic.names == ("community garden", "street", "neighbours")


async def test_the_token_limit_cuts_an_answer_as_it_does_elsewhere() -> None:
    entry = demo_roster().models["demo-inspiration"]

    progress = await ask(DemoProvider(AT_ONCE), entry, NOVEL, sampling=Sampling(max_new_tokens=5))

    assert len(progress.text.split()) == 5
    assert progress.finish is not None
    assert progress.finish.reason == "length"


async def test_a_further_turn_keeps_the_conversations_subject() -> None:
    entry = demo_roster().models["demo-structural-tension"]
    messages = [Message("user", NOVEL), Message("assistant", "…"), Message("user", "I am tired in the evenings")]

    progress = await ask(DemoProvider(AT_ONCE), entry, messages)

    assert "you are tired" in progress.text
    assert "evenings" in progress.text


async def test_text_comes_word_by_word_after_a_pause_like_a_real_models() -> None:
    entry = demo_roster().models["demo-inspiration"]
    tempo = Tempo(first_token_s=(0.05, 0.06), tokens_per_s=400)

    progress = await ask(DemoProvider(tempo), entry, NOVEL)

    assert progress.finish is not None
    assert progress.first_token_ms is not None
    assert progress.total_ms is not None
    assert progress.first_token_ms >= 45
    assert progress.total_ms - progress.first_token_ms >= 1000 * (progress.finish.output_tokens or 0) / 400 * 2 / 3


async def test_a_demonstration_model_that_does_not_exist_says_which_do() -> None:
    entry = ModelEntry(id="x", api_type="demo", model_name="genius", display_name="x")
    provider = DemoProvider(AT_ONCE)

    readiness = await provider.prepare(entry)
    progress = await ask(provider, entry, deadlines=PATIENT)

    assert not readiness.ready
    assert "structural-tension, problem-solving, inspiration" in readiness.reason
    assert progress.error is not None
    assert progress.error.kind is FailureKind.NOT_FOUND
