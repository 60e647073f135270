"""What the gate lets through, on a real socket in front of a small application that answers everything."""

import asyncio
import http.client
import json
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from arena.config import load_settings
from arena.web.assets import AssetCache
from arena.web.bodies import MAX_BODY_BYTES
from arena.web.events import PageOwners
from arena.web.gate import Gate
from arena.web.session import CookieRules, Sessions
from arena.web.streams import PageStreams
from tests.serving import served

JOIN = "/gradio_api/queue/join"
HTML = "<html><head><script>one</script><script type='module' src='/x.js'></script></head></html>"
SCRIPT = "answer = 42; " * 500


class Everything:
    """Answers whatever reaches it, and remembers what did."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.headers = Headers()
        """Of the latest request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        self.headers = request.headers
        self.bodies.append(await request.body())
        await self._answer(request.url.path)(scope, receive, send)

    def _answer(self, path: str) -> Response:
        if path.startswith(("/assets/", "/static/")):
            found = "missing" not in path
            return Response(SCRIPT if found else "no", 200 if found else 404, media_type="text/javascript")
        if path in ("/", "/leaderboard"):
            return HTMLResponse(HTML, headers={"Access-Control-Allow-Origin": "https://evil.example"})
        return JSONResponse({"path": path}, headers={"Access-Control-Allow-Origin": "https://evil.example"})


def gate(behind: Everything, sessions: Sessions, *, framed: bool = False, hops: int = 0) -> Gate:
    cookies = CookieRules(framed=framed)
    return Gate(AssetCache(behind), sessions=sessions, cookies=cookies, streams=PageStreams(), hops=hops)


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(b"a secret", "open sesame", load_settings())


@pytest.fixture(scope="module")
def _served(sessions: Sessions) -> Iterator[tuple[str, Everything]]:
    behind = Everything()
    with served(gate(behind, sessions)) as address:
        yield address, behind


@pytest.fixture
def behind(_served: tuple[str, Everything]) -> Everything:
    """What stands behind the gate, with nothing asked yet."""
    _, everything = _served
    everything.asked.clear()
    everything.bodies.clear()
    return everything


@pytest.fixture
def arena(_served: tuple[str, Everything]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served[0], verify=False) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/leaderboard",
        "/operations",
        "/config",
        "/theme.css",
        "/healthz",
        "/login",
        "/assets/index-abcdefgh.js",
        "/static/fonts/x.woff2",
        "/gradio_api/heartbeat/abc123",
        "/gradio_api/queue/data?session_hash=abc123",
        "/gradio_api/info",
        "/gradio_api/call/leaderboard/abc123",
    ],
)
def test_what_the_pages_ask_for_gets_through(arena: httpx.Client, path: str) -> None:
    assert arena.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=https://example.org/x",
        "/file=/etc/passwd",
        "/gradio_api/proxy=https://example.org",
        "/gradio_api/deep_link?session_hash=abc",
        "/gradio_api/runs",
        "/gradio_api/run/predict",
        "/gradio_api/call/vote/abc123",
        "/gradio_api/vibe-code",
        "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/gradio_api/openapi.json",
        "/monitoring",
        "/monitoring/summary",
        "/docs",
        "/login_check",
        "/token",
        "/assets/../config",
        "/assets/%2e%2e/config",
        "/static/..%2f..%2fetc/passwd",
        "/static//etc/passwd",
        "/assets/.hidden",
        "/assets/./index-abcdefgh.js",
        "/assets/index-abcdefgh.js/",
        "/assets/" + "x" * 300,
        "/static/" + "x" * 5000 + ".js",
        "/static/" + "x/" * 3000 + "x.js",
        "/assets/index%00.js",
        "/assets/%ff.js",
        "/assets/%C3%A9.js",
        "/assets/a%5cb.js",
        "/assets/%252e%252e/config",
        "//leaderboard",
    ],
)
def test_nothing_else_is_served(arena: httpx.Client, behind: Everything, path: str) -> None:
    assert raw_get(arena, path) in (404, 405)
    assert behind.asked == []


