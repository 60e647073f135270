"""The Leaderboard page in Chromium, and its endpoint for programs."""

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from arena.tables import Winner
from tests.arena_facts import add_models, add_vote
from tests.ui_fixtures import OpenPage, Site, arena_site, browser, hurry, open_page, shared_site, site

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

COLUMNS = [
    *("Rank", "Model", "Platform", "Rating", "95% CI", "Plot", "Votes", "People"),
    *("Win rate", "Ties", "Both bad", "First token", "Status"),
]


def test_an_open_leaderboard_shows_a_vote_without_being_reloaded(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path) as site, browser.new_page() as board, browser.new_page() as battle:
        opened: list[str] = []
        board.on("framenavigated", lambda frame: opened.append(frame.url))
        hurry(board)
        board.goto(f"{site.url}/leaderboard")
        expect(board.get_by_text("No votes yet. The first one starts the ratings.")).to_be_visible()
        expect(board.get_by_role("listitem").filter(has_text="Quartz Nine")).to_contain_text("Ready")

        battle.goto(site.url)
        battle.get_by_role("textbox", name="Your challenge").fill("Name a bird.")
        battle.get_by_role("button", name="Send").click()
        battle.get_by_role("button", name="A is better").click()

        board.bring_to_front()
        expect(board.get_by_text("1 vote by 1 person")).to_be_visible()
        expect(board.get_by_role("columnheader")).to_have_count(len(COLUMNS))
        expect(board.get_by_role("row").nth(1)).to_contain_text("100%")
        expect(board.get_by_role("row").nth(2)).to_contain_text("0%")
        assert opened == [f"{site.url}/leaderboard"]


def test_an_unchanged_leaderboard_is_not_sent_again(open_page: OpenPage) -> None:
    page = open_page("/leaderboard").page
    expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()
    with page.expect_response(lambda response: "/run/predict" in response.url) as waited:
        pass
    assert len(waited.value.body()) < 400


def test_a_desk_gets_the_plot_as_a_column_and_a_phone_as_a_picture_above_cards(open_page: OpenPage, site: Site) -> None:
    heron, wren = add_models(site.parts.database, "heron", "a-wren-with-a-very-long-name-" * 4)
    for _ in range(3):
        add_vote(site.parts.database, heron, wren, Winner.MODEL_A)
    page = open_page("/leaderboard").page
    picture = page.get_by_role("img", name="with 95% intervals")

    expect(page.get_by_role("columnheader")).to_contain_text(COLUMNS)
    expect(page.locator("td.col-plot svg").first).to_be_visible()
    expect(picture).to_be_hidden()

    for width in (1_190, 1_030):
        page.set_viewport_size({"width": width, "height": 780})
        expect(page.locator("td.col-plot svg").first).to_be_hidden()
        expect(picture).to_be_visible()

    page.set_viewport_size({"width": 360, "height": 780})
    expect(picture).to_be_visible()
    expect(page.locator("td.col-plot svg").first).to_be_hidden()
    expect(page.get_by_role("row").filter(has_text="Heron").get_by_role("cell", name="100%")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_programs_read_the_standings_and_find_no_other_endpoint(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        listed = client.get("/gradio_api/info").json()
        called = client.post("/gradio_api/call/leaderboard", json={"data": []})
        answer = client.get(f"/gradio_api/call/leaderboard/{called.json()['event_id']}").text
    assert list(listed["named_endpoints"]) == ["/leaderboard"]
    assert listed["unnamed_endpoints"] == {}
    assert "event: complete" in answer
    data = answer.split("data: ", 1)[1].splitlines()[0]
    assert json.loads(data) == [json.loads(json.dumps(site.parts.leaderboard.standings().as_json()))]
