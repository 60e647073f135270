"""Clients that send too much, half of something or nothing, or read nothing: everybody else keeps being served."""

import json
import logging
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event, select

from arena.outages import ADVICE, Trouble
from arena.tables import Battle, BattleState, Prompt
from arena.web import connections
from arena.web.connections import limit_unread
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Fault, Script
from tests.test_faults import lock_held
from tests.ui_fixtures import FAST, NAMES, Site, arena_site

pytestmark = pytest.mark.timeout(120)
HALF_OPEN = 2_000
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: arena\r\nX-Slow: "


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEAD_S", 2.0)
        with arena_site(tmp_path_factory.mktemp("unfriendly")) as site:
            yield site


@pytest.fixture
def visitor(site: Site) -> Iterator[ScriptedVisitor]:
    with ScriptedVisitor(site.url) as visitor:
        yield visitor


def address(site: Site) -> tuple[str, int]:
    url = httpx.URL(site.url)
    return url.host, url.port or 0


@pytest.mark.slow
def test_thousands_of_half_open_connections_keep_nobody_from_playing_and_are_given_up(
    site: Site, visitor: ScriptedVisitor
) -> None:
    connections.allow_many_files()
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(socket.create_connection(address(site)))) for _ in range(HALF_OPEN)]
        for half in silent[::2]:
            half.sendall(HALF_A_REQUEST)

        battle = visitor.fight().battle
        assert any(name in visitor.vote(battle) for name in NAMES.values())

        for connection in (silent[0], silent[1], silent[-1]):
            connection.settimeout(30)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""


def test_a_kept_connection_is_not_given_up_between_and_during_requests(site: Site) -> None:
    with closing(socket.create_connection(address(site))) as connection:
        connection.settimeout(30)
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: arena\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
        connection.sendall(HALF_A_REQUEST)
        assert connection.recv(1) == b""


def test_a_head_without_end_is_cut_off_while_one_as_large_as_browsers_send_is_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 60.0)
    with closing(socket.create_connection(address(site))) as endless:
        endless.settimeout(20)
        with suppress(ConnectionError):
            endless.sendall(HALF_A_REQUEST + b"x" * 2 * connections.HEAD_BYTES)
            assert endless.recv(1) == b""

    with closing(socket.create_connection(address(site))) as usual:
        usual.settimeout(20)
        usual.sendall(HALF_A_REQUEST.replace(b"GET / ", b"GET /healthz ") + b"x" * 30_000 + b"\r\n\r\n")
        assert usual.recv(12) == b"HTTP/1.1 200"


def told(site: Site, *parts: bytes) -> bytes:
    """All that is answered to these pieces, up to the end of the connection."""
    heard = b""
    with closing(socket.create_connection(address(site))) as connection:
        connection.settimeout(20)
        for part in parts:
            connection.sendall(part)
        while more := connection.recv(65536):
            heard += more
    return heard