def test_whoever_asks_for_a_page_that_is_not_there_reads_a_page_and_a_program_a_line(arena: httpx.Client) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = arena.get("/nothing-here", headers=browser)
    line = arena.get("/nothing-here")
    foreign = arena.post("/login", headers={**browser, "origin": "https://evil.example"}, data={"password": "x"})

    assert (page.status_code, line.status_code, foreign.status_code) == (404, 404, 403)
    assert "<h1>Page not found</h1>" in page.text
    assert 'href="/"' in page.text
    assert page.headers["content-security-policy"] == line.headers["content-security-policy"]
    assert line.text == "There is no such page."
    assert "The request comes from another site." in foreign.text


def raw_get(arena: httpx.Client, path: str) -> int:
    """GET `path` as it is written: a browser would first resolve its dots."""
    with closing(http.client.HTTPConnection(arena.base_url.host, arena.base_url.port or 80)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/process_recording",
        "/gradio_api/run/vote",
        "/gradio_api/api/vote",
        "/gradio_api/call/vote",
        "/gradio_api/call/v2/leaderboard",
        "/gradio_api/component_server",
        "/gradio_api/vibe-edit",
        "/gradio_api/cancel",
        "/config",
        "/",
    ],
)
def test_nothing_else_can_be_posted_to(arena: httpx.Client, behind: Everything, path: str) -> None:
    assert arena.post(path, json={}).status_code in (404, 405)
    assert behind.asked == []


def test_other_methods_are_refused(arena: httpx.Client, behind: Everything) -> None:
    refused = arena.put("/gradio_api/queue/join", json={})

    assert refused.status_code == 405
    assert refused.headers["allow"] == "POST"
    assert behind.asked == []


def test_a_body_reaches_the_application_whole(arena: httpx.Client, behind: Everything) -> None:
    body = {"data": ["ペ" * 30_000]}

    assert arena.post(JOIN, json=body).status_code == 200
    assert json.loads(behind.bodies[0]) == body


def test_a_body_that_says_it_is_too_large_is_not_read(arena: httpx.Client, behind: Everything) -> None:
    headers = {"Content-Type": "application/json"}

    assert arena.post(JOIN, content=b" " * (MAX_BODY_BYTES + 1), headers=headers).status_code == 413
    assert behind.asked == []


def test_a_body_that_does_not_say_its_size_is_cut_off_while_it_comes(arena: httpx.Client, behind: Everything) -> None:
    url = urlsplit(str(arena.base_url))
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = (
            f"POST {JOIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(5):
            connection.sendall(chunk)
        status = connection.makefile("rb").readline()

    assert b" 413 " in status
    assert behind.asked == []


def test_bodies_that_are_thrown_away_fill_no_memory(arena: httpx.Client, behind: Everything) -> None:
    """Refusals are sent once the body has come, so that a browser reads them; many at once must cost nothing."""
    url, megabytes, piece = urlsplit(str(arena.base_url)), 8, b" " * 65_536
    head = f"POST {JOIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {megabytes << 20}"
    tracemalloc.start()
    try:
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode())
            for _ in range(megabytes * 16):
                connection.sendall(piece)
            status = connection.makefile("rb").readline()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert b" 413 " in status
    assert most < 2 << 20
    assert behind.asked == []


@pytest.mark.parametrize("given", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""])
def test_events_take_json_only(arena: httpx.Client, behind: Everything, given: str) -> None:
    assert arena.post(JOIN, content=b"{}", headers={"Content-Type": given}).status_code == 415
    assert behind.asked == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": ["text", 1, 0.5, None, True, ["a", ["b"]]]}, 200),
        ({"data": []}, 200),
        ({}, 200),
        ({"data": [{"path": "/etc/passwd"}]}, 400),
        ({"data": [["deep", [{"path": "/etc/passwd"}]]]}, 400),
        ({"data": {"0": "text"}}, 400),
        ({"data": ["what no database keeps: \0"]}, 400),
        ({"data": [["deep", ["\0"]]]}, 400),
        ({"data": [], "session_hash": "x" * 65}, 400),
        ({"data": [], "session_hash": ["x"]}, 400),
        (["no object"], 400),
    ],
)
def test_events_give_text_and_numbers_and_nothing_that_could_be_a_file(
    arena: httpx.Client, behind: Everything, body: object, status: int
) -> None:
    assert arena.post(JOIN, json=body).status_code == status
    assert len(behind.asked) == (status == 200)


