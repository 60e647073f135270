"""Scripted servers; a test module that wants them says `pytest_plugins = ["tests.provider_fixtures"]`."""

from collections.abc import Iterator

import pytest

from tests.provider_asking import TUNED
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_vertex import ScriptedVertex
from tests.scripting import Script


@pytest.fixture
def openai_server() -> Iterator[ScriptedOpenAI]:
    """An OpenAI server with one model, `tortoise`."""
    with ScriptedOpenAI({"tortoise": Script("slow and steady")}) as server:
        yield server


@pytest.fixture
def vertex_server() -> Iterator[ScriptedVertex]:
    """A Vertex AI with one tuned model, deployed, and one published model."""
    with ScriptedVertex({TUNED: Script("slow and steady"), "gemini-2.5-flash": Script("quick")}) as server:
        yield server
