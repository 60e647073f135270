"""Which requests the arena takes: the addresses there are, their methods, from where, and what may be sent to them."""

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from arena.web.bodies import MAX_BODY_BYTES

TOO_LARGE = "This is larger than the arena takes: shorten it, and send it again."

EVENTS = "/gradio_api/queue/data"
"""The stream in which a page hears of its events."""
HEARTBEAT = "/gradio_api/heartbeat/"
"""Before the name of a page's connection: the stream that stays for as long as the page is open."""
_PAGES = frozenset(
    {"/", "/side-by-side", "/chat", "/leaderboard", "/campaign", "/analytics", "/data", "/operations", "/matchup"}
)
_OWN_ROUTES = frozenset(
    {"/healthz", "/readyz", "/metrics", "/login", "/my-data", "/login/huggingface", "/login/callback"}
)
_GRADIO_GETS = frozenset(
    {
        "/config",
        "/theme.css",
        "/manifest.json",
        "/favicon.ico",
        "/robots.txt",
        "/gradio_api/info",
        "/gradio_api/app_id",  # asked by a page that lost its connection, which then loads itself again
        EVENTS,
    }
)
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}"
"""A file or folder among scripts and styles; what is longer, or leads elsewhere, need not be looked for."""
_GRADIO_GET_PATTERN = re.compile(
    r"/export/(?:leaderboard|matchups|history|versions|calibration)\.(?:csv|json)|"
    r"/data/files/[A-Za-z0-9][A-Za-z0-9._-]{0,199}|"
    rf"/(?:assets|static)/(?:{_NAME}/){{0,7}}{_NAME}|"
    rf"{HEARTBEAT}\w{{1,64}}|/gradio_api/call/leaderboard/\w{{1,64}}"
)
JSON_POSTS = frozenset({"/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/call/leaderboard"})
"""Events with a queue, events without one, and the one endpoint for programs."""
DIRECT_POSTS = JSON_POSTS - {"/gradio_api/call/leaderboard"}
"""Those of them that open pages send."""
_FORM_POSTS = frozenset({"/login", "/logout", "/my-data"})


def is_page(path: str) -> bool:
    """Whether `path` is one that people open."""
    return path in _PAGES or path.rstrip("/") in _PAGES


def refuse(method: str, path: str, headers: Headers, hops: int) -> PlainTextResponse | None:
    """The answer to a request that the arena does not take, or `None` when it does."""
    posts = path in JSON_POSTS or path in _FORM_POSTS
    gets = is_page(path) or path in _OWN_ROUTES or path in _GRADIO_GETS or _GRADIO_GET_PATTERN.fullmatch(path)
    if not posts and not gets:
        return PlainTextResponse("There is no such page.", 404)
    if method == "POST" and posts:
        return _refuse_post(path, headers, hops)
    if method in ("GET", "HEAD") and gets:
        return None
    allowed = ", ".join([*(["GET", "HEAD"] if gets else []), *(["POST"] if posts else [])])
    return PlainTextResponse("This address does not take that method.", 405, {"Allow": allowed})


def _refuse_post(path: str, headers: Headers, hops: int) -> PlainTextResponse | None:
    if not _same_origin(headers, hops):
        return PlainTextResponse("The request comes from another site.", 403)
    accepted = "application/json" if path in JSON_POSTS else "application/x-www-form-urlencoded"
    given = headers.get("content-type", "").split(";")[0].strip().lower()
    if given != accepted and not (path == "/logout" and not given):
        return PlainTextResponse(f"This address takes {accepted}.", 415)
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        return PlainTextResponse(TOO_LARGE, 413)
    return None


def _same_origin(headers: Headers, hops: int) -> bool:
    """Whether a POST comes from the arena's own pages, or from a program, which no site can make send cookies."""
    fetch_site = headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    hosts = {headers.get("host", "")}
    if hops:
        hosts.add(headers.get("x-forwarded-host", "").split(",")[-1].strip())
    return origin.partition("://")[2] in hosts - {""}
