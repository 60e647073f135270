"""The gate in front of every route: what may be asked, how much may be sent, and what each answer carries.

Gradio serves far more than the arena's pages need: uploads, a forward proxy, files, run histories, monitoring. The gate
lets through what the pages use and answers 404 for the rest, before Gradio sees the request.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.mistakes import Mistakes
from arena.web.addresses import DIRECT_POSTS, JSON_POSTS, TOO_LARGE, is_page, refuse
from arena.web.bodies import MAX_BODY_BYTES, read_body, replaying, throw_away
from arena.web.events import PageOwners, may_name_a_page, read_event, session_of_stream
from arena.web.pages import NoncedPage, without_encodings
from arena.web.plain import plain_page
from arena.web.session import VOTER_COOKIE, VOTER_COOKIE_S, CookieRules, Sessions, is_https, with_proven_headers
from arena.web.streams import PageStreams, is_stream

_ANOTHERS = "This page was opened by another visitor: reload it."
_DISCARDED_BYTES = 8 * 1024 * 1024
"""Of a larger body than is taken, so much is read and thrown away, so that the browser listens to the refusal."""

PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"

_REASONS: Mapping[int, str] = {
    400: "no_plain_values",
    403: "other_site",
    404: "no_such_address",
    405: "method",
    408: "body_too_slow",
    409: "other_visitor",
    413: "body_too_large",
    415: "content_type",
}


def _nobody_counts(reason: str) -> None:
    del reason


class Gate:
    """Pure ASGI: a request that gets past it is one that the arena's own pages make."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        cookies: CookieRules,
        streams: PageStreams,
        page_traffic: ASGIApp | None = None,
        hops: int,
        refused: Callable[[str], None] = _nobody_counts,
        body_s: float = 15.0,
    ) -> None:
        """`page_traffic` answers what open pages send and hear all the time, or else `app`, as everything.

        `refused` hears a word for the reason of each refusal; a body has `body_s` seconds to arrive.
        """
        self._app = app
        self._page_traffic = page_traffic or app
        self._refused = refused
        self._body_s = body_s
        self._sessions = sessions
        self._cookies = cookies
        self._streams = streams
        self._hops = hops
        self._owners = PageOwners()
        self._mistakes = Mistakes()
        self._frames = "'self' https://huggingface.co" if cookies.framed else "'self'"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on with its whole body read and its answer's headers completed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif is_page(scope["path"]):
            await self._show_page(scope, receive, send)
        elif is_stream(scope["path"]):
            await self._streams.run(self._hand_on, scope, receive, send)
        else:
            await self._hand_on(scope, receive, send)

    async def _show_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        page = NoncedPage(send, headers, lambda nonce: content_policy(self._frames, f"'nonce-{nonce}'"))
        cookie = None
        if self._sessions.voter_id(headers) is None:
            secure = is_https(headers, scope["scheme"], self._hops)
            cookie = self._cookies.header(VOTER_COOKIE, self._sessions.new_voter(), VOTER_COOKIE_S, secure=secure)

        async def greet(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Cache-Control"] = "no-store"
                if cookie is not None:
                    answer.append("Set-Cookie", cookie)
            await page(message)

        await self._hand_on(without_encodings(scope), receive, greet)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._secure(MutableHeaders(scope=message))
            await send(message)

        headers = Headers(scope=scope)
        refusal = refuse(scope["method"], scope["path"], headers, self._hops)
        if refusal is None and b"%00" in scope["query_string"]:
            refusal = PlainTextResponse("An address has no character NUL.", 400)
        if refusal is None and is_stream(scope["path"]):
            refusal = self._refuse_stream(scope, headers)
        if refusal is None and scope["method"] == "POST":
            body = await self._read(receive)
            if not isinstance(body, bytes):
                refusal = body
            else:
                refusal = self._refuse_event(body, headers) if scope["path"] in JSON_POSTS else None
                receive = replaying(body, receive)
        if refusal is not None:
            self._refused(_REASONS[refusal.status_code])
            await self._discard(headers, receive)
            answer = as_event(refusal) if scope["path"] in JSON_POSTS else as_page(refusal, headers)
            await answer(scope, receive, secured)
        else:
            await self._serve(with_proven_headers(scope, self._hops), receive, secured)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer; what it did not expect is told the operator, and counted."""
        started = ended = False

        async def watched(message: Message) -> None:
            nonlocal started, ended
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        stream = is_stream(scope["path"])
        session = session_of_stream(scope["path"], scope["query_string"]) if stream else None
        direct = stream if scope["method"] == "GET" else scope["path"] in DIRECT_POSTS
        app = self._page_traffic if direct else self._app
        try:
            with self._owners.streaming(session):
                await app(scope, receive, watched)
        except Exception as error:
            self._mistakes.tell(error)
            self._refused("mistake")
            if started and not ended:
                raise  # so that the connection is closed, and nobody takes half an answer for a whole one
            if not started:
                await PlainTextResponse("Internal Server Error", 500)(scope, receive, send)

    def _refuse_event(self, body: bytes, headers: Headers) -> PlainTextResponse | None:
        event = read_event(body)
        if event is None:
            return PlainTextResponse("Events take text and numbers; text has no character NUL.", 400)
        return self._refuse_session(event.session, headers)

    def _refuse_stream(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        session = session_of_stream(scope["path"], scope["query_string"])
        if session is not None and not may_name_a_page(session):
            return PlainTextResponse("There is no such page.", 400)
        return self._refuse_session(session, headers)

    def _refuse_session(self, session: str | None, headers: Headers) -> PlainTextResponse | None:
        if session is None or self._owners.belongs(session, self._sessions.voter_id(headers) or ""):
            return None
        return PlainTextResponse(_ANOTHERS, 409)

    async def _discard(self, headers: Headers, receive: Receive) -> None:
        """Read a body that says it is too large, up to a limit: a browser listens once it has sent it."""
        length = headers.get("content-length", "")
        if length.isdigit() and MAX_BODY_BYTES < int(length) <= _DISCARDED_BYTES:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._body_s):
                    await throw_away(receive, _DISCARDED_BYTES)

    async def _read(self, receive: Receive) -> bytes | PlainTextResponse:
        """The body, or why it is not taken."""
        try:
            async with asyncio.timeout(self._body_s):
                body = await read_body(receive)
        except TimeoutError:
            return PlainTextResponse("The request took too long to arrive.", 408, {"Connection": "close"})
        return PlainTextResponse(TOO_LARGE, 413) if body is None else body

    def _secure(self, answer: MutableHeaders) -> None:
        for name in [name for name in answer if name.lower().startswith("access-control-")]:
            del answer[name]
        answer["Content-Security-Policy"] = content_policy(self._frames)
        answer["Referrer-Policy"] = "no-referrer"
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Permissions-Policy"] = PERMISSIONS_POLICY
        if not self._cookies.framed:
            answer["X-Frame-Options"] = "SAMEORIGIN"


def content_policy(frames: str, inline_scripts: str = "") -> str:
    """What the browser may load and run: the arena's own files, and the inline scripts that carry the page's nonce.

    Styles may be inline, since Gradio writes them into elements; no script may make code out of text.
    """
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {inline_scripts}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'self'",
            "object-src 'none'",
            "form-action 'self'",
            f"frame-ancestors {frames}",
        )
    )


def as_event(refusal: PlainTextResponse) -> JSONResponse:
    """The refusal as Gradio's page shows it to its visitor."""
    return JSONResponse({"detail": bytes(refusal.body).decode()}, refusal.status_code, _kept(refusal))


def as_page(refusal: PlainTextResponse, asked: Headers) -> Response:
    """The refusal as somebody reads it who asked for a page; as it is for everything else."""
    if "text/html" not in asked.get("accept", ""):
        return refusal
    title = "Page not found" if refusal.status_code == 404 else "This was not taken"
    page = plain_page("message.html", title=title, text=bytes(refusal.body).decode())
    return HTMLResponse(page, refusal.status_code, _kept(refusal))


def _kept(refusal: PlainTextResponse) -> dict[str, str]:
    """The headers that a refusal has in whatever form it goes out."""
    return {name: value for name, value in refusal.headers.items() if name in ("allow", "connection")}
