"""Scripts and styles as browsers receive them: whole, whoever asked for them first and however that one left."""

import socket
import threading
from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from arena.web.assets import AssetCache
from tests.serving import served

SCRIPT = [b"export const first = 1;\n", b"export const last = 2;\n"]


class SlowFiles:
    """Sends a script's first half at once and its second when told, unless it hears that the browser has gone."""

    def __init__(self) -> None:
        self.half_sent = threading.Event()
        self.browser_gone = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            await Response("here")(scope, receive, send)
        elif scope["type"] == "http":
            await StreamingResponse(self._script(Request(scope, receive)), media_type="text/javascript")(
                scope, receive, send
            )

    async def _script(self, request: Request) -> AsyncIterator[bytes]:
        yield SCRIPT[0]
        self.half_sent.set()
        while not self.browser_gone.is_set():
            if await request.is_disconnected():
                return
        yield SCRIPT[1]


def test_a_browser_that_leaves_halfway_does_not_leave_half_a_script_to_the_next() -> None:
    files = SlowFiles()
    with served(AssetCache(files)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as impatient:
            impatient.sendall(b"GET /assets/page-AbCd1234.js HTTP/1.1\r\nHost: arena\r\n\r\n")
            assert files.half_sent.wait(10)
        for _ in range(2):  # by the second answer the server has heard that the first browser closed
            httpx.get(address)
        files.browser_gone.set()

        assert httpx.get(f"{address}/assets/page-AbCd1234.js").content == b"".join(SCRIPT)
