"""How soon pages are there with many models and votes: `python -m benchmarks.pages [--models N] [--votes N]`.

Fills a fresh SQLite file with full votes (battles, voters, conversations), serves it, and opens pages in Chromium. The
clock of `table after page` runs from the moment the page's own frame is drawn to the moment its first table is in it,
as the browser itself saw them. Then: how long a running page's request waits while the votes are looked through, and
how long a choice of votes takes that has never been counted.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena.config import load_settings, prepare_process

prepare_process()

from playwright.sync_api import Browser, sync_playwright  # noqa: E402 - the process is prepared first

from app import build_app  # noqa: E402
from arena.database import open_database  # noqa: E402
from benchmarks.many_votes import fill  # noqa: E402
from tests.serving import served  # noqa: E402

WATCH = """
(() => {
  const seen = (window.__seen = {});
  new MutationObserver(() => {
    if (!seen.page && document.querySelector("gradio-app main .fragment")) seen.page = performance.now();
    if (seen.table || !document.querySelector("%s")) return;
    seen.table = performance.now();
    requestAnimationFrame(() => setTimeout(() => {
      seen.painted = performance.now();
      document.documentElement.dataset.painted = "";
    }));
  }).observe(document, { childList: true, subtree: true });
})();
"""
PAGES = {
    "/leaderboard": "#board-table",
    "/analytics": ".matchups-table",
    "/leaderboard?platform=OpenAI": "#board-table",
}


def main() -> None:
    """Fill, serve, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--folder", type=Path, help="fill a database here, or measure the one that is here already")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with (
        tempfile.TemporaryDirectory() as passing,
        arena(given.folder or Path(passing), given.models, given.votes) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        print(f"{given.models} models, {given.votes:,} votes; medians of {given.rounds}, milliseconds")
        print(f"{'page':32} {'page':>6} {'table':>6} {'table after page':>17} {'painted':>8} {'best after page':>16}")
        for path, table in PAGES.items():
            report(browser, url, path, table, given.rounds)
        report_choice(browser, url)
        browser.close()


@contextmanager
def arena(folder: Path, models: int, votes: int) -> Iterator[str]:
    """An arena that serves so many votes; its two models answer nobody."""
    roster = {
        f"model-{number}": {
            "api_type": "openai",
            "api_base": "http://127.0.0.1:9/v1",
            "api_key": "none",
            "model_name": "m",
        }
        for number in range(2)
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roster.json").write_text(json.dumps(roster))
    if not (folder / "arena.db").exists():
        database = open_database(f"sqlite:///{folder / 'arena.db'}")
        fill(database, models, votes)
        database.close()
    settings = load_settings(
        data_dir=folder, database_url=f"sqlite:///{folder / 'arena.db'}", models=folder / "roster.json", secret="x" * 40
    )
    with served(build_app(settings)) as url:
        yield url


def report(browser: Browser, url: str, path: str, table: str, rounds: int) -> None:
    """Open a page so many times, after once for the browser's cache, and print medians."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    seen = [opened(context.new_page(), url + path, table) for _ in range(rounds + 1)][1:]
    page, first, painted = (statistics.median(times[name] for times in seen) for name in ("page", "table", "painted"))
    after = [times["table"] - times["page"] for times in seen]
    print(
        f"{path:32} {page:6.0f} {first:6.0f} {statistics.median(after):17.0f} {painted:8.0f} {min(after):16.0f}",
        flush=True,
    )
    context.close()


def opened(page: object, address: str, table: str) -> dict[str, float]:
    """What the browser saw when."""
    from playwright.sync_api import Page

    assert isinstance(page, Page)
    page.add_init_script(WATCH % table)
    page.goto(address)
    page.locator("html[data-painted]").wait_for(state="attached", timeout=120_000)
    seen: dict[str, float] = page.evaluate("window.__seen")
    page.close()
    return seen


def report_choice(browser: Browser, url: str) -> None:
    """How long a choice takes whose votes have to be read, and the same choice again."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"{url}/leaderboard")
    page.get_by_text("Choose votes and rows").click()
    for attempt in ("first", "again"):
        began = time.perf_counter()
        page.get_by_role("combobox", name="Challenge").select_option("work")
        page.get_by_text("challenges about work").wait_for(timeout=120_000)
        page.locator("#board-table").wait_for(timeout=120_000)
        print(f"a tag's votes, {attempt}: {time.perf_counter() - began:.2f} s", flush=True)
        page.get_by_role("link", name="Show the whole leaderboard").click()
        page.get_by_role("link", name="Show the whole leaderboard").wait_for(state="detached")
    page.close()


if __name__ == "__main__":
    main()
