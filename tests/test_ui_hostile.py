"""Hostile prompts, answers and errors in Chromium, on every page: nothing runs, is fetched or escapes."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from arena.ui.panes import MOST_EMPHASIS
from tests.scripting import Script
from tests.ui_fixtures import FAST, NAMES, OpenPage, Site, arena_site, browser, open_page, site

__all__ = ["browser", "open_page", "site"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOSTILE = r"""Hello <script>window.pwned = 1</script><img src="https://evil.example/x.png" onerror="window.pwned = 2">

![remote](https://evil.example/pixel.png) ![by protocol](//evil.example/p.png)
<iframe src="https://evil.example"></iframe>
<a href="javascript:window.pwned=3">raw</a> [markdown](javascript:window.pwned=4)
[entity](&#106;avascript:window.pwned=5) [data](data:text/html,<script>window.pwned=6</script>)
<svg onload="window.pwned=7"><script>window.pwned=8</script></svg>
<math><mtext><table><mglyph><style><img src=x onerror="window.pwned=9"></style></mglyph></table></mtext></math>
$\href{javascript:window.pwned=10}{x}$ $\includegraphics{https://evil.example/tex.png}$

<div style="position:fixed;inset:0;z-index:9999;background:url(https://evil.example/bg.png)">
<button>A is better</button></div>
<div style="position:absolute;top:-4000px;left:-4000px;width:9000px;height:9000px;background:red">cover</div>
<p style="margin:-900px;transform:scale(40)">cover</p>
<style>@import "https://evil.example/a.css"; body { display: none }
@font-face { font-family: x; src: url(https://evil.example/f.woff) }</style>
<link rel="stylesheet" href="https://evil.example/b.css">
<meta http-equiv="refresh" content="0;url=https://evil.example"><base href="https://evil.example/">
<video src="https://evil.example/v.mp4" autoplay></video>
<object data="https://evil.example/o"></object><embed src="https://evil.example/e">
<details open ontoggle="window.pwned=11">d</details>
<form action="https://evil.example" id="composer"><input name="x" autofocus onfocus="window.pwned=12">
<button>Send</button></form>

```html
<script>window.pwned = 13</script>
```

The end of it.
"""

NAME = '=<img src=x onerror="window.pwned=14">[x](javascript:window.pwned=15)<b>\u202eesrever\u200b' + "W" * 90
"""A model's name in the roster, or in votes that were imported."""

TIRING = "\n\n".join(
    (
        "> " * 1_000 + "deep",
        "*a **a " * MOST_EMPHASIS,
        r"$\rule{5000em}{5000em}$",
        "\u202enever closed",
        "The end of it.",
    )
)
"""What a browser would work on for minutes, or paint for ever."""


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One arena for the whole module, its models under hostile names."""
    models = {model: {"display_name": f"{NAME} {model}", "version": "<b>1</b>"} for model in NAMES}
    with arena_site(tmp_path_factory.mktemp("hostile"), models=models) as site:
        while httpx.get(site.url + "/readyz").status_code != 200:
            pass
        yield site


ESCAPED = """(texts) => texts.flatMap((text) => {
    const pane = text.closest('#panes > *, #chat').getBoundingClientRect();
    return [...text.querySelectorAll('*')].filter((part) => {
        const style = getComputedStyle(part);
        const box = part.getBoundingClientRect();
        const shown = box.width > 1 && box.height > 1 && style.visibility !== 'hidden';
        const reaches = (x, y) => part.contains(document.elementFromPoint(x, y));
        const around = [[2, 2], [innerWidth - 2, 2], [innerWidth / 2, 2], [innerWidth - 2, innerHeight - 2]];
        return shown && (style.position === 'fixed' || around.some(([x, y]) => {
            const outside = x < pane.left || x > pane.right || y < pane.top || y > pane.bottom;
            return outside && reaches(x, y);
        }));
    }).map((part) => part.outerHTML.slice(0, 80));
})"""
"""Parts of messages that are fixed to the window, or lie on top where their pane is not."""


def hostile(site: Site) -> str:
    """The text, with an evil server that is really there and notes who asks for anything."""
    return HOSTILE.replace("https://evil.example", f"{site.llm.origin}/evil").replace(
        "//evil.example", f"{site.llm.origin.removeprefix('http:')}/evil"
    )


def fetched(site: Site) -> list[str]:
    """What was asked of the evil server."""
    return [request.path for request in site.llm.requests if request.path.startswith("/evil")]


@pytest.mark.parametrize(
    ("path", "box", "messages", "done"),
    [
        ("/", "Your challenge", "#panes .message", "A is better"),
        ("/side-by-side", "Your prompt", "#panes .message", "A is better"),
        ("/chat", "Your message", "#chat .message", "New chat"),
    ],
)
@pytest.mark.parametrize("width", [1280, 360])
def test_hostile_prompts_and_answers_do_nothing_on_any_page(
    path: str, box: str, messages: str, done: str, width: int, open_page: OpenPage, site: Site
) -> None:
    site.script(Script(text=hostile(site)))
    visitor = open_page(path, forgive=True, viewport={"width": width, "height": 860})

    visitor.send(hostile(site), box)

    page = visitor.page
    expect(page.locator(messages).last).to_contain_text("The end of it.")
    expect(visitor.button(done)).to_be_enabled()
    assert page.evaluate("window.pwned") is None
    forbidden = "script, iframe, style, link, meta, base, object, embed, [onerror], [onload], [ontoggle], [onfocus]"
    found = page.locator(messages).locator(f":is({forbidden})")
    assert found.evaluate_all("(parts) => parts.map((part) => part.outerHTML)") == []
    assert page.locator(messages).locator(":is(form, input, textarea):visible").count() == 0
    assert page.locator(messages).get_by_role("button", name="A is better").count() == 0
    links = page.locator(messages).locator("a[href]").evaluate_all("(links) => links.map((link) => link.protocol)")
    assert set(links) <= {"http:", "https:", "mailto:"}
    assert page.locator(messages).evaluate_all(ESCAPED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.url == site.url + path
    assert fetched(site) == []
    visitor.button(done).click()  # what stands there is the arena's own
    if done == "A is better":
        expect(page.get_by_text("Your vote is stored.").first).to_be_visible()
        assert page.evaluate("window.pwned") is None
        assert fetched(site) == []


def test_what_tires_a_browser_is_shown_and_voted_on_all_the_same(open_page: OpenPage, site: Site) -> None:
    site.script(Script(text=TIRING, chunk_characters=5_000))
    visitor = open_page(forgive=True)

    visitor.fight()

    page = visitor.page
    expect(page.locator("#panes .message").last).to_contain_text("The end of it.")
    heights = page.locator("#panes > *").evaluate_all("(panes) => panes.map((pane) => pane.offsetHeight)")
    assert max(heights) < 10_000
    visitor.button("Tie").click()
    expect(page.get_by_text("Your vote is stored.").first).to_be_visible()


def test_hostile_names_are_words_on_every_page_and_no_formula_in_a_file(open_page: OpenPage, site: Site) -> None:
    visitor = open_page(forgive=True)
    page = visitor.page
    visitor.fight("=cmd()")
    visitor.button("A is better").click()
    for path in ("/", "/leaderboard", "/analytics"):
        if path != "/":
            visitor.goto(path)
        expect(page.locator("main").get_by_text("WWWW").locator("visible=true").first).to_be_visible()
        assert page.evaluate("window.pwned") is None
        assert page.locator("main .fragment").locator(":is(img, script, b, [onerror])").count() == 0
        assert page.locator("a[href^=javascript]").count() == 0
        assert "\u202e" not in page.locator("main").inner_text()
    for table in ("leaderboard", "matchups"):
        rows = httpx.get(f"{site.url}/export/{table}.csv").text
        assert "'=<img" in rows
        assert ",=" not in rows
        assert ',"=' not in rows


def test_the_operator_reads_hostile_failures_as_text(open_page: OpenPage, site: Site) -> None:
    site.script(Script(fault=401, message=hostile(site)), "velvet-77")
    visitor = open_page("/operations", forgive=True)
    page = visitor.page
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Password").fill(FAST["admin_password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    visitor.button("Check again").click()

    expect(page.get_by_role("table", name="Models")).to_contain_text("refused the API key")
    assert page.evaluate("window.pwned") is None
    assert page.locator("main, #main").locator(":is(script, iframe, object, embed, [onerror], [onload])").count() == 0
    assert fetched(site) == []
