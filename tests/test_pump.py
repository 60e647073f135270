"""The pump: a provider's stream becomes an answer in progress, within the arena's deadlines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.providers.base import AnswerProgress, Delta, Event, Finish, pump
from tests.provider_asking import PATIENT, told


async def pumped(events: Sequence[Event | Exception]) -> AnswerProgress:
    progress = AnswerProgress()
    await pump(told(events), PATIENT, progress)
    return progress


class Silent:
    """A stream that yields `before`, then nothing until it is closed or cancelled."""

    def __init__(self, before: Sequence[Event] = ()) -> None:
        self.before = before
        self.reached = asyncio.Event()
        self.ended = asyncio.Event()

    async def stream(self) -> AsyncIterator[Event]:
        try:
            for event in self.before:
                yield event
            self.reached.set()
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_a_finished_answer_has_its_text_its_end_and_its_times() -> None:
    progress = await pumped([Delta("slow "), Delta("and steady"), Finish("stop", 3, 2, "req_1")])

    assert progress.text == "slow and steady"
    assert progress.finish == Finish("stop", 3, 2, "req_1")
    assert progress.complete
    assert progress.changed.is_set()
    assert progress.first_token_ms is not None
    assert progress.total_ms is not None
    assert progress.total_ms >= progress.first_token_ms


async def test_thinking_is_kept_apart_and_counts_as_the_first_token() -> None:
    silent = Silent([Delta(reasoning="let me see")])
    progress = AnswerProgress()

    await pump(silent.stream(), replace(PATIENT, first_token_s=5, silence_s=0.05), progress)

    assert (progress.text, progress.reasoning) == ("", "let me see")
    assert not progress.begun
    assert progress.first_token_ms is not None
    assert progress.error is not None
    assert progress.error.kind is FailureKind.SILENCE


async def test_a_stream_without_a_finish_reason_was_cut() -> None:
    progress = await pumped([Delta("slow and")])

    assert not progress.complete
    assert isinstance(progress.error, ProviderUnavailable)
    assert progress.error.kind is FailureKind.CUT
    assert progress.text == "slow and"


@pytest.mark.parametrize(
    "events", [[Finish("stop")], [Delta(" \n"), Finish("stop")], [Delta(reasoning="hm"), Finish("length")]]
)
async def test_an_answer_without_text_is_empty(events: list[Event]) -> None:
    progress = await pumped(events)

    assert progress.finish is None
    assert progress.error is not None
    assert progress.error.kind is FailureKind.EMPTY


async def test_an_answer_that_grows_too_long_is_failed_and_its_stream_closed() -> None:
    silent = Silent([Delta("x" * 60), Delta(reasoning="y" * 41)])
    progress = AnswerProgress()

    await pump(silent.stream(), replace(PATIENT, max_characters=100), progress)

    assert progress.error is not None
    assert progress.error.kind is FailureKind.TOO_LONG
    assert silent.ended.is_set()


@pytest.mark.parametrize(
    ("before", "deadlines", "kind"),
    [
        ([], replace(PATIENT, first_token_s=0.05), FailureKind.NO_FIRST_TOKEN),
        ([Delta("slow")], replace(PATIENT, silence_s=0.05), FailureKind.SILENCE),
        ([Delta("slow")], replace(PATIENT, answer_s=0.05), FailureKind.TOO_SLOW),
    ],
)
async def test_a_missed_deadline_says_which_one_and_closes_the_stream(
    before: list[Event], deadlines: object, kind: FailureKind
) -> None:
    assert isinstance(deadlines, type(PATIENT))
    silent = Silent(before)
    progress = AnswerProgress()

    await pump(silent.stream(), deadlines, progress)

    assert isinstance(progress.error, ProviderUnavailable)
    assert progress.error.kind is kind
    assert silent.ended.is_set()
    assert progress.total_ms is not None
    assert progress.total_ms < 5_000


async def test_a_providers_failure_ends_up_in_the_answer() -> None:
    refused = ProviderError(FailureKind.BLOCKED)

    progress = await pumped([Delta("slow"), refused])

    assert progress.error is refused
    assert not progress.complete


async def test_a_bug_in_a_provider_fails_the_answer_and_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    progress = await pumped([ZeroDivisionError("boom")])

    assert progress.error is not None
    assert progress.error.kind is FailureKind.SERVER_ERROR
    assert "ZeroDivisionError: boom" in caplog.text


async def test_cancelling_the_task_ends_the_stream_and_leaves_no_verdict() -> None:
    silent = Silent([Delta("slow")])
    progress = AnswerProgress()
    task = asyncio.create_task(pump(silent.stream(), PATIENT, progress))
    await silent.reached.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert silent.ended.is_set()
    assert (progress.finish, progress.error) == (None, None)
    assert progress.total_ms is not None