def test_a_body_that_is_no_json_goes_no_further(arena: httpx.Client, behind: Everything) -> None:
    headers = {"Content-Type": "application/json"}

    assert arena.post(JOIN, content=b'{"data": [', headers=headers).status_code == 400
    assert behind.asked == []


def test_the_page_of_one_visitor_is_no_others(arena: httpx.Client, sessions: Sessions, behind: Everything) -> None:
    """Gradio would give another's events to whoever knows the name of their connection."""
    owner, thief = ({"Cookie": f"arena_voter={sessions.new_voter()}"} for _ in range(2))
    stream, heartbeat = "/gradio_api/queue/data?session_hash=of-anna", "/gradio_api/heartbeat/ofanna"
    for headers, status in ((owner, 200), (thief, 409), ({}, 409), (owner, 200)):
        for session in ("of-anna", "ofanna"):
            asked = arena.post(JOIN, json={"data": [], "session_hash": session}, headers=headers)
            assert asked.status_code == status
        assert [arena.get(path, headers=headers).status_code for path in (stream, heartbeat)] == [status, status]
    assert len(behind.asked) == 8


def test_an_address_with_a_nul_goes_no_further(arena: httpx.Client, behind: Everything) -> None:
    for path in ("/leaderboard?tag=%00", "/export/leaderboard.json?tag=a%00b"):
        assert arena.get(path).status_code == 400
    assert behind.asked == []


def test_the_owner_of_an_open_page_is_known_however_many_names_a_script_invents() -> None:
    owners = PageOwners()
    with owners.streaming(None):
        assert owners.belongs("of-anna", "anna")
        with owners.streaming("of-anna"), owners.streaming("of-anna"):
            for number in range(owners.MOST + 1):
                owners.belongs(f"invented-{number}", "thief")
            assert not owners.belongs("of-anna", "thief")
        assert not owners.belongs("of-anna", "thief")
    assert owners.belongs("of-anna", "anna")
    for number in range(owners.MOST + 1):
        owners.belongs(f"invented-{number}", "thief")
    assert owners.belongs("of-anna", "thief")  # nobody has the page any more


@pytest.mark.parametrize("name", ["x" * 65, "x%00", "a%20b", "%C3%A9%2F"])
def test_what_is_no_name_of_a_page_is_not_remembered(arena: httpx.Client, behind: Everything, name: str) -> None:
    """Names are kept, by the thousand: long ones would fill the memory."""
    assert arena.get(f"/gradio_api/queue/data?session_hash={name}").status_code == 400
    assert behind.asked == []


def test_a_body_that_does_not_come_is_not_waited_for(behind: Everything, sessions: Sessions) -> None:
    refused: list[str] = []
    app = Gate(
        AssetCache(behind),
        sessions=sessions,
        cookies=CookieRules(),
        streams=PageStreams(),
        hops=0,
        refused=refused.append,
        body_s=0.05,
    )
    with served(app) as address:
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as connection:
            head = f"POST {JOIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
            connection.sendall(head.encode())
            answer = connection.makefile("rb").read()  # to the end: the connection is closed

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert refused == ["body_too_slow"]
    assert behind.asked == []


def test_the_password_form_is_a_form(arena: httpx.Client) -> None:
    assert arena.post("/login", data={"password": "x"}).status_code == 200
    assert arena.post("/login", json={"password": "x"}).status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ],
)
def test_another_site_cannot_post(arena: httpx.Client, behind: Everything, headers: dict[str, str]) -> None:
    assert arena.post(JOIN, json={}, headers=headers).status_code == 403
    assert behind.asked == []


