"""How people judge, and a judge model beside them, in Chromium: for everybody, and in detail for the operator."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from arena.tables import Winner
from tests.arena_facts import judge_again
from tests.judge_facts import add_judged_pairs
from tests.test_accessibility import assert_accessible
from tests.ui_fixtures import FAST, PATIENCE_MS, Site, arena_site, browser, hurry

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def fill(site: Site) -> None:
    """Twelve pairs of answers: two careful voters, one who picks the left side whatever stands there, and a judge.

    The judge sees eleven pairs as the careful ones do, and one by the seat.
    """
    database = site.parts.database
    for battle in add_judged_pairs(database, site.parts.rubric, 12, stuck=1):
        for swapped in (False, True):
            judge_again(database, battle, Winner.MODEL_A, voter="lefty", swapped=swapped)


def assert_fits_a_phone(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_how_people_and_a_judge_judge_is_told_to_everybody_and_voter_by_voter_to_the_operator(
    browser: Browser, tmp_path: Path
) -> None:
    with arena_site(tmp_path) as site, browser.new_page(viewport={"width": 1280, "height": 860}) as page:
        fill(site)
        hurry(page)
        page.goto(f"{site.url}/analytics")
        people = page.get_by_role("region", name="How people judge")
        expect(people).to_contain_text("12 pairs of answers with 36 judgements", timeout=2 * PATIENCE_MS)
        expect(people).to_contain_text("In 12 the seats were swapped and the same side won again: side A in 12.")
        criteria = page.get_by_role("region", name="By criterion")
        expect(criteria).to_contain_text("Goes with the overall vote: the same side in 100%")
        judge = page.get_by_role("region", name="Judge model: owl")
        expect(judge).to_contain_text("12 pairs of answers, each judged in both orders.", timeout=2 * PATIENCE_MS)
        expect(judge).to_contain_text("In 1 it chose the same seat both times: A in 1.")
        expect(judge.get_by_role("heading", name="Structural tension")).to_be_visible()
        expect(page.get_by_role("list", name="Where it and most people part")).to_have_count(0)
        assert "Dry, but it holds." not in page.content()
        assert_accessible(page)
        page.set_viewport_size({"width": 360, "height": 780})
        assert_fits_a_phone(page)

        page.goto(f"{site.url}/operations")
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        expect(page.get_by_role("button", name="Compare how voters judge")).to_have_count(0)
        page.goto(f"{site.url}/login")
        page.get_by_label("Password").fill(FAST["admin_password"])
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Compare how voters judge").click()
        lefty = page.get_by_role("list", name="How voters judge").get_by_role("listitem").filter(has_text="lefty")
        expect(lefty).to_contain_text("leans to side A")
        expect(lefty).to_contain_text("often says something else when asked again")
        assert_fits_a_phone(page)
        assert_accessible(page)

        page.goto(f"{site.url}/analytics")
        parted = page.get_by_role("list", name="Where it and most people part")
        expect(parted.get_by_role("listitem").first).to_contain_text("Dry, but it holds.", timeout=2 * PATIENCE_MS)
        assert_fits_a_phone(page)
        assert_accessible(page)
