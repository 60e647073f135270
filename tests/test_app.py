"""The whole application: what it is made of, its routes over a real socket, and its process."""

import asyncio
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from gradio_client import Client  # type: ignore[import-untyped]
from sqlalchemy import make_url, select

from app import build_app, main
from arena import closings
from arena.config import SHIPPED_DIR, Settings, load_settings
from arena.errors import ConfigError
from arena.parts import build_parts
from arena.passwords import PER_ADDRESS, WINDOW_S
from arena.providers.base import Gathering, Provider
from arena.providers.factory import build_providers
from arena.roster import Roster
from arena.tables import ModelRevision
from arena.web.routes import safe_next
from arena.web.server import bind
from tests.conftest import SettingsFactory
from tests.databases import database_of
from tests.scripted_visitor import ScriptedVisitor
from tests.serving import served

PASSWORD = "open sesame"
TOKEN = "let the scraper in"
SHIPPED_ROSTER = SHIPPED_DIR / "models.yaml"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("data"), demo=True, admin_password=PASSWORD, metrics_token=TOKEN
    )
    with served(build_app(settings)) as address:
        yield address


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An arena with two retired models, and without a token for scrapers."""
    folder = tmp_path_factory.mktemp("locked")
    entry = {"api_type": "openai", "api_base": "http://127.0.0.1:9/v1", "model_name": "x", "weight": 0}
    (folder / "models.yaml").write_text(json.dumps({"one": entry, "two": entry}))
    given = {"data_dir": folder, "database_url": database_of(folder), "models": folder / "models.yaml"}
    settings = load_settings(**given, admin_password=PASSWORD)
    with served(build_app(settings)) as address:
        yield address


@pytest.fixture
def arena(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30, verify=False) as client:
        yield client


@pytest.fixture
def operator(arena: httpx.Client) -> httpx.Client:
    assert arena.post("/login", data={"password": PASSWORD}).status_code == 303
    return arena


# What it is made of


def test_with_fewer_than_two_usable_models_it_is_a_demo_in_a_database_of_its_own(
    make_settings: SettingsFactory, tmp_path: Path
) -> None:
    parts = build_parts(make_settings(models=SHIPPED_ROSTER))

    assert parts.settings.demo
    assert parts.settings.resolved_database_url.endswith("/demo.db")
    assert {status.model.platform for status in parts.fleet.statuses()} == {"demo"}
    assert not (tmp_path / "data" / "arena.db").exists()


def test_with_keys_for_two_models_it_is_the_real_thing(
    make_settings: SettingsFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ARENA_GOOGLE_CREDENTIALS_JSON", "{}")

    parts = build_parts(make_settings(models=SHIPPED_ROSTER))

    assert not parts.settings.demo
    assert [status.model.id for status in parts.fleet.statuses()] == [
        "coaia-openai-latest",
        "coaia-gemini-latest",
        "coaia-gemini-b",
        "coaia-gemini-manual",
    ]
    assert parts.database.engine.url == make_url(database_of(tmp_path / "data"))
    with parts.database.read() as session:
        assert session.scalars(select(ModelRevision)).all() == []
    parts.database.close()


async def test_providers_read_answers_as_often_as_the_arena_shows_them(
    make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Gathering] = []

    def build(settings: Settings, roster: Roster, gathering: Gathering) -> dict[str, Provider]:
        told.append(gathering)
        return build_providers(settings, roster, gathering)

    monkeypatch.setattr("arena.parts.build_providers", build)
    parts = build_parts(make_settings(models=SHIPPED_ROSTER, frames_per_s=1))

    assert 0.5 <= told[0].seconds() <= 1.5
    parts.database.close()


@pytest.mark.slow
def test_no_platforms_library_is_imported_before_it_is_needed() -> None:
    """It would make every start slower, also of arenas that never ask that platform."""
    script = (
        "import os, sys; os.environ.update(OPENAI_API_KEY='sk-test', ARENA_GOOGLE_CREDENTIALS_JSON='{}');"
        "from app import build_app; from arena.config import load_settings; build_app(load_settings());"
        "print(*sorted({'openai', 'google.genai', 'google.cloud', 'vertexai', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SHIPPED_DIR), "ARENA_MODELS": str(SHIPPED_ROSTER)}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert told.stdout.split()[-1:] in ([], ["matplotlib"])  # matplotlib is there as None: its import is prevented


def test_a_broken_roster_stops_the_start_and_not_the_first_visitor(
    make_settings: SettingsFactory, tmp_path: Path
) -> None:
    (tmp_path / "models.yaml").write_text("one: {api_type: opanai}")

    with pytest.raises(ConfigError, match=r"models\.yaml: one: api_type"):
        build_app(make_settings())


def test_a_space_without_a_secret_stops_the_start(
    make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/arena")

    with pytest.raises(ConfigError, match="ARENA_SECRET must be set"):
        build_app(make_settings(demo=True))


# Health and figures


def test_the_process_says_that_it_serves(arena: httpx.Client) -> None:
    answer = arena.get("/healthz")

    assert answer.status_code == 200
    assert answer.json().keys() == {"status", "version", "uptime_s"}
    assert answer.json()["status"] == "ok"
    assert arena.head("/healthz").status_code == 200


def test_a_demo_is_ready(arena: httpx.Client) -> None:
    answer = arena.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json().keys() == {"status", "checks"}


def test_the_operator_learns_more_from_readiness_than_a_visitor(operator: httpx.Client) -> None:
    told = operator.get("/readyz").json()

    assert told["votes"] == 0
    assert len(told["models"]) == 3


def test_an_arena_without_two_models_is_not_ready(locked: str) -> None:
    answer = httpx.get(locked + "/readyz")

    assert answer.status_code == 503
    assert not answer.json()["checks"]["models"]["ok"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_figures_are_not_for_visitors(arena: httpx.Client, headers: dict[str, str]) -> None:
    answer = arena.get("/metrics", headers=headers)

    assert answer.status_code == 401
    assert "arena_" not in answer.text


def test_figures_are_for_the_scraper_and_the_operator(arena: httpx.Client) -> None:
    scraped = arena.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    arena.post("/login", data={"password": PASSWORD})
    seen = arena.get("/metrics")

    for answer in (scraped, seen):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert "arena_models_ready 3.0" in answer.text


@pytest.mark.parametrize("bearer", ["Bearer", "Bearer None"])
def test_without_a_token_no_bearer_opens_the_figures(locked: str, bearer: str) -> None:
    assert httpx.get(locked + "/metrics", headers={"Authorization": bearer}).status_code == 401


# The operator's session


def test_the_right_password_opens_the_page_that_was_asked_for(arena: httpx.Client) -> None:
    form = arena.get("/login?next=/data").text
    answer = arena.post("/login", data={"password": PASSWORD, "next": "/data"})

    assert 'name="next" value="/data"' in form
    assert answer.status_code == 303
    assert answer.headers["location"] == "/data"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "Max-Age=43200" in answer.headers["set-cookie"]
    assert "You are signed in" in arena.get("/login").text


def test_a_wrong_password_says_so_to_every_reader(arena: httpx.Client) -> None:
    answer = arena.post("/login", data={"password": "wrong", "next": '/data?"><script>'})

    assert answer.status_code == 401
    assert '<p class="error" role="alert" id="error">That is not the password.</p>' in answer.text
    assert 'aria-describedby="error" aria-invalid="true"' in answer.text
    assert "<script>" not in answer.text
    assert "set-cookie" not in answer.headers


def test_signing_out_closes_the_session_wherever_its_cookie_went(operator: httpx.Client, address: str) -> None:
    copied = dict(operator.cookies)
    assert operator.get("/logout").status_code == 405
    assert operator.get("/metrics").status_code == 200

    answer = operator.post("/logout")

    assert answer.status_code == 303
    assert operator.get("/metrics").status_code == 401
    assert httpx.get(address + "/metrics", cookies=copied).status_code == 401


@pytest.mark.slow
def test_a_session_that_was_signed_out_stays_closed_at_the_next_start_and_at_every_process(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, demo=True, admin_password=PASSWORD)

    def opens(address: str, cookies: dict[str, str]) -> bool:
        return httpx.get(address + "/metrics", cookies=cookies).status_code == 200

    with pytest.MonkeyPatch.context() as patch, served(build_app(settings)) as first:
        patch.setattr(closings, "HEAR_EVERY_S", 0.01)
        with served(build_app(settings)) as second, httpx.Client(base_url=first) as operator:
            operator.post("/login", data={"password": PASSWORD})
            copied = dict(operator.cookies)
            assert opens(second, copied)
            operator.post("/logout")
            while opens(second, copied):
                pass
    with served(build_app(settings)) as again:
        assert not opens(again, copied)


def test_too_many_wrong_passwords_close_the_door_for_a_while(locked: str) -> None:
    for _ in range(PER_ADDRESS):
        assert httpx.post(locked + "/login", data={"password": "guess"}).status_code == 401

    answer = httpx.post(locked + "/login", data={"password": PASSWORD})

    assert answer.status_code == 429
    assert "Try again in 15 minutes." in answer.text
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW_S


@pytest.mark.parametrize(
    "asked",
    ["", "https://evil.example", "//evil.example", "/\\evil.example", "\\evil", "javascript:alert(1)", "/a\r\nX: y"],
)
def test_signing_in_never_leads_to_another_site(asked: str) -> None:
    assert safe_next(asked) == "/operations"
    assert safe_next("/campaign?id=7") == "/campaign?id=7"


# The pages


@pytest.mark.parametrize("path", ["/", "/side-by-side", "/chat", "/leaderboard", "/operations"])
def test_every_page_is_served_with_its_scripts_marked(arena: httpx.Client, path: str) -> None:
    answer = arena.get(path)

    assert answer.status_code == 200
    nonce = re.search(r"'nonce-([\w-]+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    assert set(re.findall(r"<script nonce=\"([^\"]+)\"", answer.text)) == {nonce[1]}
    assert not re.search(r"<script(?! nonce=)", answer.text)


@pytest.mark.parametrize(
    "name",
    [
        "no-such-file.js",
        "x" * 200,
        "x" * 256,
        "x" * 5000,
        "/".join("x" * 8),
        "x/" * 3000 + "x",
        "x/" * 20_000 + "x",
        "a%00b.js",
        "%00",
        "%2e%2e%2f%2e%2e%2fapp.py",
        "%ff%fe.js",
        "%C3%A9.js",
        "%",
        "%zz.js",
    ],
    ids=lambda name: f"{name[:12]} ({len(name)})",
)
def test_a_file_that_is_not_there_is_not_found_however_it_is_called(arena: httpx.Client, name: str) -> None:
    for folder in ("assets", "static", "export"):
        assert raw_status(arena, f"/{folder}/{name}") == 404
    assert raw_status(arena, f"/data/files/{name}") < 500


def raw_status(arena: httpx.Client, path: str) -> int:
    """What is answered to `path` as it is written: a client would spell it in its own way."""
    connection = http.client.HTTPConnection(arena.base_url.host, arena.base_url.port or 80)
    with closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def test_a_page_asks_no_other_origin_for_anything(arena: httpx.Client) -> None:
    answer = arena.get("/")

    loaded = re.findall(r'<(?:script|link|img)[^>]*?\s(?:src|href)="(https?:[^"]*)"', answer.text)
    assert loaded == []
    assert "githubusercontent" not in answer.text


def test_a_program_that_asks_for_a_call_that_is_not_there_is_told_so(arena: httpx.Client) -> None:
    """Gradio would keep it waiting."""
    joined = arena.post("/gradio_api/call/leaderboard", json={"data": []}).json()
    heard = f"/gradio_api/call/leaderboard/{joined['event_id']}"
    assert "event: complete" in arena.get(heard).text

    for path in (heard, "/gradio_api/call/leaderboard/0123456789abcdef"):
        with arena.stream("GET", path) as answer:
            assert answer.status_code == 404
            assert answer.read() == b"There is no such call, or it was answered before: call again."


def test_the_name_of_somebodys_page_is_no_call_that_one_could_hear(address: str) -> None:
    """Gradio looks for a page's connection where it finds no call of that name, and would tell it without an end."""
    with ScriptedVisitor(address) as visitor, ScriptedVisitor(address) as stranger:
        session = uuid4().hex
        visitor.join(visitor.function("send"), ["A private challenge"], session).raise_for_status()

        with stranger.client.stream("GET", f"/gradio_api/call/leaderboard/{session}") as overheard:
            assert overheard.status_code == 404
        _, heard = visitor.listen(session)

    assert heard[-1].event["msg"] == "close_stream"


