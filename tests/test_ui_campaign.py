"""The Campaign page in Chromium: filled through failures and a kill, judged by keys alone, told in Analytics."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Response, expect
from sqlalchemy import select

from arena.campaigns import asking
from arena.cli import main
from arena.config import SHIPPED_DIR
from arena.counts import read_counts
from arena.tables import Answer, Vote
from tests.campaign_facts import add_campaign
from tests.scripting import Script
from tests.ui_fixtures import (
    NAMES,
    PATIENCE_MS,
    OpenPage,
    Site,
    answer_of,
    browser,
    open_page,
    shared_site,
    site,
)

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PAIRS = 10
COUNT, NEXT = ".campaign-count", "#new-battle"


def arguments(site: Site, *said: str) -> list[str]:
    """`campaign …` over the site's own folder and database."""
    own = ["--data", str(site.folder / "data"), "--database", site.parts.settings.resolved_database_url]
    return ["campaign", *said, *own, "--models", str(site.folder / "roster.json")]


def command(site: Site, *said: str) -> int:
    """Run a command to its end; in a thread, since Chromium's driver holds this one's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(main, arguments(site, *said)).result()


def fill_and_kill(site: Site, campaign: str) -> None:
    """Begin to fill in a process of its own, and kill it in the middle."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arena", *arguments(site, "fill", campaign, "--at-once", "2")],
        cwd=site.folder,
        env={**os.environ, "PYTHONPATH": str(SHIPPED_DIR)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        site.llm.wait_for(lambda server: len(server.told) >= 5, timeout_s=60)
        process.send_signal(signal.SIGKILL)


def answers(site: Site) -> Sequence[Answer]:
    """The finished ones."""
    with site.parts.database.read() as session:
        return session.scalars(select(Answer).where(Answer.finish_reason.is_not(None))).all()


def wait_for_pair(page: Page, judged: int, total: int) -> None:
    """Until a pair is there to be judged; without the growing pauses between looks that `expect` makes."""
    page.locator(COUNT, has_text=f"{judged} of {total} judged").wait_for()
    page.locator("#votes button:enabled").first.wait_for()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def judge_by_keys(voters: Sequence[Page], total: int) -> None:
    """All judge every pair, with the keyboard alone: the Quartz answer is better in two of three.

    All say that tension goes with it, and outcomes against it; the last voter calls every third pair even.
    """
    better: dict[str, str] = {}
    for number in range(total):
        for page in voters:
            wait_for_pair(page, number, total)
            prompt = page.locator("#challenge").inner_text()
            wanted = better.setdefault(prompt, "velvet" if len(better) % 3 == 2 else "quartz")
            quartz_is_a = "quartz" in page.locator("#pane-a").inner_text()
            a_is_better = (wanted == "quartz") == quartz_is_a
            toward, away = ("ArrowLeft", "ArrowRight") if a_is_better else ("ArrowRight", "ArrowLeft")
            undecided = page is voters[-1] and number % 3 == 0
            press(page, "1", toward, "2", away, "t" if undecided else "a" if a_is_better else "b")
        for page in voters:
            page.locator(NEXT).wait_for()
            page.keyboard.press("n")


def note_answers(page: Page, received: list[str]) -> None:
    """Keep everything that the arena sends to the page from now on."""

    def note(response: Response) -> None:
        if "/gradio_api/" in response.url and response.request.method == "POST":
            received.append(response.text())

    page.on("response", note)


def test_a_campaign_is_filled_through_failures_and_a_kill_judged_by_three_by_keys_and_told_in_analytics(
    open_page: OpenPage, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asking, "PAUSE_S", 0.05)
    flags = ("--name", "Spring review", "--challenges", "--limit", str(PAIRS), "--voters", "3")
    assert command(site, "create", *flags) == 0
    assert "/campaign?id=spring-review" in capsys.readouterr().out
    site.script(Script(text=answer_of("quartz-9000"), fault=500, fail_share=1 / 3), "quartz-9000")
    site.script(Script(text=answer_of("velvet-77"), chunk_delay_s=0.02), "velvet-77")

    fill_and_kill(site, "spring-review")
    before = {answer.id for answer in answers(site)}
    while command(site, "fill", "spring-review") != 0:
        assert "missing" in capsys.readouterr().out
    assert 0 < len(before) < 2 * PAIRS
    assert before <= {answer.id for answer in answers(site)}
    assert set(Counter((a.conversation_id, a.revision_id) for a in answers(site)).values()) == {1}
    assert len(answers(site)) == 2 * PAIRS

    voters = [open_page("/campaign?id=spring-review").page for _ in range(3)]
    received: list[str] = []
    note_answers(voters[0], received)
    judge_by_keys(voters, PAIRS)
    for page in voters:
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert read_counts(site.parts.database, ["battle"]).votes == 3 * PAIRS
    assert site.parts.leaderboard.refresh().people == 3
    assert "The answer of a quartz" in "".join(received)
    for told in (*NAMES, *NAMES.values()):
        assert told not in "".join(received)

    assert_told_in_analytics(voters[0], site)


def assert_told_in_analytics(page: Page, site: Site) -> None:
    """Agreement overall and by criterion, and the two leaderboards that say the opposite of each other."""
    page.goto(f"{site.url}/analytics")
    people = page.get_by_role("region", name="How people judge")
    expect(people).to_contain_text("10 pairs of answers with 30 judgements", timeout=2 * PATIENCE_MS)
    expect(people).to_contain_text("People agree")
    criteria = page.get_by_role("region", name="By criterion")
    expect(criteria).to_contain_text("Goes with the overall vote: the same side in 100%")
    expect(criteria).to_contain_text("Goes against the overall vote: the same side in 0%")
    expect(criteria).to_contain_text("People agree, reliably (α 1.00")
    expect(criteria.get_by_role("table", name="Structural tension").get_by_role("row")).to_have_count(3)

    first_of = {"structural-tension": "Quartz Nine", "desired-outcomes": "Velvet Seven"}
    for criterion, first in first_of.items():
        page.goto(f"{site.url}/leaderboard?criterion={quote(site.parts.rubric.key(criterion))}")
        expect(page.locator("#leaderboard tbody tr").first).to_contain_text(first)


def test_a_vote_with_its_criteria_is_withdrawn_and_the_next_pair_starts_anew_and_survives_a_reload(
    open_page: OpenPage, site: Site
) -> None:
    add_campaign(site.parts.database, id="criteria", prompts=3)
    visitor = open_page("/campaign?id=criteria")
    page = visitor.page
    wait_for_pair(page, 0, 3)
    expect(page.get_by_role("heading", name="Which answer sees further?")).to_be_visible()

    press(page, "1", "ArrowLeft")
    expect(page.locator("#criteria input:checked").first).to_have_value("model_a")
    press(page, "b")
    expect(page.locator(".said")).to_have_text("You found B better.")
    with site.parts.database.read() as session:
        vote = session.scalars(select(Vote).order_by(Vote.sequence.desc()).limit(1)).one()
    assert list(vote.criteria.values()) == ["model_a"]
    assert vote.rubric_version is not None

    visitor.button("Withdraw my vote").click()
    expect(page.locator(".said")).to_have_text("Your vote is withdrawn.")
    expect(visitor.button("Withdraw my vote")).to_have_count(0)
    press(page, "n")
    wait_for_pair(page, 1, 3)
    expect(page.locator("#criteria input:checked").first).to_have_value("")

    prompt = page.locator("#challenge").inner_text()
    visitor.goto("/campaign?id=criteria")
    expect(page.locator("#challenge")).to_have_text(prompt.replace("\n", ""), use_inner_text=False)


def test_an_address_without_a_campaign_says_so_and_the_operator_sees_how_far_each_is_and_reserves_nothing(
    open_page: OpenPage, site: Site
) -> None:
    add_campaign(site.parts.database, id="figures", name="Figures", prompts=4, voters_per_item=2)
    visitor = open_page("/campaign?id=none")
    expect(visitor.page.get_by_role("heading", name="No such campaign")).to_be_visible()
    expect(visitor.button("A is better")).to_have_count(0)

    visitor.goto("/campaign")
    expect(visitor.page.get_by_role("heading", name="Campaigns")).to_be_visible()
    expect(visitor.button("A is better")).to_have_count(0)
    expect(visitor.page.get_by_role("table")).to_have_count(0)
    visitor.page.get_by_role("link", name="Sign in as the operator").click()
    visitor.page.get_by_label("Password").fill("open, please")
    visitor.page.keyboard.press("Enter")

    visitor.page.get_by_role("link", name="Figures", exact=True).click()

    expect(visitor.page.get_by_role("row", name="hare")).to_contain_text("4 of 4")
    expect(visitor.page.locator(".figures")).to_contain_text("0 of 8")
    expect(visitor.button("A is better")).to_have_count(0)
    visitor.button("Judge as a voter").click()
    expect(visitor.button("A is better")).to_be_enabled()
