"""Google's credentials, through google-auth, against a scripted token endpoint that verifies signatures."""

import asyncio
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from arena.errors import FailureKind
from arena.providers.google_credentials import CredentialSource, GoogleCredentials
from arena.providers.vertex import VertexProvider
from tests.provider_asking import PATIENT, ask, closing, provider_for, vertex_entry
from tests.scripted_vertex import CLIENT_EMAIL, ScriptedVertex
from tests.scripting import Fault

pytest_plugins = ["tests.provider_fixtures"]


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


@pytest.mark.slow
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
