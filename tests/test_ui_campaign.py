"""The Campaign page in Chromium: filled from a real command that is killed, and judged by keys alone."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect
from sqlalchemy import select

from arena.config import SHIPPED_DIR
from arena.counts import read_counts
from arena.tables import Answer, Vote
from tests.campaign_facts import add_campaign
from tests.chromium import CHROMIUM
from tests.scripting import Script
from tests.ui_fixtures import (
    NAMES,
    OpenPage,
    Site,
    answer_of,
    arena_site,
    browser,
    open_page,
    shared_site,
    site,
)

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def command(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """`python -m arena campaign …` over the folder's arena, in a process of its own."""
    own = ["--data", str(folder / "data"), "--models", str(folder / "roster.json")]
    return subprocess.Popen(
        [sys.executable, "-m", "arena", "campaign", *arguments, *own],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SHIPPED_DIR)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> str:
    told, _ = process.communicate(timeout=60)
    return told


def judge_by_keys(page: Page, votes: str, total: int) -> None:
    """Give these votes, one after the other, with the keyboard alone."""
    for number, key in enumerate(votes):
        expect(page.locator(".campaign-count")).to_have_text(f"{number} of {total} judged")
        expect(page.get_by_role("button", name="A is better", exact=True)).to_be_enabled()
        page.keyboard.press(key)
        expect(page.get_by_role("button", name="Next pair", exact=True)).to_be_visible()
        page.keyboard.press("n")


@pytest.mark.usefixtures("browser")
def test_a_campaign_is_made_filled_interrupted_and_judged_by_three_people(tmp_path: Path) -> None:
    with arena_site(tmp_path) as site:
        flags = ("--name", "Spring review", "--challenges", "--limit", "10", "--voters", "3")
        assert "/campaign?id=spring-review" in finish(command(tmp_path, "create", *flags))
        site.script(Script(text=answer_of("quartz-9000"), fault=500, fail_share=1 / 3), "quartz-9000")
        site.script(Script(text=answer_of("velvet-77"), chunk_delay_s=0.02), "velvet-77")

        killed = command(tmp_path, "fill", "spring-review", "--at-once", "2")
        site.llm.wait_for(lambda server: len(server.told) >= 5, timeout_s=60)
        killed.send_signal(signal.SIGKILL)
        finish(killed)
        with site.parts.database.read() as session:
            before = set(session.scalars(select(Answer.id).where(Answer.finish_reason.is_not(None))))
        told = [finish(command(tmp_path, "fill", "spring-review"))]
        while " 0 missing" not in told[-1]:
            told.append(finish(command(tmp_path, "fill", "spring-review")))

        with site.parts.database.read() as session:
            answered = session.scalars(select(Answer).where(Answer.finish_reason.is_not(None))).all()
        assert 0 < len(before) < 20
        assert before <= {answer.id for answer in answered}
        assert set(Counter((a.conversation_id, a.revision_id) for a in answered).values()) == {1}
        assert len(answered) == 20

        for votes in ("abtxabtxab", "aaaaabbbbb", "bbbbbaaaaa"):
            page = CHROMIUM.enter(site.url, {})
            page.goto(f"{site.url}/campaign?id=spring-review")
            judge_by_keys(page, votes, 10)
            expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
            CHROMIUM.leave(page, {})

        counts = read_counts(site.parts.database, ["battle"])
        assert counts.votes == 30
        assert site.parts.leaderboard.refresh().people == 3


def test_nothing_tells_the_models_before_the_campaign_ends(open_page: OpenPage, site: Site) -> None:
    add_campaign(site.parts.database, id="blind", models=tuple(NAMES), prompts=2)
    received: list[str] = []

    def note(response: Response) -> None:
        if "/gradio_api/" in response.url and response.request.method == "POST":
            received.append(response.text())

    visitor = open_page("/")
    visitor.page.on("response", note)
    visitor.goto("/campaign?id=blind")
    judge_by_keys(visitor.page, "ab", 2)
    expect(visitor.page.get_by_role("heading", name="Thank you")).to_be_visible()

    everything = "".join(received)
    assert "on p1" in everything
    for model, name in NAMES.items():
        shown = everything.replace(f"{model} on p", "")  # the answers' own words
        assert name not in shown
        assert model.title() not in shown
        assert model not in shown


def test_criteria_go_with_the_vote_and_do_not_stay_for_the_next_pair(open_page: OpenPage, site: Site) -> None:
    add_campaign(site.parts.database, id="criteria", prompts=2)
    visitor = open_page("/campaign?id=criteria")
    expect(visitor.button("A is better")).to_be_enabled()
    expect(visitor.page.get_by_role("heading", name="Which answer sees further?")).to_be_visible()

    visitor.page.keyboard.press("1")
    visitor.page.keyboard.press("ArrowLeft")
    expect(visitor.page.locator("#criteria input:checked").first).to_have_value("model_a")
    visitor.page.keyboard.press("b")
    expect(visitor.page.locator(".said")).to_have_text("You found B better.")
    visitor.page.keyboard.press("n")

    expect(visitor.page.locator(".campaign-count")).to_have_text("1 of 2 judged")
    expect(visitor.page.locator("#criteria input:checked").first).to_have_value("")
    with site.parts.database.read() as session:
        vote = session.scalars(select(Vote).order_by(Vote.sequence.desc()).limit(1)).one()
    assert list(vote.criteria.values()) == ["model_a"]
    assert vote.rubric_version is not None


def test_a_vote_can_be_withdrawn_and_a_reload_gives_the_same_pair(open_page: OpenPage, site: Site) -> None:
    add_campaign(site.parts.database, id="again", prompts=3)
    visitor = open_page("/campaign?id=again")
    expect(visitor.button("Tie")).to_be_enabled()
    prompt = visitor.page.locator("#challenge").inner_text()

    visitor.goto("/campaign?id=again")
    expect(visitor.page.locator("#challenge")).to_have_text(prompt.replace("\n", ""), use_inner_text=False)
    visitor.button("Tie").click()
    visitor.button("Withdraw my vote").click()

    expect(visitor.page.locator(".said")).to_have_text("Your vote is withdrawn.")
    expect(visitor.button("Withdraw my vote")).to_have_count(0)


@pytest.mark.parametrize(("path", "heading"), [("/campaign", "Campaigns"), ("/campaign?id=none", "No such campaign")])
def test_an_address_without_a_campaign_says_so_calmly(path: str, heading: str, open_page: OpenPage) -> None:
    visitor = open_page(path)

    expect(visitor.page.get_by_role("heading", name=heading)).to_be_visible()
    expect(visitor.button("A is better")).to_have_count(0)
    expect(visitor.page.get_by_role("table")).to_have_count(0)


def test_the_operator_sees_how_far_campaigns_are_and_reserves_nothing(open_page: OpenPage, site: Site) -> None:
    add_campaign(site.parts.database, id="figures", name="Figures", prompts=4, voters_per_item=2)
    visitor = open_page("/campaign")
    visitor.page.get_by_role("link", name="Sign in as the operator").click()
    visitor.page.get_by_label("Password").fill("open, please")
    visitor.page.keyboard.press("Enter")

    visitor.page.get_by_role("link", name="Figures", exact=True).click()

    expect(visitor.page.get_by_role("row", name="hare")).to_contain_text("4 of 4")
    expect(visitor.page.locator(".figures")).to_contain_text("0 of 8")
    expect(visitor.button("A is better")).to_have_count(0)
    visitor.button("Judge as a voter").click()
    expect(visitor.button("A is better")).to_be_enabled()
