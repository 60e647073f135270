"""The OpenAI provider, through the official SDK, against a scripted server on a real socket."""

import logging
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest

from arena.errors import FailureKind, ProviderUnavailable
from arena.providers.base import Message, Sampling
from arena.providers.failures import retry_after
from arena.providers.openai import OpenAIProvider
from arena.providers.openai_events import Completion, ServerSentEvents
from tests.provider_asking import PATIENT, ask, closing, openai_entry
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

pytest_plugins = ["tests.provider_fixtures"]


async def test_an_answer_arrives_whole_with_its_tokens_and_request_id(openai_server: ScriptedOpenAI) -> None:
    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url), "Who wins the race?")

    assert progress.complete
    assert progress.text == "slow and steady"
    assert progress.finish is not None
    assert (progress.finish.reason, progress.finish.input_tokens, progress.finish.output_tokens) == ("stop", 4, 3)
    assert (progress.finish.request_id or "").startswith("req_scripted")
    assert openai_server.told == ("tortoise",)


async def test_the_request_says_what_the_conversation_the_entry_and_the_sampling_say(
    openai_server: ScriptedOpenAI,
) -> None:
    entry = openai_entry(openai_server.url, system_prompt="You are a tortoise.")
    messages = [Message("user", "Who wins?"), Message("assistant", "I do."), Message("user", "Why?")]

    async with closing(OpenAIProvider(PATIENT)) as provider:
        await ask(provider, entry, messages, sampling=Sampling(0.3, 0.9, 77))

    body = openai_server.requests[0].body
    assert [(said["role"], said["content"]) for said in body["messages"]] == [
        ("system", "You are a tortoise."),
        ("user", "Who wins?"),
        ("assistant", "I do."),
        ("user", "Why?"),
    ]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 0.9, 77)
    assert "max_completion_tokens" not in body


async def test_the_token_limit_has_the_name_that_the_entry_gives_it(openai_server: ScriptedOpenAI) -> None:
    entry = openai_entry(openai_server.url, options={"token_limit_parameter": "max_completion_tokens"})

    async with closing(OpenAIProvider(PATIENT)) as provider:
        await ask(provider, entry)

    body = openai_server.requests[0].body
    assert body["max_completion_tokens"] == 2000
    assert "max_tokens" not in body


async def test_openais_key_is_not_sent_to_a_third_party(
    openai_server: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-operators-own")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    async with closing(OpenAIProvider(PATIENT)) as provider:
        await ask(provider, openai_entry(openai_server.url))
        await ask(provider, openai_entry(openai_server.url, api_key=" its-own-key\n"))

    assert [request.authorization for request in openai_server.requests] == ["Bearer none", "Bearer its-own-key"]


async def test_what_a_model_refuses_is_left_out_and_remembered(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script("steady", refuses=("stream_options", "temperature", "top_p"))

    async with closing(OpenAIProvider(PATIENT)) as provider:
        first = await ask(provider, openai_entry(openai_server.url))
        asked = len(openai_server.requests)
        second = await ask(provider, openai_entry(openai_server.url))

    assert first.text == second.text == "steady"
    assert first.finish is not None
    assert first.finish.output_tokens is None
    assert (asked, len(openai_server.requests)) == (4, 5)
    assert {"temperature", "top_p", "stream_options"}.isdisjoint(openai_server.requests[-1].body)


async def test_an_answer_of_a_given_shape_is_asked_for_and_a_server_without_that_is_asked_in_words(
    openai_server: ScriptedOpenAI,
) -> None:
    schema = {"type": "object", "properties": {"overall": {"type": "string"}}, "required": ["overall"]}
    entry = openai_entry(openai_server.url)

    async with closing(OpenAIProvider(PATIENT)) as provider:
        await ask(provider, entry, schema=schema)
        openai_server.scripts["tortoise"] = Script("steady", refuses=("response_format",))
        refused = await ask(provider, entry, schema=schema)

    formats = [request.body.get("response_format") for request in openai_server.requests]
    asked = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert formats == [asked, asked, None]
    assert refused.text == "steady"


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("soon", None), ("inf", None), ("", None), ("-1", 0.0)])
def test_how_long_a_platform_asks_to_be_left_alone_is_read_from_its_header(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds


def test_a_date_until_which_a_platform_asks_to_be_left_alone_becomes_seconds() -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)

    assert retry_after({"retry-after": format_datetime(moment, usegmt=True)}) == pytest.approx(3600, abs=30)


async def test_a_rate_limit_is_told_at_once_and_not_waited_out(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script(fault=429, retry_after_s=60)

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.RATE_LIMITED
    assert progress.total_ms is not None
    assert progress.total_ms < 5_000
    assert len(openai_server.requests) == 1


async def test_an_answer_at_its_token_limit_is_an_answer(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script("slow and", finish="length")

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url))

    assert progress.complete
    assert progress.finish is not None
    assert progress.finish.reason == "length"


