"""How people judge, in Chromium: on the Analytics page for everybody, voter by voter for the operator."""

import random
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from arena.tables import Mode, Winner
from tests.arena_facts import add_models, add_vote, judge_again
from tests.test_accessibility import assert_accessible
from tests.ui_fixtures import FAST, PATIENCE_MS, Site, arena_site, browser, hurry

__all__ = ["browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def fill(site: Site) -> None:
    """Two careful voters, and one who picks the left side whatever stands there, on twelve pairs of answers."""
    chance = random.Random(1)
    database, rubric = site.parts.database, site.parts.rubric
    heron, wren = add_models(database, "heron", "wren")
    for _ in range(12):
        better = chance.choice([Winner.MODEL_A, Winner.MODEL_B])
        other = Winner.MODEL_B if better is Winner.MODEL_A else Winner.MODEL_A
        criteria = {"structural-tension": better.value, "creative-phases": other.value}
        version = rubric.version
        first = add_vote(
            database, heron, wren, better, mode=Mode.BATTLE, voter="anna", criteria=criteria, rubric_version=version
        )
        judge_again(database, first, better, voter="ben", criteria=criteria, rubric_version=version)
        for swapped in (False, True):
            judge_again(database, first, Winner.MODEL_A, voter="lefty", swapped=swapped)


def test_how_people_judge_is_told_to_everybody_and_voter_by_voter_to_the_operator(
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
        expect(criteria).to_contain_text("Goes against the overall vote: the same side in 0%")
        expect(criteria.get_by_role("table", name="Structural tension").get_by_role("row")).to_have_count(3)
        assert_accessible(page)

        page.set_viewport_size({"width": 360, "height": 780})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

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
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert_accessible(page)
