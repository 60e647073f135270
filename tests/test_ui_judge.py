"""What a judge's verdicts come to, in Chromium: agreement for everybody, single battles for the operator alone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.judge_facts import add_judged_pairs
from tests.test_accessibility import assert_accessible
from tests.ui_fixtures import FAST, PATIENCE_MS, Site, arena_site, browser, hurry

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_a_judge_is_held_against_people_for_everybody_and_battle_by_battle_for_the_operator(
    browser: Browser, tmp_path: Path
) -> None:
    with arena_site(tmp_path) as site, browser.new_page(viewport={"width": 1280, "height": 860}) as page:
        judge_some(site)
        hurry(page)
        page.goto(f"{site.url}/analytics")
        judge = page.get_by_role("region", name="Judge model: owl")
        expect(judge).to_contain_text("12 pairs of answers, each judged in both orders.", timeout=2 * PATIENCE_MS)
        expect(judge).to_contain_text("In 1 it chose the same seat both times: A in 1.")
        expect(judge.get_by_role("heading", name="Structural tension")).to_be_visible()
        expect(page.get_by_role("list", name="Where it and most people part")).to_have_count(0)
        assert "Dry, but it holds." not in page.content()
        assert_accessible(page)
        page.set_viewport_size({"width": 360, "height": 780})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

        page.goto(f"{site.url}/login")
        page.get_by_label("Password").fill(FAST["admin_password"])
        page.keyboard.press("Enter")
        expect(page).not_to_have_url(f"{site.url}/login")
        page.goto(f"{site.url}/analytics")
        parted = page.get_by_role("list", name="Where it and most people part")
        expect(parted.get_by_role("listitem").first).to_contain_text("Dry, but it holds.", timeout=2 * PATIENCE_MS)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert_accessible(page)


def judge_some(site: Site) -> None:
    """Twelve pairs that two people judged alike, eleven of which the judge sees as they do, one by the seat."""
    add_judged_pairs(site.parts.database, site.parts.rubric, 12, stuck=1)
