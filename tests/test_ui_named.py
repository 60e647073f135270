"""Side by side and Direct chat in Chromium: named models, sampling, and votes that move nothing."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from arena.tables import Battle, Mode, Vote
from tests.scripting import Script
from tests.ui_fixtures import NAMES, OpenPage, Site, browser, open_page, shared_site, site

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_two_named_models_answer_and_the_vote_is_stored_unrated(open_page: OpenPage, site: Site) -> None:
    visitor = open_page("/side-by-side")
    expect(visitor.page.get_by_role("combobox", name="Model A")).to_have_value("Quartz Nine")
    votes_before = site.parts.leaderboard.standings().votes

    visitor.send("Compare yourselves", "Your prompt")

    expect(visitor.pane("A")).to_contain_text("Quartz Nine")
    expect(visitor.pane("A")).to_contain_text("The answer of a quartz")
    expect(visitor.pane("B")).to_contain_text("The answer of a velvet")
    visitor.button("B is better").click()
    expect(visitor.page.get_by_role("heading", name="You found B better.")).to_be_visible()
    assert site.parts.leaderboard.standings().votes == votes_before
    with site.parts.database.read() as session:
        battle = session.scalars(select(Battle).order_by(Battle.created_at.desc())).first()
        assert battle is not None
        assert battle.mode is Mode.SIDE_BY_SIDE
        assert session.get(Vote, battle.id) is not None


def test_the_sampling_controls_reach_both_models(open_page: OpenPage, site: Site) -> None:
    visitor = open_page("/side-by-side")
    visitor.page.get_by_role("button", name=re.compile("Sampling")).click()
    visitor.page.get_by_role("spinbutton", name=re.compile("Temperature")).fill("1.3")
    visitor.page.get_by_role("spinbutton", name=re.compile("Maximum tokens")).fill("512")

    visitor.send("Warmly, please", "Your prompt")

    expect(visitor.button("Tie")).to_be_enabled()
    for request in site.llm.requests[-2:]:
        assert request.body["temperature"] == 1.3
        assert request.body["max_tokens"] == 512


def test_the_same_model_twice_is_refused_and_the_prompt_stays(open_page: OpenPage) -> None:
    visitor = open_page("/side-by-side")
    choice = visitor.page.get_by_role("combobox", name="Model B")
    expect(choice).to_have_value("Velvet Seven")
    choice.click()
    visitor.page.get_by_role("option", name="Quartz Nine").click()

    visitor.send("Twice", "Your prompt")

    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.box("Your prompt")).to_have_value("Twice")


def test_a_comparison_goes_on_with_a_follow_up_under_its_names(open_page: OpenPage, site: Site) -> None:
    visitor = open_page("/side-by-side")
    visitor.send("First", "Your prompt")
    expect(visitor.button("Tie")).to_be_enabled()

    visitor.box("Ask both a follow-up").fill("Second")
    visitor.page.keyboard.press("Enter")

    expect(visitor.pane("A").get_by_text("The answer of a quartz")).to_have_count(2)
    expect(visitor.pane("A")).to_contain_text(NAMES["quartz-9000"])
    expect(visitor.button("Tie")).to_be_enabled()


def test_a_chat_goes_on_with_the_model_that_was_chosen(open_page: OpenPage, site: Site) -> None:
    visitor = open_page("/chat")
    choice = visitor.page.get_by_role("combobox", name="Model")
    expect(choice).to_have_value("Quartz Nine")
    choice.click()
    visitor.page.get_by_role("option", name="Velvet Seven").click()

    visitor.send("Good morning, #1 *friend*", "Your message")
    expect(visitor.page.get_by_text("The answer of a velvet")).to_have_count(1)
    expect(visitor.page.get_by_text("Good morning, #1 *friend*")).to_be_visible()
    expect(visitor.button("New chat")).to_be_visible()
    visitor.send("And now?", "Your message")

    expect(visitor.page.get_by_text("The answer of a velvet")).to_have_count(2)
    expect(visitor.page.get_by_role("heading", name="Velvet Seven")).to_be_visible()
    roles = [message["role"] for message in site.llm.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert site.llm.requests[-1].model == "api-velvet-77"


def test_a_chat_can_be_stopped_and_begun_anew(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A long answer in many words. " * 60, chunk_delay_s=0.05))
    visitor = open_page("/chat")
    visitor.send("Tell me everything", "Your message")
    expect(visitor.page.get_by_text("A long answer").first).to_be_visible()

    visitor.button("Stop").click()

    expect(visitor.button("New chat")).to_be_visible()
    site.llm.wait_for(lambda server: not server.open_streams)
    visitor.button("New chat").click()
    expect(visitor.page.get_by_text("A long answer")).to_have_count(0)
    expect(visitor.page.get_by_role("heading", name="Direct chat")).to_be_visible()


def test_a_chats_answer_comes_into_view_until_its_question_stands_at_the_top(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text="A paragraph of a long answer.\n\n" * 60, chunk_characters=60, chunk_delay_s=0.02))
    visitor = open_page("/chat", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    for question in ("What is the first thing?", "And what is the second?"):
        visitor.send(question, "Your message")
        expect(visitor.button("New chat")).to_be_visible()

        asked = visitor.page.get_by_text(question)
        expect(asked).to_be_in_viewport()
        places = (asked.bounding_box() for _ in range(1000))  # each asks the browser, which scrolls meanwhile
        assert any(place is not None and place["y"] < 60 for place in places)


def test_an_empty_message_is_refused_in_words(open_page: OpenPage) -> None:
    visitor = open_page("/chat")

    visitor.button("Send").click()

    expect(visitor.page.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("path", ["/side-by-side", "/chat", "/leaderboard", "/operations"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(path: str, width: int, open_page: OpenPage) -> None:
    visitor = open_page(path, viewport={"width": width, "height": 740}, is_mobile=width < 500)

    expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()

    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("path", "title"), [("/side-by-side", "Side by side"), ("/chat", "Direct chat"), ("/leaderboard", "Leaderboard")]
)
def test_the_header_leads_to_every_page_and_each_has_its_title(path: str, title: str, open_page: OpenPage) -> None:
    visitor = open_page()

    visitor.page.get_by_role("navigation", name="Pages").get_by_role("link", name=title).click()

    expect(visitor.page).to_have_url(visitor.site.url + path)
    expect(visitor.page).to_have_title(f"{title} · COAIA Arena")
    expect(visitor.page.locator("[aria-current=page]")).to_have_text(title)
