"""The HTML of a page on its way out: only the scripts that the arena wrote into it may run."""

import gzip
import secrets
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send


def without_encodings(scope: Scope) -> Scope:
    """The request as one that takes no compressed answer, so that the answer can be read on its way out."""
    return {**scope, "headers": [header for header in scope["headers"] if header[0] != b"accept-encoding"]}


class NoncedPage:
    """A `send` that holds a page back until it is whole, then marks its scripts with a number used once.

    The page's content policy runs marked scripts only. A script that gets into the page later, from a model's answer or
    anywhere else, has no mark and does not run.
    """

    def __init__(self, send: Send, asked: Headers, policy: Callable[[str], str]) -> None:
        """`policy` turns the nonce into the page's Content-Security-Policy."""
        self._send = send
        self._zipped = "gzip" in asked.get("accept-encoding", "").lower()
        self._policy = policy
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Collect; at the end of the body send everything."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        headers = MutableHeaders(scope=self._start)
        body = bytes(self._body)
        if headers.get("content-type", "").startswith("text/html"):
            nonce = secrets.token_urlsafe(16)
            headers["Content-Security-Policy"] = self._policy(nonce)
            body = body.replace(b"<script", b'<script nonce="%s"' % nonce.encode())
            if self._zipped:
                body = gzip.compress(body, 5)
                headers["Content-Encoding"] = "gzip"
            headers["Vary"] = "Accept-Encoding"
        headers["Content-Length"] = str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})
