"""How long a connection may keep the arena waiting: clients that say nothing, half of something, or read nothing."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
"""Within this time a request's head must be there, from the connection's or the request's first byte."""
HEAD_BYTES = 64 * 1024
"""What of a request's head may come before its end does."""
UNREAD_S = 60.0
"""For so long a client may leave what was sent to it unread, before its connection is given up."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP with limits on a request's head, its time and its size; uvicorn itself waits for ever, and keeps all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._head_due: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._head_due = self.loop.call_later(HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Stop waiting when a request's head is there; wait for the rest of one that has begun."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._head_bytes = 0
            self._stop_waiting()
        elif self._between_requests:
            self._wait_for_the_rest(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_the_rest(self, came: int) -> None:
        self._head_bytes += came
        if self._head_bytes > HEAD_BYTES:
            self.transport.abort()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        self._head_due = None
        if self._between_requests:
            self.transport.abort()


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
