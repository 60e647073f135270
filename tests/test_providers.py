"""What every provider promises, held against each platform's scripted server."""

import asyncio

import pytest

from arena.errors import FailureKind, ProviderUnavailable
from arena.providers.base import AnswerProgress, Message, Sampling, pump
from tests.provider_asking import HASTY, PATIENT, Platform, ask, closing
from tests.scripting import Fault, Script

pytest_plugins = ["tests.provider_fixtures"]

NOWHERE, EVERYWHERE = (), ("openai", "vertex")


async def test_thinking_is_kept_apart_from_the_text(platform: Platform) -> None:
    platform.say(Script("steady", reasoning="A hare sleeps."))

    async with closing(platform.connect()) as provider:
        progress = await ask(provider, platform.entry)

    assert (progress.text, progress.reasoning) == ("steady", "A hare sleeps.")


@pytest.mark.parametrize(
    ("fault", "kind", "lasting"),
    [
        (401, FailureKind.UNAUTHORISED, EVERYWHERE),
        (403, FailureKind.UNAUTHORISED, EVERYWHERE),
        (404, FailureKind.NOT_FOUND, EVERYWHERE),
        (429, FailureKind.RATE_LIMITED, NOWHERE),
        (400, FailureKind.BAD_REQUEST, EVERYWHERE),
        (500, FailureKind.SERVER_ERROR, NOWHERE),
        (503, FailureKind.SERVER_ERROR, NOWHERE),
        (Fault.STALL_HEADERS, FailureKind.NO_FIRST_TOKEN, NOWHERE),
        (Fault.STALL_FIRST, FailureKind.NO_FIRST_TOKEN, NOWHERE),
        (Fault.STALL_MIDWAY, FailureKind.SILENCE, NOWHERE),
        (Fault.CUT, FailureKind.CUT, NOWHERE),
        (Fault.DROP, FailureKind.CONNECTION, NOWHERE),
        (Fault.DROP_AT_ONCE, FailureKind.CONNECTION, NOWHERE),
        (Fault.EMPTY, FailureKind.EMPTY, NOWHERE),
        (Fault.BAD_JSON, FailureKind.MALFORMED, NOWHERE),
        (Fault.BAD_UTF8, FailureKind.MALFORMED, NOWHERE),
        (Fault.HTML, FailureKind.MALFORMED, ("openai",)),
        (Fault.NOT_STREAMED, FailureKind.MALFORMED, ("openai",)),
        (Fault.ERROR_EVENT, FailureKind.SERVER_ERROR, NOWHERE),
    ],
    ids=str,
)
async def test_every_fault_ends_as_its_kind_within_the_deadline_and_closes_the_stream(
    platform: Platform, fault: Fault | int, kind: FailureKind, lasting: tuple[str, ...]
) -> None:
    """`lasting`: where asking again is of no use."""
    async with closing(platform.connect()) as provider:
        await provider.prepare(platform.entry)
        platform.say(Script("slow and steady wins", fault=fault, fault_after=2))
        progress = await ask(provider, platform.entry, deadlines=HASTY)
        await platform.server.until(lambda server: not server.open_streams)

    assert progress.error is not None
    assert progress.error.kind is kind
    assert isinstance(progress.error, ProviderUnavailable) is (platform.name not in lasting)
    assert progress.finish is None
    assert "slow" not in progress.error.detail
    assert progress.total_ms is not None
    assert progress.total_ms < 3_000


@pytest.mark.parametrize("fault", [Fault.STALL_END, Fault.DROP_END])
async def test_what_goes_wrong_after_the_finish_reason_spoils_nothing(platform: Platform, fault: Fault) -> None:
    platform.say(Script("slow and steady", fault=fault))

    async with closing(platform.connect()) as provider:
        progress = await ask(provider, platform.entry)
        await platform.server.until(lambda server: not server.open_streams)

    assert progress.complete
    assert progress.text == "slow and steady"


async def test_cancelling_closes_the_connection_upstream_at_once(platform: Platform) -> None:
    platform.say(Script("slow and steady wins", fault=Fault.STALL_MIDWAY, fault_after=2))
    async with closing(platform.connect()) as provider:
        events = provider.stream(platform.entry, [Message("user", "Hello")], Sampling())
        task = asyncio.create_task(pump(events, PATIENT, AnswerProgress()))
        await platform.server.until(lambda server: server.stalled[platform.model] == 1)

        task.cancel()
        await platform.server.until(lambda server: server.hung_up == (platform.model,), timeout_s=1.0)

        with pytest.raises(asyncio.CancelledError):
            await task
    assert platform.server.open_streams == {}
    assert platform.server.told == ()