async def test_a_filtered_answer_is_blocked(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script("slow and", finish="content_filter")

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.BLOCKED


async def test_an_answer_without_usage_is_an_answer(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script("steady", usage=False)

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url))

    assert progress.complete
    assert progress.finish is not None
    assert progress.finish.output_tokens is None


async def test_two_answers_of_one_server_share_its_connections(openai_server: ScriptedOpenAI) -> None:
    async with closing(OpenAIProvider(PATIENT)) as provider:
        for _ in range(3):
            await ask(provider, openai_entry(openai_server.url))

    assert openai_server.connections == 1


async def test_a_key_that_comes_back_in_an_error_does_not_reach_the_detail(openai_server: ScriptedOpenAI) -> None:
    openai_server.scripts["tortoise"] = Script(fault=401, message="Incorrect key s3cret-word, or sk-abc12345defg.")

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(openai_server.url, api_key="s3cret-word"))

    assert progress.error is not None
    assert "s3cret-word" not in progress.error.detail
    assert "sk-abc" not in progress.error.detail
    assert "req_scripted" in progress.error.detail
    assert str(progress.error) == "One of the models could not answer."


async def test_a_server_that_nobody_started_is_a_connection_failure_and_says_so_when_prepared() -> None:
    entry = openai_entry("http://127.0.0.1:9/v1")

    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, entry)
        readiness = await provider.prepare(entry)

    assert isinstance(progress.error, ProviderUnavailable)
    assert progress.error.kind is FailureKind.CONNECTION
    assert readiness.reason == "No server answers at http://127.0.0.1:9/v1: start it, or correct api_base."


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1/v1"])
async def test_an_address_that_is_none_is_a_failure_and_no_crash(address: str) -> None:
    async with closing(OpenAIProvider(PATIENT)) as provider:
        progress = await ask(provider, openai_entry(address))
        readiness = await provider.prepare(openai_entry(address))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.CONNECTION
    assert not readiness.ready


async def test_preparing_asks_no_question_and_a_server_that_describes_no_models_is_ready(
    openai_server: ScriptedOpenAI,
) -> None:
    async with closing(OpenAIProvider(PATIENT)) as provider:
        known = await provider.prepare(openai_entry(openai_server.url))
        undescribed = await provider.prepare(openai_entry(openai_server.url, model_name="hare"))

    assert known.ready
    assert undescribed.ready
    assert openai_server.requests == ()


async def test_a_refused_key_makes_a_model_not_ready_and_names_where_it_comes_from(
    openai_server: ScriptedOpenAI,
) -> None:
    openai_server.scripts["tortoise"] = Script(fault=401)

    async with closing(OpenAIProvider(PATIENT)) as provider:
        readiness = await provider.prepare(openai_entry(openai_server.url, api_key="wrong"))

    assert not readiness.ready
    assert readiness.reason.endswith("refused the API key; check api_key of this entry.")


async def test_no_prompt_answer_or_key_is_logged(
    openai_server: ScriptedOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with closing(OpenAIProvider(PATIENT)) as provider:
        await ask(provider, openai_entry(openai_server.url, api_key="s3cret-word"), "my private question")

    assert "s3cret" not in caplog.text
    assert "private" not in caplog.text
    assert "steady" not in caplog.text


# ── the reader of raw events ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    stream = ': keep-alive\n\ndata: {"a": "é"}\r\n\r\nevent: x\ndata:two\ndata: lines\n\nid: 1\n\ndata: last'.encode()
    events = ServerSentEvents()

    found = [data for at in range(0, len(stream), size) for data in events.feed(stream[at : at + size])]
    found += events.close()

    assert found == ['{"a": "é"}'.encode(), b"two\nlines", b"last"]


@pytest.mark.parametrize(
    "chunk",
    [b"[]", b'{"choices": "x"}', b'{"choices": [1]}', b'{"choices": [{"delta": {"content": [1]}}]}', b'{"usage": 5}'],
)
def test_a_chunk_of_another_shape_is_malformed(chunk: bytes) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        Completion().read(chunk)

    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    ("described", "understood"),
    [("2027-01-06", date(2027, 1, 6)), ("2027-01-06T00:00:00Z", date(2027, 1, 6)), ("soon", None), (None, None)],
)
async def test_an_announced_shutdown_is_told_before_it_happens(
    openai_server: ScriptedOpenAI, described: str | None, understood: date | None
) -> None:
    openai_server.scripts["tortoise"] = Script(shutdown_date=described)

    async with closing(OpenAIProvider(PATIENT)) as provider:
        readiness = await provider.prepare(openai_entry(openai_server.url))

    assert readiness.ready
    assert readiness.shuts_down_on == understood
