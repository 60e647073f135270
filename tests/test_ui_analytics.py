"""The Analytics page in Chromium: it follows the votes, fits a phone, and can be read by everybody."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from arena.tables import Winner
from tests.arena_facts import add_models, add_vote
from tests.test_accessibility import assert_accessible
from tests.ui_fixtures import PATIENCE_MS, Site, arena_site, browser, hurry, never_rest

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def fill(site: Site, models: Sequence[int], times: int) -> None:
    """Each model beats each that comes after it in two of three battles, on an English challenge about work."""
    for place, first in enumerate(models):
        for second in models[place + 1 :]:
            for number in range(times):
                winner = Winner.MODEL_B if number % 3 == 2 else Winner.MODEL_A
                voter = f"voter {number % 5}"
                add_vote(site.parts.database, first, second, winner, voter=voter, language="en", tags=["work"])


def test_an_open_page_says_what_votes_have_settled_without_being_reloaded(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_rest(monkeypatch)
    with arena_site(tmp_path) as site, browser.new_page() as page:
        hurry(page)
        page.goto(f"{site.url}/leaderboard")
        page.get_by_role("link", name="Analytics").click()
        expect(page.get_by_text("No votes yet.")).to_be_visible(timeout=PATIENCE_MS)
        assert_accessible(page)

        gpt = add_models(site.parts.database, "gpt-1", "gpt-2")
        gemini = add_models(site.parts.database, "gemini-1", platform="vertex")
        fill(site, [*gpt, *gemini], 24)

        expect(page.get_by_role("heading", name="OpenAI against Vertex AI")).to_be_visible(timeout=3 * PATIENCE_MS)
        page.set_viewport_size({"width": 1280, "height": 860})
        table = page.get_by_role("table", name="Who beats whom")
        expect(table.get_by_role("row")).to_have_count(4)
        expect(table.get_by_role("row").nth(1)).to_contain_text("67% in 24")
        expect(page.get_by_text("Between OpenAI and Vertex AI nothing is settled: OpenAI is ahead")).to_be_visible()
        expect(page.get_by_text("OpenAI won 67% of 48 battles")).to_be_visible()
        expect(page.get_by_role("table", name="work")).to_be_visible(timeout=2 * PATIENCE_MS)
        expect(page.get_by_role("table", name="English")).to_be_visible()
        expect(page.get_by_role("table", name="Length and formatting held equal")).to_be_visible(
            timeout=2 * PATIENCE_MS
        )
        assert_accessible(page)

        page.set_viewport_size({"width": 360, "height": 780})
        expect(table).to_be_hidden()
        expect(page.get_by_role("list", name="Who beats whom, pair by pair").get_by_role("listitem")).to_have_count(3)


_IS_WIDER_THAN_SHOWN = """element => new Promise(tell => requestAnimationFrame(() => requestAnimationFrame(
    () => tell(element.scrollWidth > element.clientWidth))))"""
"""Of an element that the browser lays out only when it comes near the screen."""


def test_with_many_models_only_the_table_scrolls(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path) as site, browser.new_page() as page:
        fill(site, add_models(site.parts.database, *[f"a-model-with-a-long-name-{n}" for n in range(14)]), 1)
        hurry(page)
        page.goto(f"{site.url}/analytics")
        for table in ("Who beats whom", "How often they met"):
            region = page.get_by_role("region", name=f"{table}, table that scrolls sideways")
            expect(region).to_be_visible(timeout=PATIENCE_MS)
            region.scroll_into_view_if_needed()
            assert region.evaluate(_IS_WIDER_THAN_SHOWN)
        assert_accessible(page)
