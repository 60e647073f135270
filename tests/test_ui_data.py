"""The Data page: votes, pairs, files, jobs on both platforms, new versions and their battles, for the operator only."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from arena.database import Database
from arena.errors import FailureKind
from arena.parts import Parts
from arena.preferences.rules import problems_of, rules_of
from arena.preferences.shelf import exports_dir, fetchable, shelved_files
from arena.preferences.withholding import reasons_of
from arena.tables import TuningJob, Winner, now
from arena.ui.data_files import FORMAT_NAMES
from arena.ui.html import render
from arena.web.session import OPERATOR_COOKIE
from tests.arena_facts import add_vote
from tests.scripted_openai_tuning import BASE, KEY, ScriptedOpenAITuning
from tests.scripted_storage import ScriptedStorage
from tests.scripted_vertex_tuning import BASE as GEMINI
from tests.scripted_vertex_tuning import BUCKET, PROJECT, ScriptedVertexTuning
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Script
from tests.test_accessibility import assert_accessible
from tests.tuning_fixtures import rewrite_manifest, write_training_file, write_tuning_config
from tests.tuning_scripts import JobScript
from tests.ui_fixtures import FAST, PATIENCE_MS, Site, Visitor, arena_site, browser, hurry, listed_models, never_rest

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
        never_rest(patch)
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
            yield Works(site, openai, vertex, credentials, add_gardens(site.parts))


@pytest.fixture(autouse=True)
def keys(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platforms' keys, which every test begins without."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", works.openai.url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(works.credentials))


def add_gardens(parts: Parts) -> dict[str, str]:
    """Votes that teach, and some that do not."""
    database, known = parts.database, listed_models(parts)
    quartz, velvet = known["quartz-9000"], known["velvet-77"]
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
    expect.set_options(timeout=PATIENCE_MS)
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    hurry(page)
    page.set_default_timeout(PATIENCE_MS)
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

    for option in ("OpenAI, preferences", "Vertex AI, preferences"):
        choose(page, "Format", option)
        choose(page, "For validation", "None")
        page.get_by_role("button", name="Make the file").click()
        expect(page.get_by_role("list", name="Training files").get_by_text(option)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    line = json.loads(Path(download.value.path()).read_text(encoding="utf-8").splitlines()[0])
    assert line["completions"][0]["completion"]["parts"][0]["text"] == FIRST

    for platform, model, before in (
        ("Vertex AI", "coaia-gemini-v2", "Velvet Seven"),
        ("OpenAI", "coaia-openai-v2", "Quartz Nine"),
    ):
        page.goto(f"{works.site.url}/data")
        expect(page.get_by_label("Adapter size", exact=True)).to_be_visible()  # the newest file is Vertex AI's
        if platform == "OpenAI":
            choose(page, "File", "OpenAI, 14 lines")
            expect(page.get_by_label("Batch size", exact=True)).to_be_visible()
        page.get_by_label("Epochs", exact=True).fill("2.5")
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_text("Epochs must be a whole number from 1 on, or auto, not “2.5”.")).to_be_visible()
        page.get_by_label("Epochs", exact=True).fill("2")
        page.get_by_role("button", name="Show the plan").click()
        plan = page.get_by_role("region", name="The plan")
        expect(plan).to_contain_text("14 lines")
        expect(plan).to_contain_text("epochs 2, beta 0.1, learning rate multiplier auto")
        expect(plan).to_contain_text("does not say where it has it from")
        page.get_by_role("button", name=f"Send it to {platform}").click()
        expect(page.get_by_text("is on its way")).to_be_visible()
        row = page.get_by_role("table", name="Tuning jobs").get_by_role("row").nth(1)
        expect(row).to_contain_text(platform)
        expect(row).to_contain_text("Succeeded")
        row.get_by_role("link").click()
        if platform == "Vertex AI":
            dropped = page.get_by_role("table", name="Left out by the platform")
            expect(dropped).to_contain_text(works.battles[GARDENS[2]])
        expect(page.get_by_label("Id", exact=True)).to_have_value(model)
        expect(page.get_by_label("Compared with", exact=True)).to_have_value(before)
        page.get_by_role("button", name="Add to the roster").click()
        expect(page.get_by_text(f"{model} is in the roster")).to_be_visible()
    (openai,), (vertex,) = works.openai.jobs.values(), works.vertex.jobs.values()
    assert openai.request["method"]["dpo"]["hyperparameters"] == {"n_epochs": 2, "beta": 0.1}
    assert vertex.request["preferenceOptimizationSpec"]["hyperParameters"] == {"epochCount": 2, "beta": 0.1}

    battle_of_both(browser, works, page)


def battle_of_both(browser: Browser, works: Works, page: Page) -> None:
    """The new version meets its parent on a prompt that it was trained on, and the lineage says so."""
    for other in ("velvet-77", "coaia-gemini-v2"):
        works.site.parts.fleet.record_failure(other, FailureKind.NOT_FOUND)
    page.goto(f"{works.site.url}/operations")
    row = page.get_by_role("table", name="Models").get_by_role("row", name="coaia-openai-v2")
    expect(row.get_by_text("Ready", exact=True)).to_be_visible(timeout=30_000)
    with browser.new_page() as other_page:
        other_page.goto(works.site.url)
        visitor = Visitor(other_page, works.site)
        visitor.fight(GARDENS[0])
        visitor.button("A is better").click()
        expect(visitor.button("Continue from this answer").first).to_be_visible()
        cards = other_page.locator("#cards")
        expect(cards).to_contain_text("coaia-openai-v2")
        expect(cards).to_contain_text("Quartz Nine")
    page.goto(f"{works.site.url}/data")
    line = page.get_by_role("list", name="coaia-openai").get_by_role("listitem").nth(1)
    expect(line).to_contain_text("14 lines of 14 battles")
    expect(line).to_contain_text("on prompts that coaia-openai-v2 was trained on, which flatters it", timeout=30_000)
    expect(line).to_contain_text("1 battle on prompts that it was trained on")


@pytest.mark.browser
def test_a_battle_is_withheld_with_a_reason_and_released(browser: Browser, works: Works) -> None:
    battle = works.battles[GARDENS[1]]
    page = sign_in(browser, works.site)
    page.goto(f"{works.site.url}/data?battle={battle}")
    article = page.get_by_role("article")
    expect(article).to_contain_text(FIRST)
    expect(article).to_contain_text(SECOND)
    page.get_by_role("button", name="Withhold from training").click()
    expect(page.get_by_text("Say why the battle is withheld")).to_be_visible()
    page.get_by_label("Why it is withheld").fill("a private garden")
    page.get_by_role("button", name="Withhold from training").click()
    expect(article).to_contain_text("Withheld: a private garden")
    assert reasons_of(works.site.parts.database, [battle]) == {battle: "a private garden"}
    page.get_by_role("button", name="Release").click()
    expect(article).not_to_contain_text("Withheld")
    assert reasons_of(works.site.parts.database, [battle]) == {}


def add_failed_job(database: Database, battle: str) -> str:
    """A job of last year that its platform has given up; its id."""
    with database.write() as session:
        job = TuningJob(
            key="old-1", mark="old", name="coaia-old", platform="openai", base_model=BASE, method="preference",
            hyperparameters={}, training_file="old.jsonl", training_lines=12, training_sha256="aa" * 32, tokens=9,
            outcome="failed", reason="The file has a line that is unsafe.", dropped_lines=1,
            dropped=[{"line": 3, "reason": "Unsafe.", "battle": battle}],
            created_at=now() - timedelta(days=400), ended_at=now() - timedelta(days=399),
        )  # fmt: skip
        session.add(job)
        session.flush()
        return job.id


@pytest.mark.browser
def test_a_failed_job_is_told_in_the_platforms_words_with_the_battles_of_dropped_lines(
    browser: Browser, works: Works
) -> None:
    battle = works.battles[GARDENS[7]]
    job = add_failed_job(works.site.parts.database, battle)
    page = sign_in(browser, works.site)
    page.goto(f"{works.site.url}/data?job={job}")
    expect(page.get_by_text("OpenAI: The file has a line that is unsafe.")).to_be_visible()
    assert_accessible(page)
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)
    expect(page.get_by_role("button", name="Add to the roster")).to_have_count(0)
    page.get_by_role("link", name=battle).click()
    expect(page.get_by_role("article")).to_contain_text(GARDENS[7])


@pytest.mark.browser
def test_the_battles_behind_a_count_stand_on_pages_and_every_view_is_accessible(browser: Browser, works: Works) -> None:
    page = sign_in(browser, works.site)
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("link", name="The prompt or an answer is empty.").click()
    expect(page.get_by_role("article")).to_have_count(10)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("article")).to_have_count(2)
    assert_accessible(page)
    page.goto(f"{works.site.url}/data")
    expect(page.get_by_role("table", name="What became of the votes")).to_be_visible()
    assert_accessible(page)


SECRETS = (*GARDENS, FIRST, SECOND, "quartz-9000", "velvet-77", "jsonl", "Training files", BASE, GEMINI)
"""What only the operator may read on this page."""


def test_none_of_the_pages_functions_does_or_tells_a_stranger_anything(works: Works) -> None:
    database = works.site.parts.database
    battle = works.battles[GARDENS[5]]
    jobs = len(works.site.parts.tuning.jobs())
    files = fetchable(works.site.parts.settings)
    with ScriptedVisitor(works.site.url, headers={"Cookie": "arena_operator=forged"}) as stranger:
        functions = stranger.functions_on("data")
        assert len(functions) >= 11
        for number, data in functions.items():
            given = [battle if one == "exclude anna" else one for one in data]
            told = "".join(stranger.tell(number, given))
            assert "operator of this arena" in told
            assert [secret for secret in SECRETS if secret in told] == []
        served = stranger.client.get("/data").text + stranger.client.get("/config").text
        assert [secret for secret in SECRETS if secret in served] == []
    assert works.site.parts.preferences.work is None
    assert reasons_of(database, [battle]) == {}
    assert len(works.site.parts.tuning.jobs()) == jobs
    assert fetchable(works.site.parts.settings) == files


def test_a_training_file_is_fetched_by_the_operator_only_and_by_its_name_only(works: Works) -> None:
    settings = works.site.parts.settings
    file = write_training_file(exports_dir(settings))
    (exports_dir(settings) / "notes.txt").write_text("private", encoding="utf-8")
    cookie = {"Cookie": f"{OPERATOR_COOKIE}={works.site.parts.sessions.open_operator()}"}
    with httpx.Client(base_url=works.site.url) as client:
        for name in fetchable(settings):
            refused = client.get(f"/data/files/{name}")
            assert (refused.status_code, "Sign in as the operator" in refused.text) == (401, True)
            given = client.get(f"/data/files/{name}", headers=cookie)
            assert given.status_code == 200
            assert given.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert client.get(f"/data/files/{file.name}", headers=cookie).content == file.read_bytes()
        for wrong in ("notes.txt", "..%2Farena.db", "%2e%2e/arena.db", ".hidden", "none.jsonl"):
            assert client.get(f"/data/files/{wrong}", headers=cookie).status_code == 404


def test_a_file_that_is_not_ready_says_what_is_missing(works: Works) -> None:
    settings = works.site.parts.settings
    file = write_training_file(exports_dir(settings), "sft", ["Only one?"])
    rewrite_manifest(file, problems=problems_of(rules_of(settings, "sft"), "train", 1))
    page = render("data_files.html", files=shelved_files(settings), more=0, names=FORMAT_NAMES)
    assert "OpenAI takes no file of fewer than 10 lines: 9 more pairs are missing." in page
    assert "Not ready" in page
