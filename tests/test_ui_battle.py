"""The Battle page in Chromium: what a visitor sees and does, over the whole arena."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.scripting import Fault, Script
from tests.ui_fixtures import (
    FAST,
    NAMES,
    OpenPage,
    Site,
    Visitor,
    arena_site,
    browser,
    open_page,
    shared_site,
    site,
)
from tests.wire import wire_to

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

VOTES = {"A is better": "a", "B is better": "b", "Tie": "t", "Both are bad": "x"}
VERDICTS = {
    "A is better": "You found A better.",
    "B is better": "You found B better.",
    "Tie": "You called it a tie.",
    "Both are bad": "You found both answers bad.",
}


@pytest.mark.parametrize("vote", VOTES)
def test_a_vote_reveals_the_models_that_were_really_asked(vote: str, open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.fight(f"A challenge for {vote}")
    asked = [request.model for request in site.llm.requests if request.body["messages"][-1]["content"].endswith(vote)]
    a, b = visitor.models()

    visitor.button(vote).click()

    expect(visitor.page.get_by_role("heading", name=VERDICTS[vote])).to_be_visible()
    reveal = visitor.page.get_by_role("region", name="The reveal")
    expect(reveal.get_by_role("heading", level=3)).to_have_text([NAMES[a], NAMES[b]])
    expect(visitor.pane("A")).to_contain_text(NAMES[a])
    expect(reveal).to_contain_text("Local server")
    assert sorted(asked) == [f"api-{model}" for model in sorted(NAMES)]


@pytest.mark.parametrize(("vote", "key"), VOTES.items())
def test_every_vote_has_a_key(vote: str, key: str, open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight()

    visitor.page.keyboard.press(key)

    expect(visitor.page.get_by_role("heading", name=VERDICTS[vote])).to_be_visible()


def test_keys_are_letters_while_somebody_writes(open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight()

    visitor.box("Ask both a follow-up").focus()
    visitor.page.keyboard.type("abtxn")
    visitor.page.keyboard.press("Control+a")

    expect(visitor.box("Ask both a follow-up")).to_have_value("abtxn")
    expect(visitor.button("A is better")).to_be_enabled()


def test_a_key_for_a_new_battle_leads_back_to_the_box(open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight()
    expect(visitor.button("New battle")).to_be_visible()

    visitor.page.keyboard.press("n")

    expect(visitor.box()).to_be_focused()
    expect(visitor.box()).to_have_value("")
    expect(visitor.button("A is better")).to_have_count(0)


def test_enter_sends_and_shift_enter_breaks_the_line(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.box().focus()
    visitor.page.keyboard.type("First line")
    visitor.page.keyboard.press("Shift+Enter")
    visitor.page.keyboard.type("second line")
    visitor.page.keyboard.press("Enter")

    expect(visitor.button("A is better")).to_be_enabled()
    assert site.llm.requests[-1].body["messages"][-1]["content"] == "First line\nsecond line"


def test_the_reveal_tells_times_tokens_and_what_the_vote_did(open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight()

    visitor.button("A is better").click()

    reveal = visitor.page.get_by_role("region", name="The reveal")
    for fact in ("Rating", "Rank", "First text", "Whole answer", "Tokens"):
        expect(reveal.get_by_text(fact, exact=True)).to_have_count(2)
    expect(reveal).to_contain_text(re.compile(r"\d+ read, \d+ written"))
    expect(reveal).to_contain_text("your choice")


def test_a_follow_up_goes_to_both_models_with_their_own_histories(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.fight("The first question")

    visitor.box("Ask both a follow-up").fill("And then, for $5 or *6*?")
    visitor.page.keyboard.press("Enter")

    for letter in "AB":
        expect(visitor.pane(letter).get_by_text("And then, for $5 or *6*?")).to_be_visible()
        expect(visitor.pane(letter).get_by_text("The answer of a")).to_have_count(2)
    expect(visitor.button("Tie")).to_be_enabled()
    expect(visitor.box("Ask both a follow-up")).to_have_value("")
    latest = site.llm.requests[-2:]
    assert {request.model for request in latest} == {f"api-{model}" for model in NAMES}
    for request in latest:
        assert request.model.split("-")[1] in request.body["messages"][1]["content"]


def test_a_revealed_battle_continues_from_the_chosen_answer(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    visitor.fight("The first question")
    _, b = visitor.models()
    visitor.button("B is better").click()

    visitor.button("Continue from this answer").nth(1).click()
    box = visitor.page.get_by_role("textbox", name="Continue from B’s answer")
    expect(box).to_be_focused()
    box.fill("Go on")
    visitor.page.keyboard.press("Enter")

    expect(visitor.button("A is better")).to_be_enabled()
    for request in site.llm.requests[-2:]:
        assert b.split("-")[0] in request.body["messages"][1]["content"]
        assert request.body["messages"][2]["content"] == "Go on"


def test_a_vote_can_be_withdrawn_by_its_voter(open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight()
    visitor.button("Tie").click()

    visitor.button("Withdraw my vote").click()

    expect(visitor.page.get_by_text("You withdrew this vote.")).to_be_visible()
    expect(visitor.button("Withdraw my vote")).to_have_count(0)


def test_a_reloaded_page_waits_for_the_vote_that_was_not_given(open_page: OpenPage) -> None:
    visitor = open_page()
    visitor.fight("Keep this for me")
    models = visitor.models()

    visitor.page.reload()

    expect(visitor.button("A is better")).to_be_enabled()
    expect(visitor.page.get_by_text("Keep this for me")).to_be_visible()
    assert visitor.models() == models
    visitor.button("A is better").click()
    expect(visitor.page.get_by_role("heading", name="You found A better.")).to_be_visible()


def test_stop_cancels_both_answers_and_gives_the_prompt_back(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A long answer that stops in mid-sentence and says no more.", fault=Fault.STALL_MIDWAY))
    visitor = open_page()
    visitor.send("Never mind this")
    expect(visitor.pane("A")).to_contain_text("A long answer")

    visitor.button("Stop").click()

    expect(visitor.box()).to_have_value("Never mind this")
    expect(visitor.button("Stop")).to_have_count(0)
    site.llm.wait_for(lambda server: not server.open_streams)


def test_a_page_reloaded_during_a_battle_has_its_prompt_in_the_box(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A long answer that stops in mid-sentence and says no more.", fault=Fault.STALL_MIDWAY))
    visitor = open_page(forgive=True)
    visitor.send("I will be back")
    expect(visitor.pane("B")).to_contain_text("A long answer")

    visitor.page.reload()

    expect(visitor.box()).to_have_value("I will be back")
    site.llm.wait_for(lambda server: not server.open_streams)


def test_a_page_whose_connection_was_lost_during_a_battle_comes_back_by_itself_with_its_prompt_in_the_box(
    browser: Browser, site: Site
) -> None:
    site.script(Script(text="A long answer that stops in mid-sentence and says no more.", fault=Fault.STALL_MIDWAY))
    with wire_to(site.url) as wire, browser.new_context() as context:
        visitor = Visitor(context.new_page(), replace(site, url=wire.url))
        visitor.goto("/")
        visitor.send("Through the tunnel")
        expect(visitor.pane("B")).to_contain_text("A long answer")

        wire.cut()
        site.llm.wait_for(lambda server: not server.open_streams)

        expect(visitor.box()).to_have_value("Through the tunnel")
        site.script(Script(text="Short."))
        visitor.button("Send").click()
        expect(visitor.button("A is better")).to_be_enabled()


@pytest.mark.parametrize(
    ("path", "name"), [("/", "Your challenge"), ("/side-by-side", "Your prompt"), ("/chat", "Your message")]
)
def test_what_somebody_is_writing_outlives_a_reload_and_what_was_erased_does_not_come_back(
    path: str, name: str, open_page: OpenPage
) -> None:
    visitor = open_page(path)
    box = visitor.box(name)
    box.fill("Not sent yet")
    visitor.page.reload()
    expect(box).to_have_value("Not sent yet")

    box.fill("")
    visitor.page.reload()
    expect(visitor.button("Send")).to_be_enabled()
    expect(box).to_have_value("")


@pytest.mark.parametrize(("path", "name"), [("/side-by-side", "Your prompt"), ("/chat", "Your message")])
def test_what_was_asked_outlives_a_reload_until_it_is_answered(
    path: str, name: str, open_page: OpenPage, site: Site
) -> None:
    site.script(Script(text="Some words, and then none.", fault=Fault.STALL_MIDWAY, fault_after=1))
    visitor = open_page(path, forgive=True)
    visitor.send("Not answered yet", name)
    expect(visitor.button("Stop")).to_be_visible()
    visitor.page.reload()
    expect(visitor.box(name)).to_have_value("Not answered yet")

    site.script(Script(text="Short."))
    visitor.button("Send").click()
    expect(visitor.page.get_by_text("Short.").first).to_be_visible()
    expect(visitor.button("Stop")).to_have_count(0)
    visitor.page.reload()
    expect(visitor.button("Send")).to_be_enabled()
    expect(visitor.box(name)).to_have_value("")


def test_a_void_battle_takes_no_vote_and_runs_again_with_one_click(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="Some words that break off in the middle of it all. " * 9, fault=Fault.CUT, fault_after=30))
    visitor = open_page()
    visitor.send("Try me twice")
    expect(visitor.button("Run this prompt again")).to_be_visible()
    expect(visitor.button("A is better")).to_have_count(0)
    for model in NAMES:
        site.script(Script(text=f"The answer of a {model.split('-')[0]}"), model)

    visitor.button("Run this prompt again").click()

    expect(visitor.button("A is better")).to_be_enabled()
    expect(visitor.page.get_by_text("Try me twice")).to_be_visible()


def test_a_refused_prompt_stays_in_the_box(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    asked = len(site.llm.requests)
    prompt = "x" * 30_001

    visitor.send(prompt)

    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.box()).to_have_value(prompt)
    assert len(site.llm.requests) == asked


def test_an_empty_challenge_is_refused_in_words(open_page: OpenPage) -> None:
    visitor = open_page()

    visitor.button("Send").click()

    expect(visitor.page.get_by_role("alert")).to_be_visible()


def test_surprise_me_writes_a_challenge_into_the_box(open_page: OpenPage) -> None:
    visitor = open_page()

    visitor.button("Surprise me").click()

    expect(visitor.box()).not_to_have_value("")


def test_both_panes_start_together_and_voting_waits_for_both(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A quick answer, soon done."), "quartz-9000")
    site.script(Script(text="A slow answer, told in its own time. " * 3, fault=Fault.STALL_MIDWAY), "velvet-77")
    visitor = open_page()

    visitor.send("Who is first?")

    expect(visitor.pane("A")).to_contain_text("answer")
    expect(visitor.pane("B")).to_contain_text("answer")
    expect(visitor.page.get_by_text("still writing").first).to_be_visible()
    expect(visitor.button("A is better")).to_be_disabled()
    site.llm.release("api-velvet-77")
    expect(visitor.button("A is better")).to_be_enabled()
    expect(visitor.page.get_by_text("Both answers are complete. Which is better?").first).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (360, 740)])
def test_on_a_phone_nothing_scrolls_sideways_and_the_vote_is_in_reach(
    width: int, height: int, open_page: OpenPage, site: Site
) -> None:
    wide = "A line of text.\n\n```\n" + "code " * 80 + "\n```\n\n| a | b |\n|---|---|\n| " + "w" * 300 + " | x |\n\n"
    site.script(Script(text=wide + "And more text follows here. " * 120, chunk_characters=400))
    visitor = open_page(viewport={"width": width, "height": height}, is_mobile=True, has_touch=True)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width

    visitor.fight()

    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
    a, b = visitor.pane("A").bounding_box(), visitor.pane("B").bounding_box()
    assert a
    assert b
    assert a["y"] + a["height"] <= b["y"]
    for name in VOTES:
        expect(visitor.button(name)).to_be_in_viewport(ratio=1)
        place = visitor.button(name).bounding_box()
        assert place
        assert place["height"] >= 44
        assert place["y"] > height / 2


def test_after_a_vote_on_long_answers_the_reveal_comes_into_view(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A paragraph of a long answer.\n\n" * 80, chunk_characters=400))
    visitor = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    visitor.fight()

    visitor.button("Tie").click()

    expect(visitor.page.get_by_role("heading", name="You called it a tie.")).to_be_in_viewport()
    expect(visitor.page.locator(".verdict")).to_be_focused()


def test_a_follow_up_brings_its_own_turn_into_view_not_the_first_one(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A paragraph of a long answer.\n\n" * 60, chunk_characters=400))
    visitor = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    visitor.fight()

    visitor.send("And what would the first step be?", "Ask both a follow-up")

    expect(visitor.pane("A").get_by_text("And what would the first step be?")).to_be_in_viewport()
    expect(visitor.button("A is better")).to_be_enabled()
    expect(visitor.pane("A").get_by_text("And what would the first step be?")).to_be_in_viewport()


def test_on_a_desk_the_panes_stand_side_by_side_with_the_vote_below(open_page: OpenPage) -> None:
    visitor = open_page()

    visitor.fight()

    a, b, vote = (
        visitor.pane("A").bounding_box(),
        visitor.pane("B").bounding_box(),
        visitor.button("Tie").bounding_box(),
    )
    assert a
    assert b
    assert vote
    assert a["y"] == b["y"]
    assert abs(a["width"] - b["width"]) < 1
    assert a["x"] + a["width"] < b["x"]
    expect(visitor.button("B is better")).to_be_in_viewport(ratio=1)


def test_nothing_jumps_while_answers_are_written(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="Some words of an answer that grows. " * 60, chunk_characters=60, chunk_delay_s=0.01))
    visitor = open_page()
    visitor.send("Grow, please")
    expect(visitor.pane("A")).to_contain_text("Some words")
    visitor.page.evaluate(
        """() => { window.jumps = 0; new PerformanceObserver((list) => {
             for (const entry of list.getEntries()) window.jumps += entry.value;
           }).observe({ type: "layout-shift", buffered: false }); }"""
    )

    expect(visitor.button("A is better")).to_be_enabled()

    assert visitor.page.evaluate("window.jumps") < 0.02


def test_the_colours_follow_the_visitors_choice_over_the_systems(open_page: OpenPage) -> None:
    visitor = open_page(color_scheme="dark")
    body = visitor.page.locator("body")
    expect(body).to_have_class(re.compile(r"\bdark\b"))

    visitor.button("Colours: automatic").click()

    expect(body).not_to_have_class(re.compile(r"\bdark\b"))
    visitor.page.reload()
    expect(visitor.button("Send")).to_be_visible()
    expect(body).not_to_have_class(re.compile(r"\bdark\b"))


def test_the_page_says_what_is_stored_and_asks_no_other_origin(open_page: OpenPage, site: Site) -> None:
    visitor = open_page()
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))

    visitor.page.reload()

    expect(visitor.page.get_by_role("heading", name="What is stored, and why")).to_be_visible()
    expect(visitor.page).to_have_title("COAIA Arena: blind battles between tuned models")
    assert not [url for url in asked if not url.startswith((site.url, "data:", "blob:"))]


def test_leaving_the_page_stops_both_streams(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A long answer that stops in mid-sentence and says no more.", fault=Fault.STALL_MIDWAY))
    visitor = open_page()
    visitor.send("Goodbye")
    expect(visitor.pane("A")).to_contain_text("A long answer")

    visitor.page.close()

    site.llm.wait_for(lambda server: not server.open_streams)


def test_who_finds_the_arena_full_is_told_their_place_and_served_in_turn(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path, max_battles=1) as full, ExitStack() as pages:

        def come(width: int) -> Visitor:
            page = pages.enter_context(browser.new_context(viewport={"width": width, "height": 740})).new_page()
            visitor = Visitor(page, full)
            visitor.goto("/")
            return visitor

        full.script(Script("Slowly it comes.", fault=Fault.STALL_MIDWAY, fault_after=1))
        playing, phone, desk = come(1280), come(360), come(1280)
        playing.send("First come")
        full.llm.wait_for(lambda server: sum(server.stalled.values()) == 2)

        phone.send("First served")
        expect(phone.page.locator("#status")).to_contain_text("You are next in line; your turn starts by itself.")
        desk.send("I had rather go")
        expect(desk.page.locator("#status")).to_contain_text("You are 2nd in line")
        for visitor in (phone, desk):
            expect(visitor.button("A is better")).to_have_count(0)
            assert visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        with httpx.Client(base_url=full.url) as operator:
            operator.post("/login", data={"password": FAST["admin_password"]})
            assert "arena_waiting_visitors 2.0" in operator.get("/metrics").text
        phone.page.reload()
        expect(phone.box()).to_have_value("First served")
        phone.button("Send").click()
        expect(phone.page.locator("#status")).to_contain_text("in line")
        desk.button("Leave the line").click()
        expect(desk.box()).to_have_value("I had rather go")
        desk.page.get_by_role("link", name="Leaderboard").click()
        expect(desk.page.get_by_role("heading", name="Leaderboard", level=1)).to_be_visible()

        full.script(Script("A quick one."))
        for model in NAMES:
            full.llm.release(f"api-{model}")
        phone.button("B is better").click()
        expect(phone.page.get_by_role("heading", name=VERDICTS["B is better"])).to_be_visible()
        expect(playing.button("A is better")).to_be_enabled()
