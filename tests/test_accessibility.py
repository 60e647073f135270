"""Every page through axe-core, in the light and in the dark, on a desk and on a phone: nothing serious.

And every page in the widths of many screens: nothing sideways, no table beyond its place, nothing too small to touch.
"""

from itertools import product
from pathlib import Path

import pytest
from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from arena.tables import Winner
from tests.arena_facts import add_models, add_vote
from tests.campaign_facts import add_campaign
from tests.ui_fixtures import FAST, OpenPage, Site, Visitor, arena_site, browser, open_page, shared_site, site

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SIZES = {"a desk": (1280, 860), "a phone": (360, 780)}
SCHEMES = ("light", "dark")
WIDTHS = (360, 390, 1200)
LEAST_TARGET_PX = 24
"""WCAG 2.2, 2.5.8; links inside a sentence are as high as its line."""
GRAVE = ("serious", "critical")
GROUND = {"light": "rgb(250, 248, 244)", "dark": "rgb(22, 21, 19)"}
"""The page's background, `--arena-bg`."""


def violations(page: Page, scheme: str = "light") -> list[str]:
    """What axe-core finds grave, one line for each element; in the dark nothing but colours can differ."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    only = ", runOnly: ['color-contrast', 'link-in-text-block']" if scheme == "dark" else ""
    found = page.evaluate(f"axe.run({{resultTypes: ['violations']{only}}})")["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]}: {' '.join(node['failureSummary'].split())}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


BEYOND = """() => [...document.querySelectorAll("table")]
  .filter((table) => table.checkVisibility() && !table.closest(".is-wide, .conversation"))
  .filter((table) => table.getBoundingClientRect().right > table.closest(".sheet").getBoundingClientRect().right + 1)
  .map((table) => `${table.className}: ${table.offsetWidth} in ${table.closest(".sheet").offsetWidth}`)"""
"""Tables that are wider than what they stand in, which may hide the rest without a way to scroll there."""
TINY = """(least) => [...document.querySelectorAll("a, button, input:not([type=range]), select, summary, textarea")]
  .filter((target) => target.checkVisibility({contentVisibilityAuto: true}))
  .filter((target) => !target.disabled && !target.closest(".skip-link, .reader-only"))
  .filter((target) => {
    if (target.tagName !== "A") return true;
    const around = target.closest("p, li, dd, td, th");
    return !around || around.textContent.trim() === target.textContent.trim();
  })
  .map((target) => (target.matches("label input") ? target.closest("label") : target))
  .filter((target) => Math.min(target.offsetWidth, target.offsetHeight) < least)
  .map((target) => `${target.outerHTML.slice(0, 120)}: ${target.offsetWidth} x ${target.offsetHeight}`)"""


def assert_fits(page: Page) -> None:
    """In every width: no need to scroll sideways, no table beyond its place, nothing too small to touch."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"at {width} px"
        assert page.evaluate(BEYOND) == [], f"at {width} px"
        assert page.evaluate(TINY, LEAST_TARGET_PX) == [], f"at {width} px"


def wear(page: Page, scheme: str) -> None:
    """Let the reader's system ask for dark or light colours, and wait until the page wears them."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    expect(page.locator("body")).to_have_css("background-color", GROUND[scheme])


def assert_accessible(page: Page) -> None:
    """In every scheme and size: no grave violation, and no need to scroll sideways; in every width: it fits."""
    assert_fits(page)
    for (size, (width, height)), scheme in product(SIZES.items(), SCHEMES):
        page.set_viewport_size({"width": width, "height": height})
        wear(page, scheme)
        assert violations(page, scheme) == [], f"on {size}, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"on {size}, {scheme}"


def sign_in(visitor: Visitor) -> None:
    """Become the operator, and arrive on the Operations page."""
    visitor.page.goto(f"{visitor.site.url}/login?next=/operations")
    visitor.page.get_by_label("Password").fill(FAST["admin_password"])
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("table", name="Models")).to_be_visible()


def test_these_eyes_see_a_button_without_a_name_and_letters_too_pale(browser: Browser) -> None:
    with browser.new_page() as page:
        page.set_content("<html lang=en><title>t</title><main><button></button><p style='color:#ccc'>Pale</p></main>")
        assert {line.split(" ")[0] for line in violations(page)} == {"button-name", "color-contrast"}


def test_a_battle_from_the_empty_page_to_the_reveal(open_page: OpenPage) -> None:
    visitor = open_page("/")
    expect(visitor.button("Send")).to_be_enabled()
    assert_accessible(visitor.page)

    visitor.fight()
    assert_accessible(visitor.page)

    visitor.button("A is better").click()
    expect(visitor.button("Continue from this answer").first).to_be_visible()
    assert_accessible(visitor.page)

    visitor.page.goto(f"{visitor.site.url}/my-data")
    expect(visitor.button("Forget me")).to_be_visible()
    assert_accessible(visitor.page)


@pytest.mark.parametrize("path", ["/side-by-side", "/chat"])
def test_the_pages_of_named_models(open_page: OpenPage, path: str) -> None:
    visitor = open_page(path)
    expect(visitor.button("Send")).to_be_enabled()
    assert_accessible(visitor.page)


def test_the_leaderboard_before_and_after_votes(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path) as site, browser.new_page() as page:
        page.goto(f"{site.url}/leaderboard")
        expect(page.get_by_text("No votes yet.")).to_be_visible()
        assert_accessible(page)

        heron, wren, _ = add_models(site.parts.database, "heron", "wren", "owl")
        add_vote(site.parts.database, heron, wren, Winner.MODEL_A)
        expect(page.get_by_role("table")).to_be_visible()
        assert_accessible(page)


def test_the_leaderboards_table_has_room_for_long_names(browser: Browser, tmp_path: Path) -> None:
    names = ("Structural tension (offline demo)", "COAIA Gemini (latest, tuned on structural tension)", "o4")
    with arena_site(tmp_path) as site, browser.new_page() as page:
        database = site.parts.database
        models = [
            add_models(database, f"model-{place}", platform="demo", display_name=name, version="1")[0]
            for place, name in enumerate(names)
        ]
        for place, model in enumerate(models):
            add_vote(database, model, models[place - 1], Winner.MODEL_A)
        page.goto(f"{site.url}/leaderboard")
        expect(page.get_by_role("table")).to_be_visible()
        assert_fits(page)
        for heading in page.locator("#board-table thead th:not(.col-plot)").all():
            assert heading.evaluate("cell => cell.scrollWidth <= cell.clientWidth"), heading.inner_text()


def test_the_operators_pages(open_page: OpenPage) -> None:
    visitor = open_page("/operations")
    expect(visitor.page.get_by_role("link", name="Sign in")).to_be_visible()
    assert_accessible(visitor.page)

    visitor.page.goto(f"{visitor.site.url}/login")
    assert_accessible(visitor.page)

    sign_in(visitor)
    assert_accessible(visitor.page)


def test_the_pages_of_a_campaign(open_page: OpenPage, site: Site) -> None:
    add_campaign(site.parts.database)
    visitor = open_page("/campaign?id=spring")
    expect(visitor.button("A is better")).to_be_enabled()
    assert_accessible(visitor.page)
    visitor.page.keyboard.press("a")
    expect(visitor.button("Next pair")).to_be_visible()
    assert_accessible(visitor.page)

    sign_in(visitor)
    visitor.page.goto(f"{visitor.site.url}/campaign?id=spring")
    expect(visitor.button("Judge as a voter")).to_be_visible()
    assert_accessible(visitor.page)