def statuses(heard: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", heard)]


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: arena", *headers, "", ""]).encode()


def post(path: str, *headers: str) -> bytes:
    return get(path, *headers).replace(b"GET", b"POST", 1)


JSON = "Content-Type: application/json"
CLOSE = "Connection: close"
CALL = "/gradio_api/call/leaderboard"
LAST = get("/healthz", CLOSE)
CHUNKED = (
    post(CALL, JSON, CLOSE, "Transfer-Encoding: chunked") + b'4\r\n{"da\r\n8;of=2\r\nta": []}\r\n0\r\nX: y\r\n\r\n'
)
UPGRADES = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")


@pytest.mark.parametrize(
    ("parts", "answers"),
    [
        pytest.param([get("/healthz") * 2 + LAST], [200, 200, 200], id="several at once"),
        pytest.param([get("/healthz") + b"no HTTP\x00\r\n\r\n"], [200], id="and then garbage"),
        pytest.param([b"\x16\x03\x01\x02\x00\r\n\r\n"], [400], id="TLS"),
        pytest.param([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], [400], id="HTTP/2"),
        pytest.param([CHUNKED], [200], id="a body in chunks"),
        pytest.param([CHUNKED[at : at + 1] for at in range(len(CHUNKED))], [200], id="byte by byte"),
        pytest.param(
            [post(CALL, JSON, CLOSE, "Content-Length: 12", "Expect: 100-continue"), b'{"data": []}'],
            [100, 200],
            id="a body that waits to be asked for",
        ),
        pytest.param([get("/healthz").replace(b"GET", b"HEAD") + LAST], [200, 200], id="no body wanted"),
        pytest.param([get("/healthz", "Upgrade: websocket", "Connection: Upgrade") + LAST], [200, 200], id="websocket"),
        pytest.param([get("/healthz", *UPGRADES) + LAST], [200, 200], id="HTTP/2 if that can be had"),
        pytest.param(
            [post(CALL, JSON, "Content-Length: 12", *UPGRADES), b'{"data": []}' + LAST],
            [200, 200],
            id="HTTP/2 if that can be had, with a body",
        ),
        pytest.param([LAST.replace(b"\r\n", b"\n")], [400], id="bare line feeds"),
        pytest.param([b"\r\n" + LAST], [200], id="an empty line before"),
        pytest.param([LAST.replace(b"/healthz", b"/\xff\xfe")], [400], id="an address that is no text"),
        pytest.param(
            [LAST.replace(b"Host: arena", b"Host: arena\r\nX: \xff\xfe")], [200], id="a header that is no text"
        ),
        pytest.param([LAST.replace(b"Host: arena", b"Host: arena\r\nX: \x00")], [400], id="NUL in a header"),
        pytest.param([b"GET /healthz HTTP/1.1\r\n\r\n"], [400], id="no host"),
        pytest.param([get("/healthz", "host: arena", CLOSE)], [400], id="two hosts"),
        pytest.param([b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"], [400], id="two hosts in HTTP/1.0"),
        pytest.param([LAST.replace(b"Host: arena", b"Host: are na/")], [400], id="a host that is none"),
        pytest.param([LAST.replace(b"Host: arena", b"Host: [::1]:7860 ")], [200], id="an address for a host"),
        pytest.param([LAST.replace(b"Host: arena", b"Host:")], [200], id="an empty host"),
        pytest.param([get("/healthz") + LAST.replace(b"Host: arena\r\n", b"")], [200], id="a host, and then none"),
        pytest.param([get("/" + "x" * 60_000, CLOSE)], [404], id="a long address"),
        pytest.param([get("/healthz" + "?" + "x" * 65_536, CLOSE)], [400], id="too long an address"),
        pytest.param([get("/healthz", CLOSE, *["a:"] * 20_000)], [400], id="too many headers"),
        pytest.param(
            [post(CALL, JSON, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + LAST],
            [400],
            id="two lengths",
        ),
        pytest.param([get("/healthz", CLOSE) + get("/healthz")], [200], id="more than was announced"),
        pytest.param([b"GET /healthz HTTP/1.0\r\n\r\n"], [200], id="HTTP/1.0"),
        pytest.param([b"CONNECT arena:443 HTTP/1.1\r\nHost: arena\r\n\r\n"], [400], id="a tunnel"),
        pytest.param([get("http://arena/healthz", CLOSE)], [200], id="a whole address"),
    ],
)
def test_each_request_is_answered_once_and_no_other_one(
    site: Site, caplog: pytest.LogCaptureFixture, parts: list[bytes], answers: list[int]
) -> None:
    assert statuses(told(site, *parts)) == answers
    assert [line.message for line in caplog.records if line.levelno >= logging.ERROR] == []


def test_requests_without_end_on_one_connection_wait_in_a_line_that_is_not_endless(site: Site) -> None:
    heard = told(site, get("/healthz") * 3_000)

    assert statuses(heard) == [200] * (1 + connections.MOST_PIPELINED)
    assert heard.count(b"connection: close") == 1


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(get("/"), id="a page"),
        pytest.param(post(CALL, JSON, "Content-Length: 12") + b'{"data": []}', id="a call"),
        pytest.param(get("/export/leaderboard.csv"), id="a file"),
    ],
)
def test_a_client_that_will_send_no_more_has_its_answer_and_the_end_of_its_connection(site: Site, asked: bytes) -> None:
    assert statuses(told_last(site, asked)) == [200]


def told_last(site: Site, asked: bytes) -> bytes:
    """All that is answered to a client that closes its side of the connection once it has asked."""
    heard = b""
    with closing(socket.create_connection(address(site))) as connection:
        connection.settimeout(20)
        connection.sendall(asked)
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65536):
            heard += more
    return heard


def test_a_stream_ends_as_soon_as_its_client_may_be_gone(site: Site) -> None:
    heard = told_last(site, get(f"/gradio_api/heartbeat/{uuid4().hex}"))

    assert not heard.endswith(b"0\r\n\r\n")


def test_an_answer_without_a_length_reaches_a_client_of_http_1_0_as_it_is(site: Site) -> None:
    asked = f"/gradio_api/queue/data?session_hash={uuid4().hex}"

    head, _, body = told(site, f"GET {asked} HTTP/1.0\r\n\r\n".encode()).partition(b"\r\n\r\n")

    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"data: {")
    assert body.endswith(b"}\n\n")


