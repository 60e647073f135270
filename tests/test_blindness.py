"""Everything the server sends for a battle, byte by byte: before the vote nothing in it tells the models apart."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import build_app
from arena.config import load_settings
from arena.tables import Answer, Battle, Vote
from tests.databases import prepared_database_of
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Fault, Script
from tests.serving import served
from tests.ui_fixtures import FAST, OpenPage, Site, browser, listed_models, open_page, parts_of, wait_for_models

__all__ = ["browser", "open_page"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROSTER = {
    "zirconium-id-4711": {
        "model_name": "api-name-of-zirconium",
        "display_name": "Zirconium Displayed",
        "family": "zirconium-family",
        "version": "v-of-zirconium",
        "system_prompt": "System prompt of zirconium.",
    },
    "marmalade-id-0815": {
        "model_name": "api-name-of-marmalade",
        "display_name": "Marmalade Displayed",
        "family": "marmalade-family",
        "version": "v-of-marmalade",
        "system_prompt": "System prompt of marmalade.",
    },
}
LENGTHS = {"api-name-of-zirconium": 7331, "api-name-of-marmalade": 6449}
"""Characters of each answer."""
TOKENS = {"api-name-of-zirconium": 733_108_224, "api-name-of-marmalade": 644_907_713}
"""Tokens that each answer is said to have: numbers that occur nowhere by chance."""
STATIC = ("/assets/", "/static/", "/theme.css", "/favicon.ico", "/manifest.json")
"""The same for every visitor at any time."""


class Recorder:
    """Records the head and body of every answer that leaves the application, uncompressed, by path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._sent: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(STATIC):
            await self._app(scope, receive, send)
            return

        async def recording(message: Message) -> None:
            head = b"".join(b"%s: %s\n" % header for header in message.get("headers", ()))
            with self._lock:
                self._sent.append((scope["path"], head + message.get("body", b"")))
            await send(message)

        plain = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, recording)

    def everything(self) -> str:
        """All that was sent so far."""
        with self._lock:
            return b"\n".join(body for _, body in self._sent).decode()

    def paths(self) -> set[str]:
        """The paths that were answered so far."""
        with self._lock:
            return {path for path, _ in self._sent}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Recorder]]:
    """An arena whose every answer is recorded."""
    folder: Path = tmp_path_factory.mktemp("blind")
    scripts = {
        name: Script(text="w" * length, chunk_characters=1, claimed_tokens=TOKENS[name])
        for name, length in LENGTHS.items()
    }
    with ScriptedOpenAI(scripts) as llm:
        server = {"api_type": "openai", "api_base": llm.url, "api_key": "key-of-the-server"}
        roster = folder / "roster.json"
        roster.write_text(json.dumps({model: {**server, **keys} for model, keys in ROSTER.items()}))
        data = folder / "data"
        given = {**FAST, "data_dir": data, "database_url": prepared_database_of(data), "models": roster}
        app = build_app(load_settings(**given))
        recorder = Recorder(app)
        with served(recorder) as url:
            wait_for_models(parts_of(app))
            yield Site(url, llm, parts_of(app), folder), recorder


@pytest.fixture
def site(recorded: tuple[Site, Recorder]) -> Site:
    """The recorded arena."""
    return recorded[0]


def test_nothing_sent_before_the_vote_tells_the_models(open_page: OpenPage, recorded: tuple[Site, Recorder]) -> None:
    site, recorder = recorded
    visitor = open_page()
    visitor.fight("Which of you is which?")
    before = recorder.everything()

    visitor.button("A is better").click()
    expect(visitor.page.get_by_role("region", name="The reveal")).to_contain_text("Zirconium Displayed")

    for secret in secrets_of(site):
        assert secret not in before, f"{secret!r} was sent before the vote"
    assert "w" * 20 in before
    after = recorder.everything()
    assert "Zirconium Displayed" in after
    assert "Marmalade Displayed" in after
    assert "733,108,224" in after
    assert "/gradio_api/queue/data" in recorder.paths()


def secrets_of(site: Site) -> list[str]:
    """Everything from which a side could be told: names, platforms, requests, counts, times."""
    secrets = ["scripted", "api-name-of", "key-of-the-server", site.llm.origin, "Local server", "finish_reason"]
    secrets += ["output_tokens", "input_tokens", "first_token", "total_ms", "total_s", "latency"]
    for model, keys in ROSTER.items():
        secrets += [model, *keys.values(), model.split("-")[0]]
    for count in TOKENS.values():
        secrets += [str(count), f"{count:,}"]
    with site.parts.database.read() as session:
        answers = session.scalars(select(Answer)).all()
        for answer in answers:
            measured = (answer.first_token_ms, answer.total_ms)
            secrets += [
                text for value in measured if value for text in (repr(value), f"{value:.3f}", repr(value / 1000))
            ]
            secrets += [answer.request_id] if answer.request_id else []
    assert len(answers) >= 2
    return secrets


def test_no_public_answer_changes_with_the_battle_that_runs(
    open_page: OpenPage, recorded: tuple[Site, Recorder]
) -> None:
    site, _ = recorded
    for name, count in LENGTHS.items():
        site.llm.scripts[name] = Script(text="w" * count, chunk_characters=100, fault=Fault.STALL_MIDWAY, fault_after=9)
    assert listed_models(site.parts).keys() == ROSTER.keys(), "before anybody fights"
    before = public_answers(site.url)
    visitor = open_page()

    visitor.send("What can others see meanwhile?")
    expect(visitor.pane("A")).to_contain_text("www")

    assert site.llm.open_streams
    assert public_answers(site.url) == before
    visitor.button("Stop").click()
    expect(visitor.box()).to_be_visible()


def public_answers(url: str) -> dict[str, object]:
    """What anybody can ask for, less what is the clock's."""
    with httpx.Client(base_url=url, timeout=10) as client:
        event = client.post("/gradio_api/call/leaderboard", json={"data": []}).json()["event_id"]
        standings = client.get(f"/gradio_api/call/leaderboard/{event}").text
        health = client.get("/healthz").json()
        return {
            "standings": [line for line in standings.splitlines() if line.startswith("data:")],
            "ready": client.get("/readyz").json(),
            "health": {key: value for key, value in health.items() if key != "uptime_s"},
            "info": client.get("/gradio_api/info").json(),
            "metrics": client.get("/metrics").status_code,
        }


def test_a_strangers_vote_on_a_battle_is_refused_and_reveals_nothing(
    open_page: OpenPage, recorded: tuple[Site, Recorder]
) -> None:
    site, _ = recorded
    for name, count in LENGTHS.items():
        site.llm.scripts[name] = Script(text="w" * count, chunk_characters=500)
    owner = open_page()
    owner.fight("Mine alone")
    with site.parts.database.read() as session:
        battle = session.scalars(select(Battle).order_by(Battle.created_at.desc())).first()
    assert battle is not None

    with ScriptedVisitor(site.url) as stranger:
        vote = stranger.function("vote-model_a")
        told = stranger.hear(vote, [battle.id, *[None] * (len(vote["inputs"]) - 1)])

    assert "process_completed" in told
    assert "Displayed" not in told
    assert "Mine alone" not in told
    with site.parts.database.read() as session:
        assert session.get(Vote, battle.id) is None
    owner.button("Tie").click()
    expect(owner.page.get_by_role("heading", name="You called it a tie.")).to_be_visible()
