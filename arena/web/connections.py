"""What a connection may ask of the arena: none that says nothing, half of something or too much, or reads nothing."""

import asyncio
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from arena.web.streams import is_stream

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

HEAD_S = 10.0
"""Within this time a request's head must be there, from the connection's or the request's first byte."""
HEAD_BYTES = 64 * 1024
"""The largest head of a request, and the most that may come without bringing a request any further."""
MOST_PIPELINED = 64
"""So many requests may wait for the answer to another one on their connection; it is closed when these are answered."""
_AROUND_A_HEADER = 4
"""A colon, a space and the end of the line."""
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")
"""What a host's name, its address and its port are written with."""
_UPGRADE = re.compile(rb"(?<=\n)upgrade(?=[ \t]*:)", re.IGNORECASE)
UNREAD_S = 60.0
"""For so long a client may leave what was sent to it unread, before its connection is given up."""


class _RefusedError(Exception):
    """A request is refused as if it were no HTTP."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP with limits on a request's head, its time and its size; uvicorn itself waits for ever, and keeps all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._head_due: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._idle_bytes = 0
        self._went_on = False
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._head_due = self.loop.call_later(HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Stop waiting when a request's head is there; wait for the rest of one that has begun.

        A head, or what stands between the pieces of a body, is counted also while an answer to an earlier request is
        being sent. The body of a request that was answered already brings it further, and is not kept.
        """
        before, self._went_on = self.cycle, False
        super().data_received(data if self._in_body else _without_upgrade(data))
        if self.cycle is not before:
            self._stop_waiting()
        elif self._between_requests and self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_S, self._give_up)
        self._idle_bytes = 0 if self._went_on else self._idle_bytes + len(data)
        if self._idle_bytes > HEAD_BYTES:
            self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a client that will send no more have the answer that it waits for; the connection ends with that.

        Closing a page looks the same until something is sent to it. So a stream to a page ends here: the models behind
        it must stop at once. Whatever else is asked for is soon answered, if only to nobody.
        """
        if self._between_requests or self.cycle.more_body or self.pipeline or is_stream(self.cycle.scope["path"]):
            return False
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address, unless it is too long: of more than 64 kB the parser sees the wrong end."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or one that follows a body in chunks."""
        self._count_head(len(name) + len(value) + _AROUND_A_HEADER)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Answer, or let the request wait for the answers to those before it."""
        if len(self.pipeline) >= MOST_PIPELINED or not self._names_a_host():
            raise _RefusedError
        super().on_headers_complete()
        self._went_on = self._in_body = True
        if self.scope["http_version"] == "1.0":
            self.cycle.__class__ = _UnchunkedCycle

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        super().on_body(body)
        self._went_on = True

    def on_message_complete(self) -> None:
        """Take a body's end."""
        super().on_message_complete()
        self._went_on, self._in_body = True, False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. Whole requests that came before it are answered first; the connection ends there."""
        if self._between_requests:
            super().send_400_response(msg)
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        elif self.cycle.response_started or self.pipeline:
            self.transport.close()  # an answer is on its way: another one in its midst would be taken for a part of it
        else:
            super().send_400_response(msg)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _names_a_host(self) -> bool:
        """Whether the head says once whom it is for; a client of HTTP/1.0 need not."""
        hosts = [value for name, value in self.headers if name == b"host"]
        least = 0 if self.parser.get_http_version() == "1.0" else 1
        return least <= len(hosts) <= 1 and all(_HOST.fullmatch(host.strip()) for host in hosts)

    def _count_head(self, came: int) -> None:
        self._head_bytes += came
        if self._head_bytes >= HEAD_BYTES:
            raise _RefusedError

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self._head_due = None
        if self._between_requests:
            self.transport.abort()


class _UnchunkedCycle(RequestResponseCycle):
    """An answer to a client of HTTP/1.0, which knows no chunks: without a length, it ends with its connection."""

    _without_length = False

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self._without_length = b"content-length" not in names
            if self._without_length:
                self.chunked_encoding, self.expected_content_length = False, sys.maxsize
        elif message["type"] == "http.response.body" and self._without_length and not message.get("more_body", False):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def _without_upgrade(data: bytes) -> bytes:
    """What begins with a request's head, without its wish for another protocol, which a server may ignore.

    The parser would not read the request's body, and take that for the next request.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"X-Other", head) + end + rest if _UPGRADE.search(head) else data


def limit_unread(listener: socket.socket, seconds: float = UNREAD_S) -> None:
    """Let the system drop connections whose client reads nothing, or is gone without a word; where it can (Linux)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def allow_many_files() -> None:
    """Raise this process's limit of open files to what the system allows; each visitor is two or three of them."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
