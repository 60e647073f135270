"""The training files that the Data page lists, to be fetched by the operator and by nobody else."""

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from arena.config import Settings
from arena.preferences.shelf import fetchable
from arena.web.plain import NEVER_STORED
from arena.web.session import Sessions

ADDRESS = "/data/files"


class TrainingFiles:
    """One route; a name that the page does not list is no file, so no path can be asked for."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(ADDRESS + "/{name}", self.fetch, methods=["GET"], response_model=None)
        return router

    async def fetch(self, name: str, request: Request) -> Response:
        """Stream a training file, its manifest or its line map."""
        if not self._sessions.is_operator(request.headers):
            return PlainTextResponse("Sign in as the operator at /login?next=/data first.\n", 401, NEVER_STORED)
        path = (await asyncio.to_thread(fetchable, self._settings)).get(name)
        if path is None:
            return PlainTextResponse(
                "There is no such file; the Data page lists those that there are.\n", 404, NEVER_STORED
            )
        return FileResponse(path, headers=NEVER_STORED, filename=name, media_type="application/octet-stream")
