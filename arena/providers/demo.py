"""Offline demonstration models: rule-based, no network, each with a plainly different orientation."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from arena.errors import FailureKind, ProviderError
from arena.providers.base import Delta, Event, Finish, JsonSchema, Message, Readiness, Sampling
from arena.providers.demo_answers import ORIENTATIONS, compose
from arena.roster import ModelEntry, Roster


@dataclass(frozen=True, slots=True)
class Tempo:
    """How a demonstration model streams: like a real one, unless a test is in a hurry."""

    first_token_s: tuple[float, float] = (0.3, 0.6)
    """Range of the wait before the first word."""
    tokens_per_s: float = 60.0
    """Words a second; each comes up to a third earlier or later."""


class DemoProvider:
    """A `Provider` without a network: `model_name` is one of the orientations of `demo_answers`."""

    def __init__(self, tempo: Tempo | None = None) -> None:
        self._tempo = tempo or Tempo()

    async def prepare(self, model: ModelEntry) -> Readiness:
        """See `Provider.prepare`."""
        if model.model_name in ORIENTATIONS:
            return Readiness(True)
        accepted = ", ".join(ORIENTATIONS)
        return Readiness(False, f"There is no demonstration model {model.model_name!r}; model_name may be {accepted}.")

    async def stream(
        self, model: ModelEntry, messages: Sequence[Message], sampling: Sampling, schema: JsonSchema | None = None
    ) -> AsyncIterator[Event]:
        """See `Provider.stream`; the same conversation always gets the same answer, in words whatever the `schema`."""
        del schema
        if model.model_name not in ORIENTATIONS:
            raise ProviderError(FailureKind.NOT_FOUND, f"no demonstration model {model.model_name!r}")
        prompts = [message.content for message in messages if message.role == "user"]
        words = re.findall(r"\s*\S+", compose(model.model_name, prompts))
        told = words[: sampling.max_new_tokens]
        chance = random.Random("\n".join([model.id, *prompts]))  # noqa: S311 - rhythm, not secrets
        await asyncio.sleep(chance.uniform(*self._tempo.first_token_s))
        for word in told:
            yield Delta(word)
            await asyncio.sleep(chance.uniform(2 / 3, 4 / 3) / self._tempo.tokens_per_s)
        asked = sum(len(message.content.split()) for message in messages)
        yield Finish("stop" if told == words else "length", input_tokens=asked, output_tokens=len(told))

    def deployment(self, model: ModelEntry) -> str | None:
        """See `Provider.deployment`: there is nothing to resolve."""
        del model
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


def demo_roster() -> Roster:
    """The three demonstration models, each labelled as such."""
    names = {
        "structural-tension": "Structural tension (offline demo)",
        "problem-solving": "Problem solving (offline demo)",
        "inspiration": "Inspiration (offline demo)",
    }
    entries = [
        ModelEntry(
            id=f"demo-{orientation}",
            api_type="demo",
            model_name=orientation,
            display_name=display_name,
            family="demo",
        )
        for orientation, display_name in names.items()
    ]
    return Roster({entry.id: entry for entry in entries})
