"""The whole arena on a real socket, over a scripted OpenAI server, and Chromium in front of it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect
from sqlalchemy import select

from app import build_app
from arena.config import load_settings
from arena.fleet import ModelState
from arena.parts import Parts
from arena.tables import ModelRevision
from tests.chromium import CHROMIUM
from tests.databases import prepared_database_of
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Behaviour, Script
from tests.serving import served

PATIENCE_MS = 30_000
FAST: Mapping[str, Any] = {
    "frames_per_s": 20,
    "pace_characters_per_s": 50_000,
    "battles_per_minute": 100_000,
    "secret": "a secret of these tests, long enough for anybody",
    "admin_password": "open, please",
}
"""Settings with which a battle of short answers takes a moment."""

NAMES: Mapping[str, str] = {"quartz-9000": "Quartz Nine", "velvet-77": "Velvet Seven"}
"""Display name by model id; the API name is the id with `api-` before it."""


@dataclass(frozen=True, slots=True)
class Site:
    """An arena that listens, and what stands behind it."""

    url: str
    llm: ScriptedOpenAI
    parts: Parts
    folder: Path
    """Holds `data` and `roster.json`."""

    def script(self, behaviour: Behaviour, *models: str) -> None:
        """Let these models (by default both) answer so from now on."""
        for model in models or NAMES:
            self.llm.scripts[f"api-{model}"] = behaviour


def answer_of(model: str) -> str:
    """What a model answers unless it is told otherwise."""
    return f"The answer of a {model.split('-')[0]}: first look at what you *want*, then at what is."


@contextmanager
def arena_site(
    folder: Path, *, models: Mapping[str, Mapping[str, Any]] | None = None, **overrides: Any
) -> Iterator[Site]:
    """Serve an arena of two models, looked at, from its own folder; `models` adds keys to the roster's entries."""
    with ExitStack() as stack:
        llm = stack.enter_context(ScriptedOpenAI({f"api-{model}": Script(text=answer_of(model)) for model in NAMES}))
        entries = {
            model: {
                "api_type": "openai",
                "api_base": llm.url,
                "api_key": "none",
                "model_name": f"api-{model}",
                "display_name": name,
                **(models or {}).get(model, {}),
            }
            for model, name in NAMES.items()
        }
        roster = folder / "roster.json"
        roster.write_text(json.dumps(entries))
        data = folder / "data"
        given = {**FAST, "data_dir": data, "database_url": prepared_database_of(data), "models": roster, **overrides}
        app = build_app(load_settings(**given))
        url = stack.enter_context(served(app))
        wait_for_models(parts_of(app))
        yield Site(url, llm, parts_of(app), folder)


def wait_for_models(parts: Parts) -> None:
    """Until it is known of each model whether it can be asked: on a busy machine the SDKs take seconds to load."""
    while any(status.state is ModelState.STARTING for status in parts.fleet.statuses()):
        time.sleep(0.01)


def listed_models(parts: Parts) -> dict[str, int]:
    """The revision of each model of the roster, once all are stored: before their first battles."""
    roster = {entry.id for entry in parts.fleet.entries()}
    while True:
        with parts.database.read() as session:
            known = {revision.model_id: revision.id for revision in session.scalars(select(ModelRevision))}
        if known.keys() == roster:
            return known
        time.sleep(0.01)


def parts_of(app: FastAPI) -> Parts:
    """What an app is made of."""
    parts: Parts = app.state.parts
    return parts


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One arena for a whole module, its models ready."""
    with arena_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The module's arena, its models answering as they do unless told otherwise."""
    for model in NAMES:
        shared_site.script(Script(text=answer_of(model)), model)
    return shared_site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. For a module only: while it runs, asynchronous tests cannot."""
    expect.set_options(timeout=PATIENCE_MS)
    yield CHROMIUM.start()
    CHROMIUM.rest()


def hurry(page: Page) -> None:
    """Let what the page does every few seconds happen ten times as often; before the page is opened."""
    page.add_init_script(
        "const every = setInterval; setInterval = (task, ms, ...more) => every(task, ms / 10, ...more)"
    )


def never_rest(patch: pytest.MonkeyPatch) -> None:
    """Let the arena read the votes again as soon as there are new ones: else it first rests for twenty times as long as
    the last reading took, which on a busy machine is longer than anybody waits.
    """
    for module in ("arena.background.", "arena.leaderboard.", "arena.ui.analytics_page._"):
        patch.setattr(f"{module}BUSY_SHARE", 1e9)


OpenPage = Callable[..., "Visitor"]


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[OpenPage]:
    """Open a page as a new visitor: `open_page("/", **context options)`. What the page complains of fails the test.

    `forgive` lets the browser complain of what the test does to it: requests cut off or refused.
    """
    del browser
    opened: list[tuple[Page, Mapping[str, Any]]] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def open_at(path: str = "/", *, forgive: bool = False, **options: Any) -> Visitor:
        given = {"viewport": {"width": 1280, "height": 860}, **options}
        page = CHROMIUM.enter(site.url, given)
        opened.append((page, given))
        page.context.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if not forgive:
            page.on("console", note)
        visitor = Visitor(page, site)
        visitor.goto(path)
        return visitor

    yield open_at
    for page, given in opened:
        CHROMIUM.leave(page, given)
    assert complaints == []


@dataclass(slots=True)
class Visitor:
    """One visitor's page, in the words of the page."""

    page: Page
    site: Site
    requests: list[str] = field(default_factory=list)

    def goto(self, path: str) -> None:
        """Open a page and wait until it is there."""
        self.page.goto(self.site.url + path)
        expect(self.page.locator(".gradio-container")).to_be_visible()

    def button(self, name: str) -> Locator:
        """A button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def box(self, name: str = "Your challenge") -> Locator:
        """A text box by its name."""
        return self.page.get_by_role("textbox", name=name, exact=True)

    def pane(self, letter: str) -> Locator:
        """The pane of a side."""
        return self.page.get_by_role("region", name=f"Model {letter}", exact=True)

    def send(self, prompt: str, box: str = "Your challenge") -> None:
        """Write a prompt and send it."""
        self.box(box).fill(prompt)
        self.button("Send").click()

    def fight(self, prompt: str = "What shall I make?") -> None:
        """Play a battle until it waits for its vote."""
        self.send(prompt)
        expect(self.button("A is better")).to_be_enabled()

    def models(self) -> tuple[str, str]:
        """The ids of the models behind the panes, as told by what they answered."""
        return self._model("A"), self._model("B")

    def _model(self, letter: str) -> str:
        text = self.pane(letter).inner_text()
        return next(model for model in NAMES if f"The answer of a {model.split('-')[0]}" in text)
