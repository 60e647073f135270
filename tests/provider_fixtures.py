"""Scripted servers; a test module that wants them says `pytest_plugins = ["tests.provider_fixtures"]`."""

from collections.abc import Iterator

import pytest

from arena.providers.openai import OpenAIProvider
from tests.provider_asking import PATIENT, TUNED, Platform, openai_entry, provider_for, vertex_entry
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


@pytest.fixture(params=["openai", "vertex"])
def platform(request: pytest.FixtureRequest) -> Platform:
    """Each platform in turn."""
    if request.param == "openai":
        openai: ScriptedOpenAI = request.getfixturevalue("openai_server")
        return Platform("openai", openai, "tortoise", openai_entry(openai.url), lambda: OpenAIProvider(PATIENT))
    vertex: ScriptedVertex = request.getfixturevalue("vertex_server")
    return Platform("vertex", vertex, TUNED, vertex_entry(vertex.url), lambda: provider_for(vertex))
