"""The routes beside the pages: health, readiness, metrics, and the operator's way in and out."""

import hmac
import math
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST

from arena.closings import keep_closed
from arena.config import Settings
from arena.database import Database
from arena.monitoring import Monitor
from arena.outages import DatabaseUnavailable
from arena.passwords import PasswordAttempts
from arena.web.plain import NEVER_STORED, plain_page
from arena.web.session import ACCOUNT, OPERATOR_COOKIE, VOTER_COOKIE, CookieRules, Sessions, is_https

HOME = "/operations"
"""Where a signed-in operator lands who asked for no page in particular."""


class Door:
    """The operator's way in and out, and what only the operator may see."""

    def __init__(
        self,
        monitor: Monitor,
        database: Database,
        sessions: Sessions,
        cookies: CookieRules,
        settings: Settings,
        refused: Callable[[str], None],
    ) -> None:
        """`refused` hears a word for the reason of each refusal."""
        self._monitor = monitor
        self._database = database
        self._refused = refused
        self._sessions = sessions
        self._cookies = cookies
        self._hops = settings.forwarded_hops
        token = settings.metrics_token
        self._metrics_token = token.get_secret_value().encode() if token is not None else b""
        self._attempts = PasswordAttempts(database)

    def router(self) -> APIRouter:
        """Every route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/healthz", self.healthz, methods=["GET", "HEAD"])
        router.add_api_route("/readyz", self.readyz, methods=["GET", "HEAD"])
        router.add_api_route("/metrics", self.metrics, methods=["GET"])
        router.add_api_route("/login", self.login_page, methods=["GET"])
        router.add_api_route("/login", self.login, methods=["POST"])
        router.add_api_route("/logout", self.logout, methods=["POST"])
        return router

    async def healthz(self) -> Response:
        """The process serves."""
        return JSONResponse(self._monitor.health(), headers=NEVER_STORED)

    async def readyz(self, request: Request) -> Response:
        """Visitors can be sent here; for the operator also what is not ready and why."""
        report = await self._monitor.readiness()
        content = report.as_json()
        if self._sees_everything(request):
            content |= await self._monitor.operator_report()
        return JSONResponse(content, 200 if report.ready else 503, headers=NEVER_STORED)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text, for the operator's session or the scraper's token."""
        if not self._sees_everything(request):
            sentence = "Sign in as the operator, or send ARENA_METRICS_TOKEN as a bearer token.\n"
            return PlainTextResponse(sentence, 401, {"WWW-Authenticate": "Bearer", **NEVER_STORED})
        return Response(await self._monitor.metrics(), headers=NEVER_STORED, media_type=CONTENT_TYPE_LATEST)

    async def login_page(self, request: Request) -> Response:
        """The password form."""
        return self._page(safe_next(request.query_params.get("next", "")), self._sessions.is_operator(request.headers))

    async def login(self, request: Request) -> Response:
        """Open a session for the right password."""
        form = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
        next_page = safe_next(form.get("next", [""])[0])
        address = self._sessions.address_hash(request.headers, request.client.host if request.client else "")
        if wait := await self._attempts.begin(address):
            self._refused("too_many_passwords")
            sentence = f"Too many wrong passwords. Try again in {_in_words(wait)}."
            return self._page(next_page, error=sentence, status=429, headers={"Retry-After": str(math.ceil(wait))})
        if not self._sessions.password_matches(form.get("password", [""])[0]):
            self._refused("wrong_password")
            return self._page(next_page, error="That is not the password.", status=401)
        await self._attempts.succeeded(address)
        answer = RedirectResponse(next_page, 303)
        self._set_cookie(request, answer, self._sessions.open_operator(), self._sessions.session_s)
        return answer

    async def logout(self, request: Request) -> Response:
        """Close the operator's session, wherever its cookie was copied to; a signed-in voter leaves the account."""
        closed = self._sessions.close_operator(request.headers)
        if closed is not None:
            with suppress(DatabaseUnavailable):  # it is closed here, and told of already
                await self._database.run(keep_closed, self._database, *closed, time.time())
        answer = RedirectResponse("/", 303)
        self._set_cookie(request, answer, "", 0)
        if (self._sessions.voter_id(request.headers) or "").startswith(ACCOUNT):
            secure = is_https(request.headers, request.url.scheme, self._hops)
            answer.headers.append("Set-Cookie", self._cookies.header(VOTER_COOKIE, "", 0, secure=secure))
        return answer

    def _sees_everything(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        by_token = self._metrics_token != b"" and scheme.lower() == "bearer"
        if by_token and hmac.compare_digest(token.strip().encode(), self._metrics_token):
            return True
        return self._sessions.is_operator(request.headers)

    def _set_cookie(self, request: Request, answer: Response, value: str, max_age_s: int) -> None:
        secure = is_https(request.headers, request.url.scheme, self._hops)
        answer.headers.append("Set-Cookie", self._cookies.header(OPERATOR_COOKIE, value, max_age_s, secure=secure))

    def _page(
        self,
        next_page: str,
        signed_in: bool = False,
        *,
        error: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> HTMLResponse:
        page = plain_page("login.html", next=next_page, signed_in=signed_in, error=error)
        return HTMLResponse(page, status, {**NEVER_STORED, **(headers or {})})


def safe_next(asked: str) -> str:
    """Where to go after signing in: a page of this arena, never another site."""
    plain = asked.startswith("/") and not asked.startswith(("//", "/\\")) and "\\" not in asked
    return asked if plain and asked.isprintable() else HOME


def _in_words(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
