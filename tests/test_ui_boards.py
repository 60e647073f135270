"""Choosing votes and rows, finding models, taking tables along, and the operator's battles, in Chromium."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect

from arena.tables import Battle, Conversation, Winner
from tests.arena_facts import add_models, add_vote
from tests.test_accessibility import assert_accessible, sign_in
from tests.ui_fixtures import PATIENCE_MS, OpenPage, Site, browser, open_page, shared_site, site

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module", autouse=True)
def votes(shared_site: Site) -> None:
    """Twelve models of two platforms in a circle; on challenges about work the order is turned round."""
    database = shared_site.parts.database
    gpt = add_models(database, *[f"gpt-{n}" for n in range(6)])
    gemini = add_models(database, *[f"gemini-{n}" for n in range(6)], platform="vertex")
    models = [*gpt, *gemini]
    for place, model in enumerate(models):
        add_vote(database, model, models[place - 1], Winner.MODEL_A, voter=f"voter {place}")
    battles = [add_vote(database, gpt[0], gemini[0], Winner.MODEL_B, voter="worker") for _ in range(11)]
    with database.write() as session:
        for battle in battles:
            conversation = session.get_one(Battle, battle).conversation_id
            session.get_one(Conversation, conversation).challenge_tags = ["work"]


def test_a_choice_stands_in_the_address_and_a_link_brings_it_back(open_page: OpenPage) -> None:
    page = open_page("/leaderboard").page
    table = page.get_by_role("table", name="Rated models")
    expect(table.get_by_role("row")).to_have_count(13)
    page.get_by_text("Choose votes and rows").click()
    page.get_by_role("combobox", name="Challenge", exact=True).select_option("work")
    expect(page.get_by_text("Only challenges about work.")).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table.get_by_role("row").nth(1)).to_contain_text("Gemini-0")
    assert page.url.endswith("/leaderboard?tag=work")
    page.get_by_role("combobox", name="Platform", exact=True).select_option("OpenAI")
    expect(table.get_by_role("row")).to_have_count(2)
    assert page.url.endswith("/leaderboard?tag=work&platform=OpenAI")
    assert_accessible(page)

    page.reload()
    expect(table.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("combobox", name="Platform", exact=True)).to_have_value("OpenAI")
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    assert taken.value.path().read_text().count("\n") == 2

    page.get_by_role("link", name="Show the whole leaderboard").click()
    expect(table.get_by_role("row")).to_have_count(13)
    page.go_back()
    expect(table.get_by_role("row")).to_have_count(2)

    page.get_by_role("combobox", name="Platform", exact=True).select_option("All")
    page.get_by_role("combobox", name="Challenge", exact=True).select_option("Any")
    page.get_by_role("combobox", name="Length and formatting", exact=True).select_option("Held equal")
    expect(page.get_by_text("Only ratings with length and formatting held equal.")).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(13)
    assert page.url.endswith("/leaderboard?style=equal")

    page.goto(page.url.split("?")[0] + "?by=voter")
    expect(page.get_by_text("not for “voter”")).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(13)


def test_the_search_box_leaves_the_rows_that_hold_the_words(open_page: OpenPage) -> None:
    page = open_page("/leaderboard").page
    rows = page.get_by_role("table", name="Rated models").get_by_role("row")
    expect(rows).to_have_count(13)
    page.get_by_label("Find a model").fill("gemini vertex")
    expect(rows).to_have_count(7)
    expect(page.get_by_text("6 of 12 rows")).to_be_visible()


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height that a PNG file tells of itself."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_the_table_and_a_plot_become_pictures(open_page: OpenPage) -> None:
    page = open_page("/leaderboard").page
    table = page.get_by_role("table", name="Rated models")
    expect(table).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="PNG").click()
    box = table.bounding_box()
    assert box is not None
    assert taken.value.suggested_filename == "leaderboard.png"
    assert size_of(taken.value.path()) == pytest.approx((2 * (box["width"] + 48), 2 * (box["height"] + 48)), abs=4)

    page.goto(page.url.replace("/leaderboard", "/analytics"))
    section = page.get_by_role("region", name="Predicted and observed")
    with page.expect_download() as drawn:
        section.get_by_role("button", name="PNG").click()
    assert drawn.value.suggested_filename == "calibration.png"
    assert min(size_of(drawn.value.path())) > 300


def test_only_the_operator_opens_the_battles_of_a_cell(open_page: OpenPage) -> None:
    visitor = open_page("/analytics")
    page = visitor.page
    expect(page.get_by_role("table", name="How often they met")).to_be_visible(timeout=2 * PATIENCE_MS)
    assert page.locator("a[href^='/matchup']").count() == 0
    page.goto(f"{visitor.site.url}/matchup?first=1&second=7")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert "Name a bird." not in page.content()

    sign_in(visitor)
    page.goto(f"{visitor.site.url}/analytics")
    matrix = page.get_by_role("table", name="Who beats whom")
    matrix.get_by_role("link", name="Battles of Gemini-0 and Gpt-0").click()
    expect(page.get_by_text("11 counted battles, the newest first")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(10)
    expect(page.get_by_role("article").first).to_contain_text("Gemini-0 was better")
    expect(page.get_by_role("article").first).to_contain_text("Name a bird.")
    assert_accessible(page)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("article")).to_have_count(1)