def test_a_body_that_is_still_being_sent_after_its_refusal_leaves_the_connection_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 60.0)
    with closing(socket.create_connection(address(site))) as connection:
        connection.settimeout(20)
        connection.sendall(post("/nowhere", "Content-Length: 200000"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        for _ in range(4):
            connection.sendall(b"x" * 50_000)
        connection.sendall(LAST)
        assert connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("head", "endless"),
    [
        pytest.param("GET /healthz HTTP/1.1\r\nX: ", "x", id="a header"),
        pytest.param("GET /healthz HTTP/1.1\r\n", "X: y\r\n", id="headers"),
        pytest.param("GET /", "x", id="an address"),
    ],
)
def test_a_head_without_end_is_cut_off_also_while_an_earlier_answer_is_being_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch, head: str, endless: str
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 60.0)
    stream = get(f"/gradio_api/heartbeat/{uuid4().hex}")
    piece = (endless * 8_192).encode()
    with closing(socket.create_connection(address(site))) as connection, pytest.raises(ConnectionError):
        connection.settimeout(20)
        connection.sendall(stream)
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(head.encode())
        for _ in range(1_000):
            connection.sendall(piece)


def test_a_client_that_never_reads_holds_up_nobody_and_its_battle_comes_to_an_end(
    site: Site, visitor: ScriptedVisitor
) -> None:
    send, session = visitor.function("send"), uuid4().hex
    text = "A long answer that nobody reads. " * 2_000
    site.script(Script(text=text, chunk_characters=2_000, chunk_delay_s=0.01))
    try:
        with closing(socket.socket()) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(address(site))
            cookie = "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())
            asked = f"GET /gradio_api/queue/data?session_hash={session} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
            visitor.join(send, ["Is anybody there?"], session).raise_for_status()
            deaf.sendall(asked.encode())
            site.llm.wait_for(lambda server: len(server.told) >= 2, 30)
            site.script(Script(text="Short."))
            with ScriptedVisitor(site.url) as other:
                battle = other.fight().battle
                assert any(name in other.vote(battle) for name in NAMES.values())
            assert ends(site, "Is anybody there?") is BattleState.VOTABLE
    finally:
        site.script(Script(text="Short."))


