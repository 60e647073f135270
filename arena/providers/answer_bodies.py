"""Answers over aiohttp, kept from the SDKs' own reading: the SDK builds, signs and sends a request, and knows refusals.

An SDK takes a large part of a millisecond for each token, and its client's layers as much again. The body of an answer
that has begun is left to the provider, which lets it gather: what comes meanwhile waits in the system, so that neither
the event loop nor aiohttp wakes up for each token.
"""

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from arena.errors import FailureKind, ProviderError
from arena.providers.base import Delta, Gathering
from arena.providers.failures import failure
from arena.providers.reading import AnswerSoFar, EventReader

_TAIL_S = 2.0
"""How long an answer that has its finish reason is read on, for its usage and for a connection that can be kept."""
_HOSTS = 64
"""For so many hosts it is remembered which proxy leads to them."""
_BODY_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""What aiohttp has undone, so that the SDK's client must not undo it again."""


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

    async def gather(self, seconds: float) -> None:
        """Leave what comes within `seconds` to the system, to be read at once afterwards."""
        connection = self.response.connection if self.response else None
        transport = connection.transport if connection else None
        if transport is None:
            return  # the body has ended
        with suppress(RuntimeError, NotImplementedError):  # a connection that is closing, or that cannot wait
            transport.pause_reading()
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(RuntimeError, NotImplementedError):
                transport.resume_reading()

    def close(self) -> None:
        """Hang up, unless the body has been read to its end: that connection is kept."""
        if self.response is not None:
            self.response.close()


async def deltas_of(
    body: AnswerBody, events: EventReader, answer: AnswerSoFar, gathering: Gathering
) -> AsyncGenerator[Delta]:
    """What the body's events add to `answer`, as it arrives; gathered once text came.

    What goes wrong after the finish reason no longer matters, so it ends quietly there. Until then raises what
    `AnswerBody.read` and `AnswerSoFar.read` do.
    """
    while data := await _next_bytes(body, answer):
        begun = answer.begun  # a stream that breaks right after its first piece is found out at once
        for delta in answer.gather(events.feed(data)):
            yield delta
        if begun and answer.finish_reason is None:
            await body.gather(gathering.seconds())
    for delta in answer.gather(events.close()):
        yield delta


async def _next_bytes(body: AnswerBody, answer: AnswerSoFar) -> bytes:
    """What has come; nothing at the end, and where a finished answer's body does not end well."""
    if answer.finish_reason is None:
        return await body.read()
    with suppress(TimeoutError, ProviderError):
        async with asyncio.timeout(_TAIL_S):
            return await body.read()
    return b""


wanted_answer: ContextVar[AnswerBody | None] = ContextVar("wanted_answer", default=None)
"""Where the body of the answer goes that the running task asks an SDK for; without one the SDK reads it."""


@contextmanager
def wanting(body: AnswerBody) -> Iterator[None]:
    """Have the answer to what is asked within go into `body`."""
    asked = wanted_answer.set(body)
    try:
        yield
    finally:
        wanted_answer.reset(asked)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an SDK's client is told of a reply."""

    status: int
    headers: Sequence[tuple[str, str]]
    content: bytes
    """Empty where the body is somebody else's."""


class Connections:
    """aiohttp's connections to any number of hosts; without retries, redirects and deadlines of their own."""

    def __init__(self, certificates: ssl.SSLContext, connect_s: float | None = None) -> None:
        """`connect_s` is how long making a connection may take."""
        self._certificates = certificates
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None
        self._proxy_for = lru_cache(_HOSTS)(_proxy_for)  # the environment is that of the first request

    async def ask(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        """Send a request; the body of an answer that is wanted goes there, every other one into the reply."""
        response = await self._send(method, url, headers, body)
        kept = [(name, value) for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS]
        wanted = wanted_answer.get()
        if wanted is not None and response.status == 200:
            wanted.response = response
            return Reply(200, kept, b"")
        async with response:
            return Reply(response.status, kept, await response.read())

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> aiohttp.ClientResponse:
        if self._session is None:  # belongs to the event loop, so it is made here
            connector = aiohttp.TCPConnector(limit=0, ssl=self._certificates)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        address = URL(url, encoded=True)
        return await self._session.request(
            method,
            address,
            headers=headers,
            data=body or None,
            allow_redirects=False,
            proxy=self._proxy_for(address.scheme, address.host or ""),
        )


def _proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the environment names: aiohttp's own way reads .netrc as well, which is not wanted."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return None if proxy is None or urllib.request.proxy_bypass(host) else proxy


@contextmanager
def errors_as(connect_error: type[Exception], read_error: type[Exception]) -> Iterator[None]:
    """Let aiohttp's errors be those that an SDK's client may raise."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        raise connect_error(str(error)) from error
    except (aiohttp.ClientError, HttpProcessingError) as error:
        raise read_error(f"{type(error).__name__}: {error}") from error
