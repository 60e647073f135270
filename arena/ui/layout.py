"""The frame of every page: header, navigation and footer, in the HTML as it is served.

Gradio serves one HTML file for all pages and draws everything in the browser. `PageFrame` sets the arena's own frame
into that file, so that header, colours and title stand there before any script has run.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.ui.html import document
from arena.ui.opening import Opening, opened

ASSETS_DIR = Path(__file__).parent / "assets"
ASSETS_URL = "/static/arena"
_FIRST_STYLES = ("tokens.css", "arena.css")
_LAST_STYLES = ("sheet.css", "tables.css", "forest.css", "leaderboard.css", "operations.css")
"""Of two rules of equal weight the later one counts: a table's looks go before those of what stands in it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the arena."""

    path: str
    name: str
    description: str
    in_header: bool = True
    """Linked in the header; the operator's pages are linked in the footer."""
    linked: bool = True
    scripts: tuple[str, ...] = ()
    """Files of `assets` that only this page runs."""

    @property
    def title(self) -> str:
        """The browser's title of the page."""
        return "COAIA Arena: blind battles between tuned models" if self.path == "/" else f"{self.name} · COAIA Arena"


PAGES: tuple[Page, ...] = (
    Page(
        "/",
        "Battle",
        "Two unnamed models answer your challenge. You say which answer is better, then see who wrote it.",
    ),
    Page("/side-by-side", "Side by side", "Put one prompt to two models of your choice."),
    Page("/chat", "Direct chat", "Talk to one model of your choice."),
    Page(
        "/leaderboard",
        "Leaderboard",
        "How the models stand, from every counted vote.",
        scripts=("board.js", "picture.js"),
    ),
    Page(
        "/analytics",
        "Analytics",
        "Who beats whom, how sure that is, and what length and formatting are worth.",
        scripts=("picture.js",),
    ),
    Page("/campaign", "Campaign", "Pairs of finished answers, judged blind by several people.", in_header=False),
    Page("/data", "Data", "Preference pairs, training files, tuning jobs, for the operator.", in_header=False),
    Page("/operations", "Operations", "Models, failures and uptime, for the operator.", in_header=False),
    Page("/matchup", "Battles of two models", "For the operator.", in_header=False, linked=False),
)
BY_PATH: Mapping[str, Page] = {page.path: page for page in PAGES}


@dataclass(frozen=True)
class Assets:
    """The stylesheets and scripts, each named with the hash of its content so that browsers may keep it for ever."""

    folder: Path = ASSETS_DIR

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """Addresses of the stylesheets: the tokens, the arena's, those of single things, the sheet and its tables."""
        others = {file.name for file in self.folder.glob("*.css")}.difference(_FIRST_STYLES, _LAST_STYLES)
        return tuple(map(self.address, (*_FIRST_STYLES, *sorted(others), *_LAST_STYLES)))

    def address(self, name: str) -> str:
        """The address of one asset."""
        content = (self.folder / name).read_bytes()
        return f"{ASSETS_URL}/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


_GRADIO_METAS = re.compile(r"\s*<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>")
_BODY = re.compile(r"<body[^>]*>")


class PageFrame:
    """ASGI middleware: sets title, styles, header, first values and footer into the HTML that Gradio serves."""

    def __init__(self, app: ASGIApp, *, demo: bool, openings: Mapping[str, Opening], sign_in: str = "") -> None:
        """`openings` by path; `sign_in` is the address where visitors may sign in, linked on every page."""
        self._app = app
        self._openings = openings
        assets = Assets()
        self._heads = {page.path: document("head.html", page=page, assets=assets) for page in PAGES}
        self._tops = {
            page.path: document("header.html", page=page, pages=PAGES, demo=demo, assets=assets) for page in PAGES
        }
        self._bottoms = {
            page.path: document("footer.html", page=page, pages=PAGES, assets=assets, sign_in=sign_in) for page in PAGES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Frame the answer to a page; let everything else pass."""
        path = scope.get("path", "").rstrip("/") or "/"
        if scope["type"] != "http" or scope["method"] != "GET" or path not in BY_PATH:
            await self._app(scope, receive, send)
            return
        # A compressed answer could not be framed; the gate compresses what is framed.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, _Framing(self, path, Request(scope), send))

    async def open(self, path: str, html: str, request: Request) -> str:
        """Gradio's HTML as this arena serves it to one visitor."""
        if opening := self._openings.get(path):
            html = await opened(html, opening, request)
        return self.frame(path, html)

    def frame(self, path: str, html: str) -> str:
        """Gradio's HTML in the arena's frame."""
        html = _GRADIO_METAS.sub("", html)
        html = html.replace("</head>", self._heads[path] + "</head>", 1)
        html = html.replace('control_page_title="true"', "", 1)
        html = html.replace("<gradio-app", '<div id="main" tabindex="-1"><gradio-app', 1)
        html = html.replace("</gradio-app>", "</gradio-app></div>" + self._bottoms[path], 1)
        return _BODY.sub(lambda body: body.group() + self._tops[path], html, count=1)


class _Framing:
    """A `send` that holds an answer back until it is whole, then sends it framed if it is HTML."""

    def __init__(self, frame: PageFrame, path: str, request: Request, send: Send) -> None:
        self._frame = frame
        self._path = path
        self._request = request
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body" or self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        body = bytes(self._body)
        if headers.get("content-type", "").startswith("text/html"):
            body = (await self._frame.open(self._path, body.decode(), self._request)).encode()
        headers["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
