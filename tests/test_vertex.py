"""The Vertex provider, through google-genai and google-auth, against a scripted server that verifies signatures."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.providers.base import LEAST_GATHERING_S, AnswerProgress, Delta, Finish, Message, Sampling, pump
from arena.providers.vertex_answers import VertexAnswer
from arena.providers.vertex_events import VertexEvents
from tests.provider_asking import PATIENT, TUNED, ask, closing, eventually, provider_for, vertex_entry
from tests.scripted_vertex import ScriptedVertex
from tests.scripting import Fault, Script

pytest_plugins = ["tests.provider_fixtures"]


async def test_a_tuned_model_is_answered_by_the_endpoint_that_it_is_deployed_to(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url), "Who wins the race?")
        again = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.text == again.text == "slow and steady"
    assert progress.finish is not None
    assert (progress.finish.reason, progress.finish.input_tokens, progress.finish.output_tokens) == ("stop", 4, 3)
    assert (progress.finish.request_id or "").startswith("resp-scripted")
    assert "/endpoints/97008782995188350976:streamGenerateContent" in vertex_server.requests[0].path
    assert vertex_server.lookups == [TUNED]


async def test_a_published_model_is_asked_by_its_name_and_may_think(vertex_server: ScriptedVertex) -> None:
    entry = vertex_entry(vertex_server.url, model_name="gemini-2.5-flash", project_id="ours", location="europe-west4")

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, entry)

    assert progress.text == "quick"
    asked = vertex_server.requests[0]
    assert "/projects/ours/locations/europe-west4/publishers/google/models/gemini-2.5-flash:" in asked.path
    assert "thinkingConfig" not in asked.body["generationConfig"]
    assert vertex_server.lookups == []


async def test_an_endpoint_is_used_as_it_is(vertex_server: ScriptedVertex) -> None:
    endpoint = "projects/242650888445/locations/us-central1/endpoints/4711"
    vertex_server.scripts[endpoint] = Script("at the endpoint")

    async with closing(provider_for(vertex_server)) as provider:
        entry = vertex_entry(vertex_server.url, model_name=endpoint)
        progress = await ask(provider, entry)

    assert progress.text == "at the endpoint"
    assert vertex_server.lookups == []
    assert provider.deployment(entry) is None


async def test_the_request_says_what_the_conversation_the_entry_and_the_sampling_say(
    vertex_server: ScriptedVertex,
) -> None:
    entry = vertex_entry(vertex_server.url, system_prompt="You are a tortoise.")
    messages = [Message("user", "Who wins?"), Message("assistant", "I do."), Message("user", "Why?")]

    async with closing(provider_for(vertex_server)) as provider:
        await ask(provider, entry, messages, sampling=Sampling(0.3, 0.9, 77))

    body = vertex_server.requests[0].body
    assert [(said["role"], said["parts"][0]["text"]) for said in body["contents"]] == [
        ("user", "Who wins?"),
        ("model", "I do."),
        ("user", "Why?"),
    ]
    assert body["systemInstruction"]["parts"][0]["text"] == "You are a tortoise."
    settings = body["generationConfig"]
    assert (settings["temperature"], settings["topP"], settings["maxOutputTokens"]) == (0.3, 0.9, 77)
    assert list(settings["thinkingConfig"].values()) == [0]


async def test_a_model_that_cannot_stop_thinking_is_asked_without_and_remembered(
    vertex_server: ScriptedVertex,
) -> None:
    vertex_server.scripts[TUNED] = Script("steady", refuses=("thinkingConfig",))

    async with closing(provider_for(vertex_server)) as provider:
        first = await ask(provider, vertex_entry(vertex_server.url))
        second = await ask(provider, vertex_entry(vertex_server.url))

    assert first.text == second.text == "steady"
    assert len(vertex_server.requests) == 3


async def test_an_answer_of_a_given_shape_is_asked_for_and_a_model_without_that_is_asked_in_words(
    vertex_server: ScriptedVertex,
) -> None:
    verdict = {"type": "string", "enum": ["A", "B"]}
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "overall": verdict},
        "required": ["reason", "overall"],
        "additionalProperties": False,
    }
    entry = vertex_entry(vertex_server.url)

    async with closing(provider_for(vertex_server)) as provider:
        await ask(provider, entry, schema=schema)
        vertex_server.scripts[TUNED] = Script("steady", refuses=("responseSchema",))
        refused = await ask(provider, entry, schema=schema)

    first, *_, last = [request.body["generationConfig"] for request in vertex_server.requests]
    assert first["responseMimeType"] == "application/json"
    assert first["responseSchema"]["property_ordering"] == ["reason", "overall"]
    assert first["responseSchema"]["properties"]["overall"]["enum"] == ["A", "B"]
    assert {"responseMimeType", "responseSchema"}.isdisjoint(last)
    assert len(vertex_server.requests) == 3
    assert refused.text == "steady"


@pytest.mark.parametrize("code", [401, 404])
async def test_an_error_in_mid_stream_is_never_answered_by_asking_again(
    vertex_server: ScriptedVertex, code: int
) -> None:
    vertex_server.scripts[TUNED] = Script(
        "slow and steady wins", fault=Fault.ERROR_EVENT, fault_after=2, error_code=code
    )

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.text == "slow and "
    assert progress.error is not None
    assert len(vertex_server.requests) == 1


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"])
async def test_a_withheld_answer_is_blocked(vertex_server: ScriptedVertex, reason: str) -> None:
    vertex_server.scripts[TUNED] = Script("slow and", finish=reason)

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.BLOCKED


async def test_an_answer_at_its_token_limit_is_an_answer_and_has_the_common_word(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("slow and", finish="MAX_TOKENS", usage=False)

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.complete
    assert progress.finish is not None
    assert progress.finish.reason == "length"
    assert progress.finish.output_tokens is None


async def test_an_answer_that_stopped_for_another_reason_failed(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("slow and", finish="OTHER")

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.SERVER_ERROR


async def test_an_answer_that_grows_too_long_is_hung_up_on(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("slow and steady wins", fault=Fault.STALL_MIDWAY, fault_after=3)

    async with closing(provider_for(vertex_server)) as provider:
        deadlines = replace(PATIENT, max_characters=10)
        progress = await ask(provider, vertex_entry(vertex_server.url), deadlines=deadlines)
        await vertex_server.until(lambda server: server.hung_up == (TUNED,), timeout_s=1.0)

    assert progress.error is not None
    assert progress.error.kind is FailureKind.TOO_LONG


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_character_arrives_however_the_events_are_cut(vertex_server: ScriptedVertex) -> None:
    said = "Ein Häschen 🐇 \u2028schläft\x85 \u2029{ein}\r\n\r\ndata: [DONE]\n\n兎と亀 \x1c\x0b\x0c]"
    vertex_server.tears_events = True
    vertex_server.scripts[TUNED] = Script(said, chunk_characters=2, reasoning="Über\u2028legt.")

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.text == said
    assert progress.reasoning == "Über\u2028legt."
    assert progress.complete


async def test_an_answer_that_has_begun_is_told_ten_times_a_second(
    vertex_server: ScriptedVertex,
) -> None:
    vertex_server.scripts[TUNED] = Script("one two three four five six " * 5, chunk_delay_s=0.02)
    told = []
    async with closing(provider_for(vertex_server)) as provider:
        events = provider.stream(vertex_entry(vertex_server.url), [Message("user", "Hello")], Sampling())
        async for event in events:
            told.append((asyncio.get_running_loop().time(), event))

    *pieces, (_, finish) = told
    pauses = [after - before for (before, _), (after, _) in itertools.pairwise(pieces)]
    assert isinstance(finish, Finish)
    assert "".join(piece.text for _, piece in pieces if isinstance(piece, Delta)) == "one two three four five six " * 5
    assert len(pauses) >= 3
    assert all(pause > LEAST_GATHERING_S * 0.9 for pause in pauses[1:])


async def test_what_came_before_a_silence_is_told_during_it(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("slow and steady wins", fault=Fault.STALL_MIDWAY, fault_after=3)
    progress = AnswerProgress()
    async with closing(provider_for(vertex_server)) as provider:
        events = provider.stream(vertex_entry(vertex_server.url), [Message("user", "Hello")], Sampling())
        task = asyncio.create_task(pump(events, PATIENT, progress))
        await eventually(lambda: progress.text == "slow and steady ")
        vertex_server.release(TUNED)
        await task

    assert progress.text == "slow and steady wins"
    assert progress.complete


async def test_two_answers_of_one_place_share_its_connection(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        await provider.prepare(vertex_entry(vertex_server.url))
        opened = vertex_server.connections
        for _ in range(3):
            await ask(provider, vertex_entry(vertex_server.url))

    assert vertex_server.connections == opened


async def test_requests_go_through_the_proxy_that_the_environment_names(
    vertex_server: ScriptedVertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", vertex_server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry("http://vertex.invalid"))

    assert progress.text == "slow and steady"
    assert vertex_server.requests[0].path.startswith("http://vertex.invalid/")


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_and_bare_json_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    stream = (
        ': keep-alive\n\ndata: {"a": "é"}\r\n\r\nevent: x\ndata:two\ndata: lines\n\nid: 1\n\n'
        '{\r\n  "error": {\r\n    "code": 503\r\n  }\r\n}\r\ndata: last'
    ).encode()
    events = VertexEvents()

    found = [data for at in range(0, len(stream), size) for data in events.feed(stream[at : at + size])]
    found += events.close()

    assert found == ['{"a": "é"}'.encode(), b"two\nlines", b'{\n  "error": {\n    "code": 503\n  }\n}', b"last"]


def test_an_error_in_mid_stream_needs_no_event_around_it() -> None:
    events, answer = VertexEvents(), VertexAnswer()
    stream = (
        b'data: {"candidates": [{"content": {"parts": [{"text": "slow"}]}}]}\r\n\r\n'
        b'{\n  "error": {\n    "code": 429,\n    "message": "Too much.",\n    "status": "RESOURCE_EXHAUSTED"\n  }\n}\n'
    )
    told = answer.gather(events.feed(stream))

    assert next(told) == Delta("slow")
    with pytest.raises(ProviderUnavailable, match="could not answer") as caught:
        next(told)
    assert caught.value.kind is FailureKind.RATE_LIMITED
    assert "429 RESOURCE_EXHAUSTED Too much." in caught.value.detail


def test_many_events_may_be_longer_than_one() -> None:
    events = VertexEvents()
    event = b'data: {"candidates": []}' + b" " * 50_000 + b"\n\n"

    assert sum(len(list(events.feed(event))) for _ in range(100)) == 100


@pytest.mark.parametrize("line", [b"data: ", b"{", b"x"])
def test_an_event_without_end_is_malformed(line: bytes) -> None:
    events = VertexEvents()

    with pytest.raises(ProviderUnavailable) as caught:
        for _ in range(100):
            list(events.feed(line + b"-" * 50_000 + (b"\n" if line != b"x" else b"")))

    assert caught.value.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    "chunk",
    [
        b"[]",
        b"nothing",
        b'"text"',
        b'{"candidates": 5}',
        b'{"candidates": [1]}',
        b'{"candidates": {"first": {}}}',
        b'{"candidates": [{"content": {"parts": [{"text": 1}]}}]}',
        b'{"candidates": [{"content": {"parts": {"text": "a"}}}]}',
        b'{"candidates": [{"finishReason": 1}]}',
        b'{"usageMetadata": 5}',
        b'{"error": "no"}',
    ],
)
def test_a_chunk_of_another_shape_is_malformed(chunk: bytes) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        VertexAnswer().read(chunk)

    assert caught.value.kind is FailureKind.MALFORMED


def test_a_prompt_that_the_platform_withholds_an_answer_to_is_blocked() -> None:
    with pytest.raises(ProviderError) as caught:
        VertexAnswer().read(b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "responseId": "r-1"}')

    assert caught.value.kind is FailureKind.BLOCKED
    assert caught.value.detail == "prompt: PROHIBITED_CONTENT (request r-1)"


# ── deployments ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_preparing_tells_the_deployment_and_spends_no_token(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        readiness = await provider.prepare(vertex_entry(vertex_server.url))

    assert readiness.ready
    assert readiness.deployment == "projects/242650888445/locations/us-central1/endpoints/97008782995188350976"
    assert vertex_server.requests == ()


async def test_a_model_that_is_not_deployed_is_not_ready_for_that_reason(vertex_server: ScriptedVertex) -> None:
    vertex_server.undeploy(TUNED)

    async with closing(provider_for(vertex_server)) as provider:
        readiness = await provider.prepare(vertex_entry(vertex_server.url))
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert not readiness.ready
    assert not readiness.retired
    assert "is not deployed: deploy it to an endpoint" in readiness.reason
    assert progress.error is not None
    assert progress.error.kind is FailureKind.NOT_CONFIGURED


async def test_a_model_that_does_not_exist_is_retired(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        readiness = await provider.prepare(vertex_entry(vertex_server.url, model_name=TUNED + "0"))

    assert readiness.retired
    assert "Vertex AI has no model" in readiness.reason


async def test_a_model_that_moved_to_another_endpoint_is_found_again_within_the_same_answer(
    vertex_server: ScriptedVertex,
) -> None:
    entry = vertex_entry(vertex_server.url)
    async with closing(provider_for(vertex_server)) as provider:
        await provider.prepare(entry)
        moved_to = vertex_server.deploy(TUNED, "4712")

        progress = await ask(provider, entry)

    assert progress.text == "slow and steady"
    assert provider.deployment(entry) == moved_to
    assert vertex_server.lookups == [TUNED, TUNED]


async def test_an_endpoint_that_is_gone_is_looked_up_once_and_then_not_found(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        await provider.prepare(vertex_entry(vertex_server.url))
        vertex_server.scripts[TUNED] = Script(fault=404)
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.error is not None
    assert progress.error.kind is FailureKind.NOT_FOUND
    assert vertex_server.lookups == [TUNED, TUNED]
    assert len(vertex_server.requests) == 1
