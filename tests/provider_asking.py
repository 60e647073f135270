"""What the tests of providers and of the fleet share: roster entries, platforms, and one asked answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from arena.providers.base import AnswerProgress, Deadlines, Event, JsonSchema, Message, Provider, Sampling, pump
from arena.providers.google_credentials import CredentialSource, GoogleCredentials
from arena.providers.vertex import VertexProvider
from arena.roster import ModelEntry
from tests.scripted_vertex import ScriptedVertex
from tests.scripting import Script, ScriptedServer

TUNED = "projects/242650888445/locations/us-central1/models/7008782995188350976"
"""A model resource, as the shipped roster names it."""

AnyProvider = TypeVar("AnyProvider", bound=Provider)

PATIENT = Deadlines(first_token_s=10, silence_s=10, answer_s=30)
"""Deadlines that no test waits for."""

HASTY = replace(PATIENT, first_token_s=0.6, silence_s=0.6, answer_s=3.0)
"""Deadlines that tests of silence wait for."""


def openai_entry(url: str, **fields: object) -> ModelEntry:
    """A roster entry for `tortoise` on the server at `url`."""
    return ModelEntry.model_validate(
        {"id": "tortoise", "api_type": "openai", "model_name": "tortoise", "api_base": url, **fields}
    )


def vertex_entry(url: str, **fields: object) -> ModelEntry:
    """A roster entry for the tuned model on the server at `url`."""
    described = {
        "id": "gemini",
        "api_type": "vertex",
        "model_name": TUNED,
        "project_id": "top-moment-465521-v9",
        "location": "us-central1",
        "api_base": url,
    }
    return ModelEntry.model_validate({**described, **fields})


def provider_for(server: ScriptedVertex) -> VertexProvider:
    """A provider with the service account of `server`."""
    return VertexProvider(GoogleCredentials(CredentialSource(json.dumps(server.credentials()))), PATIENT)


@dataclass(frozen=True, slots=True)
class Platform:
    """A scripted server with a model, and the provider that asks it."""

    name: str
    server: ScriptedServer
    model: str
    """As the server's scripts name it."""
    entry: ModelEntry
    connect: Callable[[], Provider]

    def say(self, script: Script) -> None:
        """Have the model answer so."""
        self.server.scripts[self.model] = script


@asynccontextmanager
async def closing(provider: AnyProvider) -> AsyncIterator[AnyProvider]:
    """Close the provider at the end."""
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask(
    provider: Provider,
    entry: ModelEntry,
    prompt: str | Sequence[Message] = "Who wins?",
    *,
    sampling: Sampling | None = None,
    deadlines: Deadlines = PATIENT,
    schema: JsonSchema | None = None,
) -> AnswerProgress:
    """One answer, pumped to its end."""
    messages = [Message("user", prompt)] if isinstance(prompt, str) else prompt
    progress = AnswerProgress()
    await pump(provider.stream(entry, messages, sampling or Sampling(), schema), deadlines, progress)
    return progress


async def told(events: Sequence[Event | Exception]) -> AsyncIterator[Event]:
    """A stream of the given events; an exception among them is raised in its place."""
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


async def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Let the event loop run until `condition()` holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)
