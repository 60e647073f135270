"""What the arena has of a visitor, shown to that visitor, who may have it forgotten."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from arena.battle import Arena
from arena.config import Settings
from arena.database import Database
from arena.forgetting import holdings_of
from arena.web.plain import NEVER_STORED, plain_page
from arena.web.session import ACCOUNT, VOTER_COOKIE, CookieRules, Sessions, is_https


class MyData:
    """The page of a visitor's own data. Whose it is, the signed cookie says and nothing else."""

    def __init__(
        self,
        arena: Arena,
        database: Database,
        sessions: Sessions,
        cookies: CookieRules,
        settings: Settings,
        forgotten: Callable[[str], None],
    ) -> None:
        """`forgotten` hears the id of a voter who was forgotten, and may block."""
        self._arena = arena
        self._database = database
        self._sessions = sessions
        self._cookies = cookies
        self._keeps = settings.forgotten_votes == "kept"
        self._hops = settings.forwarded_hops
        self._forgotten = forgotten

    def router(self) -> APIRouter:
        """Every route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/my-data", self.show, methods=["GET"])
        router.add_api_route("/my-data", self.forget, methods=["POST"])
        return router

    async def show(self, request: Request) -> Response:
        """How much is stored, and the way to have it forgotten."""
        return await self._page(request)

    async def forget(self, request: Request) -> Response:
        """Forget the visitor who ticked the box, and take the cookie away."""
        form = parse_qs((await request.body()).decode(errors="replace"))
        voter_id = self._sessions.voter_id(request.headers)
        if voter_id is None:
            return await self._page(request)
        if form.get("sure") != ["yes"]:
            return await self._page(request, 400, error="Tick the box first: this cannot be undone.")
        peer = request.client.host if request.client else ""
        await self._arena.forget(self._sessions.voter_from_headers(request.headers, peer, None))
        await self._database.run(self._forgotten, voter_id)
        answer = self._rendered(forgotten=True, kept=self._keeps)
        secure = is_https(request.headers, request.url.scheme, self._hops)
        answer.headers.append("Set-Cookie", self._cookies.header(VOTER_COOKIE, "", 0, secure=secure))
        return answer

    async def _page(self, request: Request, status: int = 200, *, error: str = "") -> HTMLResponse:
        voter_id = self._sessions.voter_id(request.headers)
        holdings = None if voter_id is None else await self._database.run(holdings_of, self._database, voter_id)
        signed_in = (voter_id or "").startswith(ACCOUNT)
        return self._rendered(status, holdings=holdings, signed_in=signed_in, keeps=self._keeps, error=error)

    def _rendered(self, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - a template's values
        return HTMLResponse(plain_page("my_data.html", **values), status, NEVER_STORED)
