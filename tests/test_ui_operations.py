"""The Operations page: everything for the operator, nothing for anybody else, however they ask."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import select

from arena.backup import back_up
from arena.battle import Figures
from arena.config import Settings
from arena.draw_forecast import Forecast
from arena.errors import FailureKind
from arena.fleet import ModelState, ModelStatus
from arena.limits import Today
from arena.roster import ModelEntry
from arena.tables import VoterDecision, Winner, now
from arena.ui.html import render
from arena.ui.report import Report, describe_database, write_report
from tests.arena_facts import add_models, add_vote
from tests.conftest import SettingsFactory
from tests.databases import database_of
from tests.scripted_visitor import ScriptedVisitor
from tests.ui_fixtures import (
    FAST,
    NAMES,
    OpenPage,
    Site,
    Visitor,
    arena_site,
    browser,
    hurry,
    open_page,
    shared_site,
    site,
)

__all__ = ["browser", "open_page", "shared_site", "site"]
pytestmark = [pytest.mark.timeout(180)]


def sign_in(visitor: Visitor) -> Page:
    """Go through the notice and the password form, and arrive."""
    page = visitor.page
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Password").fill(FAST["admin_password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    return page


def figure_of(page: Page, name: str) -> Locator:
    """Where the value beside a figure's name stands."""
    return page.locator("dl.figures div", has=page.get_by_text(name, exact=True)).locator("dd")


def figure(page: Page, name: str) -> str:
    """The value beside a figure's name, now."""
    return figure_of(page, name).inner_text()


SECRETS = (*NAMES, *NAMES.values(), "correct model_name", "arena.db", "sqlite:", "Uptime", "Deployment")
"""What only the operator may read on this page."""


@pytest.mark.browser
def test_a_visitor_reads_a_notice_and_nothing_else(open_page: OpenPage) -> None:
    page = open_page("/operations").page
    expect(page.get_by_text("This page is for the operator of this arena.")).to_be_visible()
    expect(page.get_by_role("button", name="Check again")).to_have_count(0)
    content = page.content()
    assert [secret for secret in SECRETS if secret in content] == []


