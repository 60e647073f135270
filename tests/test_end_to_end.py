"""The whole way: the shipped roster, both platforms' protocols and sign-ins, a visitor, votes, the leaderboard."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from app import build_app
from arena.config import SHIPPED_DIR, load_settings
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_vertex import CLIENT_EMAIL, ScriptedVertex
from tests.scripting import Fault, Script, ScriptedServer
from tests.serving import served
from tests.ui_fixtures import FAST, PATIENCE_MS, browser, parts_of, wait_for_models

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

VOTES = ["A is better", "B is better", "Tie", "Both are bad"]
ENTRIES = yaml.safe_load((SHIPPED_DIR / "models.yaml").read_text(encoding="utf-8"))
OPENAI = "coaia-openai-latest"
GEMINIS = [model for model in ENTRIES if model != OPENAI]
NAME_OF = {entry["model_name"]: model for model, entry in ENTRIES.items()}


@dataclass(frozen=True, slots=True)
class Platforms:
    """Both platforms, and the arena that asks them."""

    openai: ScriptedOpenAI
    vertex: ScriptedVertex
    url: str


def answer_of(model: str) -> str:
    return f"Signed in invisible ink by number {list(ENTRIES).index(model)}."


@pytest.fixture
def platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platforms]:
    """The shipped roster, its addresses on this machine; the Gemini models only meet the OpenAI model."""
    scripts = {entry["model_name"]: Script(answer_of(model)) for model, entry in ENTRIES.items()}
    openai_name = ENTRIES[OPENAI]["model_name"]
    with ExitStack() as stack:
        openai = stack.enter_context(ScriptedOpenAI({openai_name: scripts.pop(openai_name)}))
        vertex = stack.enter_context(ScriptedVertex(scripts))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-this-test")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.write_credentials(tmp_path / "account.json")))
        roster = tmp_path / "models.json"
        roster.write_text(json.dumps({model: _here(model, openai, vertex) for model in ENTRIES}))
        app = build_app(load_settings(**{**FAST, "data_dir": tmp_path / "data", "models": roster}))
        url = stack.enter_context(served(app))
        assert not parts_of(app).settings.demo
        wait_for_models(parts_of(app))
        yield Platforms(openai, vertex, url)


def _here(model: str, openai: ScriptedOpenAI, vertex: ScriptedVertex) -> dict[str, object]:
    entry: dict[str, object] = {**ENTRIES[model], "api_base": openai.url if model == OPENAI else vertex.url}
    return entry if model == OPENAI else {**entry, "excludes": [other for other in GEMINIS if other != model]}


def test_the_openai_model_meets_every_gemini_model_and_all_four_votes_move_the_leaderboard(
    browser: Browser, platforms: Platforms
) -> None:
    page = _visit(browser, platforms)
    met: list[str] = []

    while len(met) < len(VOTES) or set(met) != set(GEMINIS):
        assert len(met) < 40, f"only {set(met)} were drawn in {len(met)} battles"
        met.append(_battle(page, platforms, VOTES[len(met) % len(VOTES)], len(met)))
        page.get_by_role("button", name="New battle", exact=True).click()

    page.goto(f"{platforms.url}/leaderboard")
    row = page.get_by_role("row").filter(has_text=ENTRIES[OPENAI]["display_name"])
    expect(row.get_by_role("cell", name=str(len(met)), exact=True)).to_be_visible()
    assert {claims["iss"] for claims in platforms.vertex.token_requests} == {CLIENT_EMAIL}
    assert {request.authorization for request in platforms.openai.requests} == {"Bearer sk-of-this-test"}
    assert sorted(set(platforms.vertex.lookups)) == sorted(ENTRIES[model]["model_name"] for model in GEMINIS)


def test_both_platforms_are_asked_at_once(browser: Browser, platforms: Platforms) -> None:
    """Neither answers before both have been asked."""
    stalled: list[tuple[ScriptedServer, str]] = [(platforms.openai, ENTRIES[OPENAI]["model_name"])]
    stalled += [(platforms.vertex, ENTRIES[model]["model_name"]) for model in GEMINIS]
    for server, name in stalled:
        server.scripts[name] = Script(answer_of(NAME_OF[name]), fault=Fault.STALL_FIRST)
    page = _visit(browser, platforms)

    page.get_by_role("textbox", name="Your challenge").fill("Both of you, please.")
    page.get_by_role("button", name="Send").click()

    platforms.openai.wait_for(lambda server: sum(server.open_streams.values()) == 1)
    platforms.vertex.wait_for(lambda server: sum(server.open_streams.values()) == 1)
    expect(page.get_by_role("button", name="A is better")).to_be_disabled()
    for server, name in stalled:
        server.scripts[name] = Script(answer_of(NAME_OF[name]))
        server.release(name)
    expect(page.get_by_role("button", name="A is better")).to_be_enabled()


def _visit(browser: Browser, platforms: Platforms) -> Page:
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(platforms.url)
    return page


def _battle(page: Page, platforms: Platforms, vote: str, number: int) -> str:
    """Fight, vote, compare the reveal with what the platforms were asked; returns the Gemini model that fought."""
    prompt = f"Challenge number {number}, for {vote}."
    page.get_by_role("textbox", name="Your challenge", exact=True).fill(prompt)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("button", name=vote, exact=True)).to_be_enabled()
    shown = {side: page.get_by_role("region", name=f"Model {side}", exact=True).inner_text() for side in "AB"}

    page.get_by_role("button", name=vote, exact=True).click()

    seated: dict[str, str] = {side: next(m for m in ENTRIES if answer_of(m) in shown[side]) for side in "AB"}
    names = [ENTRIES[seated[side]]["display_name"] for side in "AB"]
    reveal = page.get_by_role("region", name="The reveal")
    expect(reveal.get_by_role("heading", level=3)).to_have_text(names)
    assert OPENAI in seated.values()
    (gemini,) = set(seated.values()) - {OPENAI}
    last = platforms.vertex.requests[-1]
    endpoint = f"endpoints/9{ENTRIES[gemini]['model_name'].rpartition('/')[2]}"
    assert endpoint in last.path
    assert prompt in json.dumps(last.body)
    assert platforms.openai.requests[-1].model == ENTRIES[OPENAI]["model_name"]
    assert prompt in json.dumps(platforms.openai.requests[-1].body)
    return gemini
