"""Serve an ASGI application on a real socket, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from arena.web.server import address_of, bind, server_config


class _Announcing(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.listening.set()


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve `app`; gives its address, without a slash at the end."""
    server = _Announcing(server_config(app))
    with bind("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        if not server.listening.wait(60):
            raise RuntimeError("the server did not start")
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join(30)