def test_a_battle_whose_events_are_heard_by_nobody_ends_though_its_page_is_open_and_its_models_say_nothing(
    site: Site, visitor: ScriptedVisitor
) -> None:
    session, before = uuid4().hex, len(site.llm.hung_up)
    site.script(Script(text="Never said.", fault=Fault.STALL_FIRST))
    try:
        with visitor.client.stream("GET", f"/gradio_api/heartbeat/{session}"):
            visitor.join(visitor.function("send"), ["Do you hear me?"], session).raise_for_status()
            asked = {"session_hash": session}
            with visitor.client.stream("GET", "/gradio_api/queue/data", params=asked):
                site.llm.wait_for(lambda server: sum(server.stalled.values()) == 2, 30)
            site.llm.wait_for(lambda server: len(server.hung_up) == before + 2, 5)
            assert ends(site, "Do you hear me?") is BattleState.ABANDONED
    finally:
        site.script(Script(text="Short."))


def ends(site: Site, prompt: str) -> BattleState:
    """How the battle of that prompt ended, once it has."""
    of_prompt = select(Battle.state).join(Prompt, Prompt.conversation_id == Battle.conversation_id)
    while True:
        with site.parts.database.read() as session:
            state = session.scalars(of_prompt.where(Prompt.text == prompt)).one()
        if state is not BattleState.RUNNING:
            return state
        time.sleep(0.02)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux drops such connections by itself")
def test_a_connection_whose_client_never_reads_is_dropped_by_the_system() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        limit_unread(listener, 1)
        with closing(socket.create_connection(listener.getsockname())) as deaf:
            connection, _ = listener.accept()
            with closing(connection):
                connection.settimeout(60)
                with pytest.raises(TimeoutError, match="timed out") as dropped:
                    while True:
                        connection.sendall(b"x" * 100_000)
            assert dropped.value.errno is not None
            del deaf


def test_five_megabytes_of_a_prompt_are_refused_with_a_sentence(site: Site, visitor: ScriptedVisitor) -> None:
    answer = visitor.join(visitor.function("send"), ["x" * 5_000_000])

    assert answer.status_code == 413
    assert answer.json() == {"detail": "This is larger than the arena takes: shorten it, and send it again."}


@pytest.mark.sqlite
def test_while_the_database_takes_no_votes_the_page_and_the_operator_are_told_and_the_figures_go_on(
    site: Site, visitor: ScriptedVisitor
) -> None:
    def impatient(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=100")

    engine = site.parts.database.engine
    event.listen(engine, "checkout", impatient)
    battle = visitor.fight().battle
    with ScriptedVisitor(site.url, visitor.config) as operator:
        operator.client.post("/login", data={"password": FAST["admin_password"]})
        with lock_held(str(engine.url.database)):
            told = visitor.vote(battle)
            refused = visitor.fight("Nor a new battle").events
            ready = operator.client.get("/readyz")
            figures = operator.client.get("/metrics").text
            page = operations(operator)
            assert visitor.client.get("/").status_code == 200
        again = visitor.vote(battle)
        recovered = operator.client.get("/readyz")
    event.remove(engine, "checkout", impatient)

    sentence = "The arena cannot reach its records at the moment. Please try again in a minute."
    assert sentence in told
    assert sentence in json.dumps([heard.event for heard in refused])
    assert ready.status_code == 503
    assert ready.json()["database"] == ADVICE[Trouble.LOCKED]
    assert "arena_database_works 0.0" in figures
    assert float(re.findall(r'arena_database_failures_total{kind="locked"} (\S+)', figures)[0]) >= 2
    assert "arena_battles_total" in figures
    assert "Another program holds the database" in page
    assert any(name in again for name in NAMES.values())
    assert recovered.status_code == 200
    assert recovered.json()["database"] == ""


def operations(operator: ScriptedVisitor) -> str:
    """What the Operations page is told for the operator when it is loaded."""
    head = next(c["id"] for c in operator.config["components"] if c["props"].get("elem_id") == "operations-head")
    shows = [d for d in operator.config["dependencies"] if head in d["outputs"] and not d["inputs"]]
    return "".join(operator.call(function, []) for function in shows)
