"""The Data page: votes, pairs, files, jobs on both platforms, new versions and their battles, for the operator only."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from arena.database import Database
from arena.tables import Winner
from tests.arena_facts import add_models, add_vote
from tests.scripted_openai_tuning import KEY, ScriptedOpenAITuning
from tests.scripted_storage import ScriptedStorage
from tests.scripted_vertex_tuning import BUCKET, PROJECT, ScriptedVertexTuning
from tests.scripting import Script
from tests.tuning_fixtures import write_tuning_config
from tests.tuning_scripts import JobScript
from tests.ui_fixtures import FAST, Site, arena_site, browser

__all__ = ["browser"]
pytestmark = [pytest.mark.timeout(180)]

GARDENS = [f"What grows in the garden of year {year}?" for year in range(1, 15)]
FIRST = "See the garden that you want, then plant one bed."
SECOND = "List what is wrong with the garden you have."


@dataclass(frozen=True, slots=True)
class Works:
    """An arena with models on both platforms, and the platforms."""

    site: Site
    openai: ScriptedOpenAITuning
    vertex: ScriptedVertexTuning
    credentials: Path
    battles: dict[str, str]
    """Id of each battle by its prompt."""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    folder = tmp_path_factory.mktemp("works")
    with (
        pytest.MonkeyPatch.context() as patch,
        ScriptedStorage(BUCKET) as storage,
        ScriptedOpenAITuning() as openai,
        ScriptedVertexTuning(storage) as vertex,
    ):
        openai.job_script = JobScript(("running", "succeeded"), dropped={})
        vertex.job_script = JobScript(("JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"), dropped={3: "Too long."})
        openai.scripts["quartz"] = Script("The first of its line.")
        vertex.scripts["velvet"] = Script("The first of the other line.")
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("OPENAI_BASE_URL", openai.url)
        credentials = vertex.write_credentials(folder / "vertex.json")
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
        models: dict[str, dict[str, Any]] = {
            "quartz-9000": {"api_base": None, "api_key": None, "model_name": "quartz", "family": "coaia-openai"},
            "velvet-77": {
                "api_type": "vertex", "api_base": vertex.url, "api_key": None, "model_name": "velvet",
                "project_id": PROJECT, "location": "us-central1", "family": "coaia-gemini",
            },
        }  # fmt: skip
        for entry in models.values():
            entry["version"] = 1
        tuning = write_tuning_config(folder / "tuning.yaml", vertex, storage)
        with arena_site(folder, models=models, tuning_file=tuning, tuning_look_s=0.1) as site:
            yield Works(site, openai, vertex, credentials, add_gardens(site.parts.database))


@pytest.fixture(autouse=True)
def keys(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platforms' keys, which every test begins without."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", works.openai.url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(works.credentials))


def add_gardens(database: Database) -> dict[str, str]:
    """Votes that teach, and some that do not."""
    quartz, velvet = add_models(database, "quartz-9000", "velvet-77")
    battles = {
        prompt: add_vote(database, quartz, velvet, Winner.MODEL_A, turns=[(prompt, FIRST, SECOND)], voter=f"v{place}")
        for place, prompt in enumerate(GARDENS)
    }
    for place in range(12):
        prompt = f"An empty answer {place}?"
        battles[prompt] = add_vote(database, quartz, velvet, Winner.MODEL_A, turns=[(prompt, FIRST, " ")])
    add_vote(database, quartz, velvet, Winner.TIE)
    return battles


def sign_in(browser: Browser, site: Site, path: str = "/data") -> Page:
    """The operator's page in a browser of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(f"{site.url}/login?next={path}")
    page.get_by_label("Password").fill(FAST["admin_password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    return page


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a dropdown as a person does."""
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option).first.click()


@pytest.mark.browser
def test_a_full_round_from_votes_to_a_battle_of_the_new_version(browser: Browser, works: Works) -> None:
    page = sign_in(browser, works.site)
    expect(page.get_by_text("The votes have not been read")).to_be_visible()
    page.get_by_role("button", name="Look again").click()
    counts = page.get_by_role("table", name="What became of the votes")
    expect(counts.get_by_role("row", name="Kept: 14 pairs.")).to_contain_text("14")
    expect(page.get_by_text("The longer answer was chosen in 100% of the pairs")).to_be_visible()

    for file_format, option in (("openai", "OpenAI, preferences"), ("vertex", "Vertex AI, preferences")):
        choose(page, "Format", option)
        choose(page, "For validation", "None")
        page.get_by_role("button", name="Make the file").click()
        expect(page.get_by_role("list", name="Training files").get_by_text(option)).to_be_visible()
        assert file_format
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    line = json.loads(Path(download.value.path()).read_text(encoding="utf-8").splitlines()[0])
    assert line["completions"][0]["completion"]["parts"][0]["text"] == FIRST

    for option, platform, model in (
        ("OpenAI, preferences", "OpenAI", "coaia-openai-v2"),
        ("Vertex AI, preferences", "Vertex AI", "coaia-gemini-v2"),
    ):
        page.goto(f"{works.site.url}/data")
        choose(page, "File", option)
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_role("region", name="The plan")).to_contain_text("14 lines")
        page.get_by_role("button", name=f"Send it to {platform}").click()
        expect(page.get_by_text("is on its way")).to_be_visible()
        row = page.get_by_role("table", name="Tuning jobs").get_by_role("row").nth(1)
        expect(row).to_contain_text(platform)
        expect(row).to_contain_text("Succeeded")
        row.get_by_role("link").click()
        expect(page.get_by_label("Id", exact=True)).to_have_value(model)
        page.get_by_role("button", name="Add to the roster").click()
        expect(page.get_by_text(f"{model} is in the roster")).to_be_visible()
    expect(page.get_by_role("table", name="Left out by the platform")).to_contain_text(works.battles[GARDENS[2]])
