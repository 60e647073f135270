"""Vertex AI's connections: httpx's interface for the SDK over aiohttp, and answers kept from the SDK's own reading.

google-genai builds each request, signs it and knows refusals. The body of an answer that was begun is left to the
provider: the SDK takes a large part of a millisecond for each token and gives no way to close what it reads.
"""

import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from arena.errors import FailureKind
from arena.providers.failures import failure

_BODY_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""What aiohttp has undone, so that httpx must not undo it again."""


@dataclass(slots=True)
class AnswerBody:
    """The body of one answer, as it comes; to be closed by whoever reads it."""

    response: aiohttp.ClientResponse | None = None
    """Set once the platform has said 200."""

    @property
    def content_type(self) -> str:
        """What the platform calls it."""
        return self.response.content_type if self.response else "no answer"

    async def read(self) -> bytes:
        """Everything that has come since the last reading, at least one byte; nothing at the end.

        Raises `ProviderError` where the connection breaks.
        """
        if self.response is None:
            return b""
        try:
            return await self.response.content.readany()
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise failure(FailureKind.CONNECTION, f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Hang up, unless the body has been read to its end: that connection is kept."""
        if self.response is not None:
            self.response.close()


wanted_answer: ContextVar[AnswerBody | None] = ContextVar("wanted_answer", default=None)
"""Where the body of the answer goes that the running task asks the SDK for; without one the SDK reads it."""


class VertexTransport(httpx.AsyncBaseTransport):
    """Sends over aiohttp, whose reading costs a fraction of httpx's own; without retries, redirects and deadlines."""

    def __init__(self) -> None:
        """May be called in any thread: reading the machine's certificates takes a while."""
        self._certificates: ssl.SSLContext = httpx.create_ssl_context()
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; an answer that is wanted goes there, and the SDK is told of one without a word in it."""
        with _httpx_errors():
            response = await self._send(request)
            headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS]
            body = wanted_answer.get()
            if body is not None and response.status == httpx.codes.OK:
                body.response = response
                return httpx.Response(httpx.codes.OK, headers=headers, content=b"")
            async with response:
                return httpx.Response(response.status, headers=headers, content=await response.read())

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _send(self, request: httpx.Request) -> aiohttp.ClientResponse:
        if self._session is None:  # belongs to the event loop, so it is made here
            connector = aiohttp.TCPConnector(limit=0, ssl=self._certificates)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return await self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=request.headers.multi_items(),
            data=await request.aread() or None,
            allow_redirects=False,
            proxy=_proxy_for(request.url),
        )


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for `url`: aiohttp's own way reads .netrc as well, which is not wanted."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return None if proxy is None or urllib.request.proxy_bypass(url.host) else proxy


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Let aiohttp's errors be those that a transport of httpx may raise."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        raise httpx.ConnectError(str(error)) from error
    except (aiohttp.ClientError, HttpProcessingError) as error:
        raise httpx.ReadError(f"{type(error).__name__}: {error}") from error