def test_the_arenas_own_pages_and_programs_can_post(arena: httpx.Client) -> None:
    own = f"http://{arena.base_url.host}:{arena.base_url.port}"

    assert arena.post(JOIN, json={}, headers={"Origin": own}).status_code == 200
    assert (
        arena.post(JOIN, json={}, headers={"Sec-Fetch-Site": "same-origin", "Origin": "https://x"}).status_code == 200
    )
    assert arena.post(JOIN, json={}).status_code == 200


def test_a_trusted_proxys_name_for_the_arena_is_its_own(behind: Everything, sessions: Sessions) -> None:
    headers = {"Origin": "https://arena.example", "X-Forwarded-Host": "arena.example"}
    with served(gate(behind, sessions, hops=1)) as address:
        assert httpx.post(address + JOIN, json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(("hops", "host"), [(0, None), (1, "arena.example")])
def test_the_pages_hear_of_their_own_address_from_trusted_proxies_only(
    behind: Everything, sessions: Sessions, hops: int, host: str | None
) -> None:
    """Gradio writes the address into the page and its configuration."""
    said = [
        ("X-Forwarded-Host", "evil.example, arena.example"),
        ("X-Forwarded-Proto", "http, https"),
        ("X-Gradio-Server", "https://evil.example"),
    ]
    with served(gate(behind, sessions, hops=hops)) as address:
        httpx.get(address + "/config", headers=said)

    assert behind.headers.get("x-forwarded-host") == host
    assert behind.headers.get("x-forwarded-proto") == "https"
    assert "x-gradio-server" not in behind.headers


def test_every_answer_carries_the_security_headers(arena: httpx.Client) -> None:
    for answer in (arena.get("/"), arena.get("/config"), arena.get("/nowhere"), arena.post(JOIN, content=b"x")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert "access-control-allow-origin" not in answer.headers
        policy = policy_of(answer)
        assert policy["default-src"] == "'self'"
        assert policy["connect-src"] == "'self'"
        assert policy["object-src"] == "'none'"
        assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'self'"
        assert "unsafe-eval" not in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in policy["script-src"]


def policy_of(answer: httpx.Response) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def test_a_page_runs_the_scripts_that_were_served_with_it_only(arena: httpx.Client) -> None:
    first, second = arena.get("/"), arena.get("/")

    (nonce,) = set(re.findall(r'<script nonce="([^"]+)"', first.text))
    assert first.text.count("<script ") == 2
    assert policy_of(first)["script-src"] == f"'self' 'nonce-{nonce}'"
    assert nonce not in second.text


def test_a_new_visitor_gets_a_cookie_once(arena: httpx.Client, sessions: Sessions) -> None:
    first = arena.get("/")
    again = arena.get("/leaderboard")

    assert re.fullmatch(
        r"arena_voter=[\w.-]+; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax", first.headers["set-cookie"]
    )
    assert sessions.voter_id(httpx_headers(arena)) is not None
    assert "set-cookie" not in again.headers
    assert again.headers["cache-control"] == "no-store"


def httpx_headers(arena: httpx.Client) -> Headers:
    return Headers({"cookie": "; ".join(f"{name}={value}" for name, value in arena.cookies.items())})


def test_a_forged_cookie_is_replaced(arena: httpx.Client) -> None:
    assert "arena_voter=" in arena.get("/", headers={"Cookie": "arena_voter=somebody.signature"}).headers["set-cookie"]


def test_only_pages_give_cookies(arena: httpx.Client) -> None:
    for path in ("/config", "/healthz", "/gradio_api/info", "/assets/a-abcdefgh.js"):
        assert "set-cookie" not in arena.get(path).headers


def test_in_another_sites_frame_the_cookie_still_works_and_only_that_site_may_frame(
    behind: Everything, sessions: Sessions
) -> None:
    with served(gate(behind, sessions, framed=True)) as address:
        answer = httpx.get(address)

    assert answer.headers["set-cookie"].endswith("SameSite=None; Secure; Partitioned")
    assert policy_of(answer)["frame-ancestors"] == "'self' https://huggingface.co"
    assert "x-frame-options" not in answer.headers


def test_behind_a_proxy_with_https_the_cookie_is_secure(behind: Everything, sessions: Sessions) -> None:
    with served(gate(behind, sessions, hops=1)) as address:
        answer = httpx.get(address, headers={"X-Forwarded-Proto": "https"})

    assert answer.headers["set-cookie"].endswith("SameSite=Lax; Secure")


@pytest.mark.parametrize(("accepted", "encoding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
def test_files_are_asked_for_once_and_sent_as_the_browser_likes(
    arena: httpx.Client, behind: Everything, accepted: str, encoding: str | None
) -> None:
    path = f"/assets/for-{encoding}.js"

    for _ in range(3):
        answer = arena.get(path, headers={"Accept-Encoding": accepted})

        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.text == SCRIPT
    assert behind.asked == [path]


def test_browsers_keep_files_whose_name_holds_their_hash(arena: httpx.Client) -> None:
    for_ever = "public, max-age=31536000, immutable"

    assert arena.get("/assets/index-abcdefgh.js").headers["cache-control"] == for_ever
    assert arena.get("/static/arena/arena.css?v=0123456789ab").headers["cache-control"] == for_ever
    assert arena.get("/static/js/resizer.js").headers["cache-control"] == "public, max-age=86400"


def test_a_missing_file_is_not_remembered(arena: httpx.Client, behind: Everything) -> None:
    assert [arena.get("/assets/missing.js").status_code for _ in range(2)] == [404, 404]
    assert len(behind.asked) == 2


class Endless:
    """Tells a line every moment, for ever; an event's stream ends after its last words."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.last_words = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.loop = asyncio.get_running_loop()
        lines = self._until_told() if scope["path"].endswith("/data") else self._for_ever()
        await StreamingResponse(lines, media_type="text/event-stream")(scope, receive, send)

    async def finish(self) -> None:
        for _ in range(5):  # whoever closes streams has its turns first
            await asyncio.sleep(0)
        self.last_words.set()

    async def _for_ever(self) -> AsyncIterator[str]:
        while True:
            yield "alive\n"
            await asyncio.sleep(0.01)

    async def _until_told(self) -> AsyncIterator[str]:
        yield "a frame\n"
        await self.last_words.wait()
        yield "the last frame\n"


def test_open_pages_are_counted_and_end_whole_when_the_arena_stops(sessions: Sessions) -> None:
    endless, streams = Endless(), PageStreams()
    app = Gate(endless, sessions=sessions, cookies=CookieRules(), streams=streams, hops=0)
    with served(app) as address, httpx.stream("GET", f"{address}/gradio_api/heartbeat/abc") as page:
        lines = page.iter_lines()
        assert next(lines) == "alive"
        assert len(streams) == 1

        assert endless.loop is not None
        asyncio.run_coroutine_threadsafe(streams.close(), endless.loop).result(10)

        assert set(lines) <= {"alive"}  # and no complaint that the answer was cut off
        assert len(streams) == 0


def test_a_stream_that_carries_answers_may_finish_when_the_arena_stops(sessions: Sessions) -> None:
    endless, streams = Endless(), PageStreams()
    app = Gate(endless, sessions=sessions, cookies=CookieRules(), streams=streams, hops=0)
    with served(app) as address, httpx.stream("GET", f"{address}/gradio_api/queue/data?session_hash=x") as page:
        lines = page.iter_lines()
        assert next(lines) == "a frame"

        assert endless.loop is not None
        closing = asyncio.run_coroutine_threadsafe(streams.close(patience_s=30), endless.loop)
        asyncio.run_coroutine_threadsafe(endless.finish(), endless.loop).result(10)

        assert list(lines) == ["the last frame"]
        closing.result(10)