def test_programs_read_the_leaderboard(arena: httpx.Client) -> None:
    joined = arena.post("/gradio_api/call/leaderboard", json={"data": []}).json()
    told = arena.get(f"/gradio_api/call/leaderboard/{joined['event_id']}").text

    event, data = told.strip().splitlines()[:2]
    assert event == "event: complete"
    (standings,) = json.loads(data.removeprefix("data: "))
    assert standings["computed_from"]["votes"] == 0


def test_gradios_own_client_reads_the_leaderboard_and_nothing_else(address: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the client leaves open is not ours to close
        client = Client(address, verbose=False)
        standings = client.predict(api_name="/leaderboard")

    assert standings["computed_from"]["votes"] == 0
    assert list(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == ["/leaderboard"]


def test_files_of_the_pages_may_be_kept_for_ever(arena: httpx.Client) -> None:
    page = arena.get("/").text
    script = re.search(r'src="\.(/assets/[^"]+\.js)"', page)
    assert script is not None

    answer = arena.get(script[1], headers={"Accept-Encoding": "br"})

    assert answer.headers["content-encoding"] == "br"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


# The process


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`python app.py` until it tells its address."""
    process = subprocess.Popen(
        [sys.executable, str(SHIPPED_DIR / "app.py"), "--port", "0", "--data", str(folder), "--demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        yield process, told.split()[-1]
    finally:
        process.kill()
        process.communicate()


def test_help_imports_nothing_that_takes_long() -> None:
    slow = ("pydantic", "dotenv", "numpy", "sqlalchemy", "uvicorn", "fastapi", "gradio")
    script = f"""if True:
        import sys
        from app import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        sys.stderr.write(",".join(name for name in {slow!r} if name in sys.modules))
    """
    environment = {**os.environ, "PYTHONPATH": str(SHIPPED_DIR)}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert told.stderr == ""
    assert "--port" in told.stdout


def test_help_answers_with_every_option_and_an_example() -> None:
    told = subprocess.run(
        [sys.executable, SHIPPED_DIR / "app.py", "--help"], capture_output=True, text=True, check=True
    )

    for option in ("--host", "--port", "--models", "--data", "--database", "--demo", "example:"):
        assert option in told.stdout
    assert "--service" not in told.stdout


@pytest.mark.slow
def test_a_polite_stop_ends_open_pages_and_the_process_and_no_output_held_the_password(tmp_path: Path) -> None:
    with (
        running(tmp_path) as (process, address),
        httpx.stream("GET", f"{address}/gradio_api/heartbeat/abc") as open_page,
    ):
        lines = open_page.iter_lines()
        assert next(lines) == "data: ALIVE"

        process.send_signal(signal.SIGTERM)

        assert list(lines)[-1:] in ([], [""])
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        told, logged = process.stdout.read(), process.stderr.read()
        assert "ERROR" not in logged
        assert (tmp_path / "admin-password").read_text().strip() not in told + logged


def test_a_port_in_use_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        assert main(["--port", str(port), "--data", str(tmp_path), "--demo"]) == 2

    told = capsys.readouterr()
    assert told.err.strip().splitlines()[-1].startswith(f"Port {port} is in use by another program")
    assert "Traceback" not in told.err


async def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    undelayed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        undelayed.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bind("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(accept, sock=listener):
            _, visitor = await asyncio.open_connection(*listener.getsockname())
            assert await undelayed
            visitor.close()
            await visitor.wait_closed()


def test_a_port_that_is_taken_between_looking_and_opening_is_one_sentence() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(ConfigError, match="is in use by another program"):
            bind("127.0.0.1", first.getsockname()[1])


def test_an_address_that_is_not_this_machines_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="ARENA_HOST"):
        bind("192.0.2.1", 0)


def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ARENA_PORT", "eighty")

    assert main([]) == 2
    assert capsys.readouterr().err.startswith("ARENA_PORT: ")


def test_a_wrong_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--port", "eighty"])

    assert ended.value.code == 2
    assert capsys.readouterr().err == "Argument --port: invalid int value: 'eighty'; see app.py --help.\n"


@pytest.mark.slow
def test_the_password_is_shown_on_a_terminal(tmp_path: Path) -> None:
    theirs, ours = pty.openpty()
    command = [sys.executable, str(SHIPPED_DIR / "app.py"), "--port", "0", "--data", str(tmp_path), "--demo"]
    shown = b""
    process = subprocess.Popen(command, stdout=ours, stderr=ours, stdin=ours)
    try:
        os.close(ours)
        while not re.search(rb"password.*\n", shown):
            shown += os.read(theirs, 10_000)
    finally:
        process.kill()
        process.wait()
        os.close(theirs)
    assert (tmp_path / "admin-password").read_text().strip() in shown.decode()
