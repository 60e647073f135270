"""The connections of Vertex AI's SDK, which speaks through httpx."""

import ssl
from functools import cache

import httpx

from arena.providers.answer_bodies import Connections, errors_as


class VertexTransport(httpx.AsyncBaseTransport):
    """Sends over aiohttp, whose reading costs a fraction of httpx's own; see `answer_bodies`."""

    def __init__(self) -> None:
        """May be called in any thread: reading the machine's certificates takes a while."""
        self._connections = Connections(_certificates())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; of an answer that is wanted the SDK is told without a word in it."""
        with errors_as(httpx.ConnectError, httpx.ReadError):
            headers, body = request.headers.multi_items(), await request.aread()
            reply = await self._connections.ask(request.method, str(request.url), headers, body)
        return httpx.Response(reply.status, headers=list(reply.headers), content=reply.content)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust: read once for all regions and projects."""
    return httpx.create_ssl_context()