def test_nothing_of_the_report_is_in_the_page_as_it_is_served(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        served = client.get("/operations").text + client.get("/config").text
    assert [secret for secret in SECRETS if secret in served] == []


def test_none_of_the_pages_functions_tells_a_stranger_anything(site: Site) -> None:
    with ScriptedVisitor(site.url, headers={"Cookie": "arena_operator=forged"}) as stranger:
        functions = stranger.functions_on("operations")
        assert len(functions) >= 5
        for number, data in functions.items():
            told = "".join(stranger.tell(number, data))
            assert "operator of this arena" in told
            assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.browser
def test_the_operator_reads_how_models_and_battles_do(open_page: OpenPage, site: Site) -> None:
    site.parts.fleet.record_failure("velvet-77", FailureKind.NOT_FOUND)
    page = sign_in(open_page("/operations"))
    models = page.get_by_role("table", name="Models")
    ready, not_ready = models.get_by_role("row").nth(1), models.get_by_role("row").nth(2)
    expect(ready).to_contain_text("Quartz Nine")
    expect(ready).to_contain_text("Ready")
    expect(not_ready).to_contain_text("Retired")
    expect(not_ready).to_contain_text("has no model api-velvet-77 (any more): correct model_name")
    expect(not_ready).to_contain_text("1 not found")
    expect(page.get_by_text(database_of(site.parts.settings.data_dir).partition("?")[0])).to_be_visible()
    assert figure(page, "Battles") == "0"
    assert figure(page, "Completion") == "–"
    assert figure(page, "Uptime").endswith("min")


@pytest.mark.browser
def test_an_open_page_follows_what_happens(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path) as busy, browser.new_page() as page:
        hurry(page)
        page.goto(f"{busy.url}/operations")
        sign_in(Visitor(page, busy))
        with browser.new_page() as other:
            other.goto(busy.url)
            visitor = Visitor(other, busy)
            visitor.fight()
            visitor.button("Tie").click()
            expect(visitor.button("Continue from this answer").first).to_be_visible()
        page.bring_to_front()
        for name in ("Battles", "Votable", "Voted", "Rated votes"):
            expect(figure_of(page, name)).to_have_text("1")
        assert figure(page, "Completion") == "100.0%"
        assert figure(page, "In line") == "0"
        expect(page.get_by_role("table", name="Models").get_by_role("row").nth(1)).to_contain_text(" s")


@pytest.mark.browser
def test_checking_again_finds_a_model_that_is_back(open_page: OpenPage, site: Site) -> None:
    site.parts.fleet.record_failure("quartz-9000", FailureKind.NOT_FOUND)
    page = sign_in(open_page("/operations"))
    row = page.get_by_role("table", name="Models").get_by_role("row").nth(1)
    expect(row).to_contain_text("Retired")

    page.get_by_role("button", name="Check again").click()

    expect(row).to_contain_text("Ready")
    expect(page.get_by_role("button", name="Check again")).to_be_enabled()


def vote_alike(site: Site) -> None:
    """Twenty voters who judge, and one who always votes for side A."""
    database = site.parts.database
    quartz, velvet = add_models(database, "quartz-9000", "velvet-77")
    for person in range(20):
        for turn in range(6):
            pair = (quartz, velvet) if (person + turn) % 2 else (velvet, quartz)
            better = Winner.MODEL_A if (person + turn) % 3 else Winner.MODEL_B
            add_vote(database, *pair, better, voter=f"judge{person}")
    for turn in range(40):
        pair = (quartz, velvet) if turn % 2 else (velvet, quartz)
        add_vote(database, *pair, Winner.MODEL_A, voter="anna")


@pytest.mark.browser
def test_the_operator_reads_what_is_drawn_next_and_how_voters_lean(open_page: OpenPage) -> None:
    page = sign_in(open_page("/operations"))
    drawing = page.get_by_role("table", name="Drawing")
    expect(drawing.get_by_role("row").nth(1)).to_contain_text("100%")
    expect(drawing.get_by_role("row").nth(1)).to_contain_text("Quartz Nine")
    expect(page.get_by_text("No decided votes yet, so nothing is known about a leaning to a side.")).to_be_visible()
    expect(page.get_by_text("Nobody’s votes wait for a decision.")).to_be_visible()
    uptime = page.get_by_role("table", name="Targets").get_by_role("row", name="Uptime")
    expect(uptime.get_by_role("cell")).to_have_text(["100.0%"] * 3)
    expect(page.get_by_role("button", name="Show what it changes")).to_have_count(0)


@pytest.mark.browser
def test_the_operator_sees_what_a_decision_changes_before_taking_it(browser: Browser, tmp_path: Path) -> None:
    with arena_site(tmp_path) as site, browser.new_page() as page:
        vote_alike(site)
        page.goto(f"{site.url}/operations")
        sign_in(Visitor(page, site))
        voters = page.get_by_role("table", name="Voters")
        expect(voters.get_by_role("row").nth(1)).to_contain_text("anna")
        expect(voters.get_by_role("row").nth(1)).to_contain_text("Looks like always side A")

        page.get_by_role("button", name="Show what it changes").click()
        expect(page.get_by_role("alert")).to_contain_text("Give a reason first")
        assert decisions(site) == []

        page.get_by_label("Exclude").check()
        page.get_by_label("Reason").fill("always side A")
        page.get_by_role("button", name="Show what it changes").click()
        expect(page.get_by_role("table", name="What the decision changes")).to_contain_text("160 → 120")
        assert decisions(site) == []

        page.get_by_role("button", name="Exclude the votes of anna").click()
        expect(page.get_by_role("alert")).to_contain_text("anna: 40 votes are excluded now")
        expect(voters.get_by_role("row").nth(1)).to_contain_text("excluded: always side A")
        expect(page.get_by_role("button", name="Exclude the votes of anna")).to_have_count(0)
        assert decisions(site) == [("anna", "exclude", "always side A", 40)]


def decisions(site: Site) -> list[tuple[str, str, str, int]]:
    with site.parts.database.read() as session:
        return [(d.voter_id, d.decision.value, d.reason, d.votes) for d in session.scalars(select(VoterDecision))]


@pytest.mark.slow
def test_a_strangers_decision_changes_nothing(tmp_path: Path) -> None:
    with arena_site(tmp_path) as site, ScriptedVisitor(site.url) as stranger:
        vote_alike(site)
        for number, data in stranger.functions_on("operations").items():
            assert "anna" not in "".join(stranger.tell(number, data))
        assert decisions(site) == []


_QUIET_DAY = Today(0, None)


def quiet_report(
    settings: Settings, *models: ModelStatus, today: Today = _QUIET_DAY, warnings: Sequence[str] = ()
) -> Report:
    """Of an arena in which nothing has happened yet."""
    return write_report(
        Figures(0, 0, 0, 0, 0, 0),
        models,
        settings,
        kept=(),
        today=today,
        backup_failure=None,
        votes=0,
        waiting=0,
        uptime_s=0,
        warnings=warnings,
    )


@pytest.mark.usefixtures("database")
@pytest.mark.sqlite
def test_the_newest_backup_stands_among_the_facts(make_settings: SettingsFactory) -> None:
    def told() -> str:
        report = quiet_report(make_settings())
        return next(fact.value for fact in report.facts if fact.name == "Backups")

    assert told().startswith("none yet in")
    made = back_up(make_settings())
    assert told().startswith(f"{made.file}, made on ")


def test_what_the_days_limits_leave_stands_among_the_facts(make_settings: SettingsFactory) -> None:
    settings = make_settings(battles_per_day_in_all=1_200, spend_per_day=5)
    report = quiet_report(settings, today=Today(7, 0.25))

    told = {fact.name: fact.value for fact in report.facts}
    assert (told["Started today"], told["Spent today"]) == ("7 of 1,200", "$0.25 of $5.00")


def test_what_was_left_out_of_the_roster_file_stands_below_the_models(make_settings: SettingsFactory) -> None:
    left_out = ("models.yaml: parrot: skipped, the arena has no api_type 'echo'.",)

    report = quiet_report(make_settings(), warnings=left_out)
    page = render("operations_models.html", report=report, forecast=Forecast("uniform", 0, 0, None, ()))

    assert "skipped, the arena has no api_type &#39;echo&#39;." in page


def status(**columns: Any) -> ModelStatus:
    entry = ModelEntry(id="heron", api_type="demo", display_name="Heron")
    ready = ModelStatus(entry, ModelState.READY, "", None, 0, {}, None, None, None, None)
    return replace(ready, **columns)


def notes(settings: Settings, **columns: Any) -> str:
    """What the report notes beside a model's state."""
    report = quiet_report(settings, status(**columns))
    return " ".join(report.models[0].notes)


def test_a_rest_is_told_with_its_end_and_then_with_what_ends_it(make_settings: SettingsFactory) -> None:
    resting = {"state": ModelState.RESTING, "reason": "Rests after 3 failures in a row."}
    later, earlier = now() + timedelta(minutes=5), now() - timedelta(minutes=5)
    assert f"Until {later:%H:%M:%S} UTC" in notes(make_settings(), **resting, resting_until=later)
    assert "The next battle that draws it tries it." in notes(make_settings(), **resting, resting_until=earlier)


@pytest.mark.parametrize(
    ("days", "said"), [(0, "shuts it down today"), (1, "shuts it down tomorrow"), (44, "shuts it down in 44 days")]
)
def test_an_announced_shutdown_is_counted_down(days: int, said: str, make_settings: SettingsFactory) -> None:
    assert said in notes(make_settings(), shuts_down_on=now().date() + timedelta(days=days))


@pytest.mark.browser
def test_signing_out_closes_the_page(open_page: OpenPage) -> None:
    visitor = open_page("/operations")
    page = sign_in(visitor)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{visitor.site.url}/")
    visitor.goto("/operations")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


@pytest.mark.browser
def test_a_session_that_has_ended_empties_the_open_page(open_page: OpenPage) -> None:
    page = sign_in(open_page("/operations"))
    page.context.clear_cookies(name="arena_operator")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.get_by_role("button", name="Check again")).to_have_count(0)


def test_a_database_is_named_without_what_opens_it() -> None:
    url = "postgresql+psycopg://arena:hunter2@db.example:5432/arena?sslpassword=hunter3&options=-csecret"
    assert describe_database(url) == "postgresql+psycopg://arena:***@db.example:5432/arena"


def test_a_sqlite_files_size_counts_what_is_not_yet_folded_in(tmp_path: Path) -> None:
    file = tmp_path / "arena.db"
    url = f"sqlite:///{file}"
    assert describe_database(url) == url
    file.write_bytes(b"x" * 1_500_000)
    assert describe_database(url) == f"{url} (1.5 MB)"
    (tmp_path / "arena.db-wal").write_bytes(b"x" * 500_000)
    assert describe_database(url) == f"{url} (2.0 MB)"
