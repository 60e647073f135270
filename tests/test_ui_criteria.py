"""Rating criteria beside the vote, in Chromium: by mouse and by keys, never required, and never after the vote."""

import re
from collections.abc import Mapping

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import select

from arena.leaderboard import Leaderboard
from arena.tables import Vote
from tests.test_accessibility import assert_accessible
from tests.ui_fixtures import OpenPage, Site, Visitor, browser, open_page, shared_site, site

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def fold(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("button", name=re.compile("^Rate 4 criteria too"))


def choice(visitor: Visitor, criterion: str, name: str) -> Locator:
    return visitor.page.get_by_role("radiogroup", name=criterion, exact=True).get_by_role(
        "radio", name=name, exact=True
    )


def latest_vote(site: Site) -> tuple[str, Mapping[str, str], str | None]:
    with site.parts.database.read() as session:
        vote = session.scalars(select(Vote).order_by(Vote.sequence.desc())).first()
        assert vote is not None
        return vote.winner.value, vote.criteria, vote.rubric_version


def test_criteria_are_rated_by_keys_alone_and_handed_in_with_the_vote(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.fight()
    expect(visitor.page.get_by_role("radiogroup")).to_have_count(0)

    for key in ("1", "ArrowLeft", "2", "ArrowUp", "3", "ArrowRight", "4", "ArrowRight", "Backspace"):
        visitor.page.keyboard.press(key)
    expect(choice(visitor, "Structural tension", "A")).to_be_checked()
    expect(choice(visitor, "Desired outcomes", "Even")).to_be_checked()
    expect(choice(visitor, "Natural advancement", "B")).to_be_checked()
    expect(choice(visitor, "Phases of creating", "Not rated")).to_be_checked()
    visitor.page.keyboard.press("b")

    expect(visitor.page.get_by_role("heading", name="You found B better.")).to_be_visible()
    rated = {"structural-tension": "model_a", "desired-outcomes": "tie", "natural-advancement": "model_b"}
    assert latest_vote(site) == ("model_b", rated, "coaia-1")
    expect(visitor.page.get_by_role("radiogroup")).to_have_count(0)
    board = Leaderboard(site.parts.database)
    assert board.standings(criterion=site.parts.rubric.key("desired-outcomes")).votes == 1
    assert board.standings(criterion=site.parts.rubric.key("creative-phases")).votes == 0


def test_the_criteria_stand_open_for_who_used_them_last_time_and_start_anew(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.fight()
    expect(fold(visitor)).to_have_attribute("aria-expanded", "false")
    fold(visitor).click()
    visitor.page.get_by_text("What each looks like in an answer").click()
    assert_accessible(visitor.page)
    choice(visitor, "Desired outcomes", "A").check(force=True)
    visitor.button("Tie").click()
    expect(visitor.page.get_by_role("heading", name="You called it a tie.")).to_be_visible()
    assert latest_vote(site)[1] == {"desired-outcomes": "model_a"}

    visitor.goto("/")
    visitor.fight("Something else")
    expect(choice(visitor, "Desired outcomes", "Not rated")).to_be_checked()
    visitor.button("Both are bad").click()
    expect(visitor.page.get_by_role("heading", name="You found both answers bad.")).to_be_visible()
    assert latest_vote(site) == ("both_bad", {}, "coaia-1")

    visitor.goto("/")
    visitor.fight("A third")
    expect(fold(visitor)).to_have_attribute("aria-expanded", "false")


def test_on_a_phone_the_criteria_fit_and_show_both_poles(open_page: OpenPage) -> None:
    visitor = open_page(viewport={"width": 360, "height": 740}, has_touch=True)
    visitor.fight()

    fold(visitor).tap()
    expect(fold(visitor)).to_be_in_viewport(ratio=1)
    expect(choice(visitor, "Structural tension", "A").locator("xpath=..")).to_be_in_viewport(ratio=1)
    visitor.page.get_by_text("What each looks like in an answer").tap()

    expect(visitor.page.get_by_role("heading", name="Gap-thinking")).to_be_visible()
    widths = visitor.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1]
    for name in ("A", "Even", "B", "Not rated"):
        label = choice(visitor, "Structural tension", name).locator("xpath=..").bounding_box()
        assert label is not None
        assert label["height"] >= 44
    expect(visitor.button("A is better")).to_be_enabled()
