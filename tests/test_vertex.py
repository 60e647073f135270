"""The Vertex provider, through google-genai and google-auth, against a scripted server that verifies signatures."""

import asyncio
import itertools
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from arena.errors import FailureKind, ProviderError, ProviderUnavailable
from arena.providers.base import LEAST_GATHERING_S, AnswerProgress, Delta, Finish, Message, Sampling, pump
from arena.providers.google_credentials import CredentialSource, GoogleCredentials
from arena.providers.vertex import VertexProvider
from arena.providers.vertex_answers import VertexAnswer
from arena.providers.vertex_events import VertexEvents
from tests.provider_asking import PATIENT, TUNED, ask, closing, eventually, vertex_entry
from tests.scripted_vertex import CLIENT_EMAIL, ScriptedVertex
from tests.scripting import Fault, Script

pytest_plugins = ["tests.provider_fixtures"]

HASTY = replace(PATIENT, first_token_s=0.6, silence_s=0.6, answer_s=3.0)


def provider_for(server: ScriptedVertex) -> VertexProvider:
    """A provider with the service account of `server`."""
    return VertexProvider(GoogleCredentials(CredentialSource(json.dumps(server.credentials()))), PATIENT)


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


async def test_thinking_is_kept_apart_from_the_text(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("steady", reasoning="A hare sleeps.")

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert (progress.text, progress.reasoning) == ("steady", "A hare sleeps.")


@pytest.mark.parametrize(
    ("fault", "kind", "transient"),
    [
        (401, FailureKind.UNAUTHORISED, False),
        (403, FailureKind.UNAUTHORISED, False),
        (404, FailureKind.NOT_FOUND, False),
        (429, FailureKind.RATE_LIMITED, True),
        (400, FailureKind.BAD_REQUEST, False),
        (500, FailureKind.SERVER_ERROR, True),
        (503, FailureKind.SERVER_ERROR, True),
        (Fault.STALL_HEADERS, FailureKind.NO_FIRST_TOKEN, True),
        (Fault.STALL_FIRST, FailureKind.NO_FIRST_TOKEN, True),
        (Fault.STALL_MIDWAY, FailureKind.SILENCE, True),
        (Fault.CUT, FailureKind.CUT, True),
        (Fault.DROP, FailureKind.CONNECTION, True),
        (Fault.DROP_AT_ONCE, FailureKind.CONNECTION, True),
        (Fault.EMPTY, FailureKind.EMPTY, True),
        (Fault.BAD_JSON, FailureKind.MALFORMED, True),
        (Fault.BAD_UTF8, FailureKind.MALFORMED, True),
        (Fault.HTML, FailureKind.MALFORMED, True),
        (Fault.NOT_STREAMED, FailureKind.MALFORMED, True),
        (Fault.ERROR_EVENT, FailureKind.SERVER_ERROR, True),
    ],
    ids=str,
)
async def test_every_fault_ends_as_its_kind_within_the_deadline_and_closes_the_stream(
    vertex_server: ScriptedVertex, fault: Fault | int, kind: FailureKind, transient: bool
) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        await provider.prepare(vertex_entry(vertex_server.url))
        vertex_server.scripts[TUNED] = Script("slow and steady wins", fault=fault, fault_after=2)
        progress = await ask(provider, vertex_entry(vertex_server.url), deadlines=HASTY)
        await vertex_server.until(lambda server: not server.open_streams)

    assert progress.error is not None
    assert progress.error.kind is kind
    assert isinstance(progress.error, ProviderUnavailable) is transient
    assert progress.finish is None
    assert "slow" not in progress.error.detail
    assert progress.total_ms is not None
    assert progress.total_ms < 3_000


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


@pytest.mark.parametrize("fault", [Fault.STALL_END, Fault.DROP_END])
async def test_what_goes_wrong_after_the_finish_reason_spoils_nothing(
    vertex_server: ScriptedVertex, fault: Fault
) -> None:
    vertex_server.scripts[TUNED] = Script("slow and steady", fault=fault)

    async with closing(provider_for(vertex_server)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))
        await vertex_server.until(lambda server: not server.open_streams)

    assert progress.complete
    assert progress.text == "slow and steady"


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


async def test_cancelling_closes_the_connection_upstream_at_once(vertex_server: ScriptedVertex) -> None:
    vertex_server.scripts[TUNED] = Script("slow and steady wins", fault=Fault.STALL_MIDWAY, fault_after=2)
    async with closing(provider_for(vertex_server)) as provider:
        events = provider.stream(vertex_entry(vertex_server.url), [Message("user", "Hello")], Sampling())
        task = asyncio.create_task(pump(events, PATIENT, AnswerProgress()))
        await vertex_server.until(lambda server: server.stalled[TUNED] == 1)

        task.cancel()
        await vertex_server.until(lambda server: server.hung_up == (TUNED,), timeout_s=1.0)

        with pytest.raises(asyncio.CancelledError):
            await task
    assert vertex_server.open_streams == {}


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


# ── credentials ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_signed_token_serves_all_requests(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        await asyncio.gather(*(ask(provider, vertex_entry(vertex_server.url)) for _ in range(5)))

    assert len(vertex_server.token_requests) == 1
    assert vertex_server.token_requests[0]["iss"] == CLIENT_EMAIL
    assert len({request.authorization for request in vertex_server.requests}) == 1


async def test_a_key_file_is_read_from_where_googles_variable_points(
    vertex_server: ScriptedVertex, tmp_path: Path
) -> None:
    path = vertex_server.write_credentials(tmp_path / "key.json")
    credentials = GoogleCredentials(CredentialSource(path=str(path)))

    async with closing(VertexProvider(credentials, PATIENT)) as provider:
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.complete


