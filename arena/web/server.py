"""Serving: the socket bound before anything else, and a stop that lets running battles finish."""

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn

from arena.errors import ConfigError
from arena.web.connections import PatientProtocol, allow_many_files, limit_unread

_CLOSING_S = 3
"""How long connections may take to close once the battles are drained."""
_IDLE_S = 75
"""How long a connection is kept for a further request: longer than proxies keep theirs (nginx and cloud balancers 60
seconds). Whoever closes first closes under a request that the other side has just sent, which no proxy sends again."""


def bind(host: str, port: int) -> socket.socket:
    """Reserve the address; nobody can connect before the server listens.

    Raises:
        ConfigError: another program has the port, or the address is not this machine's.

    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # The protocol must be named: asyncio sends without delay only where it is, else each answer waits 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"{host} is no address to listen on ({error.strerror}); see ARENA_HOST.") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    limit_unread(listener)  # every connection inherits it
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not_bound(host, port, error)) from error
    return listener


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program: stop it, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} may be opened by the administrator only: choose one above 1023 with --port."
    return f"{host}:{port} cannot be listened on ({error.strerror}); see ARENA_HOST and ARENA_PORT."


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port, *_ = listener.getsockname()
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - read, not bound
    return f"http://{local.get(host, f'[{host}]' if ':' in host else host)}:{port}"


class ArenaServer(uvicorn.Server):
    """A uvicorn server that drains before it closes: the first signal asks politely, a second one insists."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals into the event loop; unlike uvicorn's, a polite stop then ends with exit status 0."""
        loop = asyncio.get_running_loop()
        asked = (signal.SIGTERM, signal.SIGINT)
        for number in asked:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in asked:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain_and_exit())
        else:
            self.should_exit = self.force_exit = True

    async def _drain_and_exit(self) -> None:
        try:
            await self._drain()
        finally:
            self.should_exit = True


def make_server(app: Callable[..., Awaitable[None]], drain: Callable[[], Awaitable[None]]) -> ArenaServer:
    """A server for `app` that drains before it closes."""
    allow_many_files()
    return ArenaServer(server_config(app), drain)


def server_config(app: Callable[..., Awaitable[None]]) -> uvicorn.Config:
    """How `app` is served; silent about requests: the log never holds a visitor's address."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_CLOSING_S,
    )
