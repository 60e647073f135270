"""The connections of OpenAI's SDK, which speaks through httpx2."""

import ssl
from functools import cache

import httpx2

from arena.providers.answer_bodies import Connections, errors_as


class OpenAITransport(httpx2.AsyncBaseTransport):
    """Sends over aiohttp, whose reading costs a fraction of httpx2's own; see `answer_bodies`."""

    def __init__(self, connect_s: float) -> None:
        """`connect_s` is how long making a connection may take.

        May be called in any thread: reading the machine's certificates takes a while.
        """
        self._connections = Connections(_certificates(), connect_s)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request`; of an answer that is wanted the SDK is told without a word in it."""
        with errors_as(httpx2.ConnectError, httpx2.ReadError):
            headers, body = request.headers.multi_items(), await request.aread()
            reply = await self._connections.ask(request.method, str(request.url), headers, body)
        return httpx2.Response(reply.status, headers=list(reply.headers), content=reply.content)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust: read once for all servers and keys."""
    return httpx2.create_ssl_context()