async def test_a_revoked_token_is_replaced_within_the_same_answer(vertex_server: ScriptedVertex) -> None:
    async with closing(provider_for(vertex_server)) as provider:
        await ask(provider, vertex_entry(vertex_server.url))
        vertex_server.revoke_tokens()
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert progress.complete
    assert len(vertex_server.token_requests) == 2


async def test_a_token_that_is_about_to_end_is_replaced(vertex_server: ScriptedVertex) -> None:
    vertex_server.token_lifetime_s = 60  # google-auth calls a token invalid minutes before its end

    async with closing(provider_for(vertex_server)) as provider:
        await ask(provider, vertex_entry(vertex_server.url))
        vertex_server.token_lifetime_s = 3600
        progress = await ask(provider, vertex_entry(vertex_server.url))
        granted = len(vertex_server.token_requests)
        await ask(provider, vertex_entry(vertex_server.url))

    assert progress.complete
    assert len(vertex_server.token_requests) == granted


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (401, FailureKind.UNAUTHORISED, "Google refused the credentials: check GOOGLE_APPLICATION_CREDENTIALS"),
        (Fault.DROP_AT_ONCE, FailureKind.CONNECTION, "Google cannot be reached"),
        (Fault.HTML, FailureKind.MALFORMED, "Google gave no usable answer: the token endpoint's answer is no token"),
    ],
    ids=str,
)
async def test_a_token_endpoint_that_fails_is_told_apart_from_a_model_that_does(
    vertex_server: ScriptedVertex, fault: Fault | int, kind: FailureKind, words: str
) -> None:
    vertex_server.token_fault = fault

    async with closing(provider_for(vertex_server)) as provider:
        readiness = await provider.prepare(vertex_entry(vertex_server.url))
        progress = await ask(provider, vertex_entry(vertex_server.url))

    assert readiness.reason.startswith(words)
    assert progress.error is not None
    assert progress.error.kind is kind
    assert vertex_server.requests == ()


async def test_a_stalled_token_endpoint_blocks_neither_the_loop_nor_the_end_and_is_shared_by_all_who_wait(
    vertex_server: ScriptedVertex,
) -> None:
    vertex_server.token_fault = Fault.STALL_HEADERS
    impatient = replace(PATIENT, first_token_s=0.3)
    credentials = GoogleCredentials(CredentialSource(json.dumps(vertex_server.credentials())))

    async with closing(VertexProvider(credentials, impatient)) as provider:
        readiness = await provider.prepare(vertex_entry(vertex_server.url))
        progress = await ask(provider, vertex_entry(vertex_server.url), deadlines=impatient)
        await vertex_server.until(lambda server: server.stalled["token"] == 1)
        vertex_server.release("token")
        late = await ask(provider, vertex_entry(vertex_server.url))

    assert readiness.reason == "Google did not answer in time: check this machine's way to the network."
    assert progress.error is not None
    assert progress.error.kind is FailureKind.NO_FIRST_TOKEN
    assert late.complete
    assert len(vertex_server.token_requests) == 1


_FROM_A_SLOW_DISK = """
import asyncio, sys
from arena.providers.google_credentials import CredentialSource, GoogleCredentials
from arena.providers.vertex import VertexProvider
from tests.provider_asking import PATIENT, closing, vertex_entry

class SlowDisk:
    took_s = 0
    def find_spec(self, name, *_):
        if name == "google.genai":
            self.took_s = 600

async def main():
    disk, loop = SlowDisk(), asyncio.get_running_loop()
    sys.meta_path.insert(0, disk)
    clock = loop.time
    loop.time = lambda: clock() + disk.took_s
    credentials = GoogleCredentials(CredentialSource(sys.argv[2]))
    async with closing(VertexProvider(credentials, PATIENT)) as provider:
        print(await provider.prepare(vertex_entry(sys.argv[1])))

asyncio.run(main())
"""


def test_google_is_not_blamed_for_the_time_that_its_sdk_takes_to_load(vertex_server: ScriptedVertex) -> None:
    program = [sys.executable, "-c", _FROM_A_SLOW_DISK, vertex_server.url, json.dumps(vertex_server.credentials())]

    said = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)

    assert said.stdout.startswith("Readiness(ready=True")


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"type": "service_account", "private_key": "s3cret"}'])
async def test_unusable_credentials_are_named_without_a_word_of_what_is_in_them(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async with closing(VertexProvider(GoogleCredentials(CredentialSource(text)), PATIENT)) as provider:
        readiness = await provider.prepare(vertex_entry("http://127.0.0.1:9"))

    assert readiness.reason.startswith("ARENA_GOOGLE_CREDENTIALS_JSON holds no usable Google credentials")
    assert "s3cret" not in readiness.reason + caplog.text


async def test_a_key_file_that_is_not_there_is_named() -> None:
    credentials = GoogleCredentials(CredentialSource(path="/nowhere/key.json"))

    async with closing(VertexProvider(credentials, PATIENT)) as provider:
        readiness = await provider.prepare(vertex_entry("http://127.0.0.1:9"))

    assert (
        readiness.reason
        == "GOOGLE_APPLICATION_CREDENTIALS: /nowhere/key.json cannot be read: No such file or directory."
    )


async def test_nothing_secret_is_logged(vertex_server: ScriptedVertex, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async with closing(provider_for(vertex_server)) as provider:
        await ask(provider, vertex_entry(vertex_server.url), "my private question")

    for word in ("private", "ya29", "steady", "BEGIN"):
        assert word not in caplog.text
