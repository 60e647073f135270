"""Scripts, styles and fonts: compressed once, kept in memory, and kept by browsers for as long as their name holds."""

import asyncio
import gzip
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import brotli
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_CACHED_BYTES = 64 * 1024 * 1024
"""The pages' files are a quarter of this; beyond it a file is passed on as it comes."""
_FOLDERS = ("/assets/", "/static/")
_HASHED_NAME = re.compile(r"-[A-Za-z0-9_-]{8}\.\w+$")
_COMPRESSIBLE = ("text/", "application/javascript", "application/json", "image/svg+xml", "font/ttf")
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class _Asset:
    """One file as it is sent, by content encoding; `identity` is always there."""

    bodies: MutableMapping[str, bytes]
    media_type: str

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(map(len, self.bodies.values()))


class AssetCache:
    """Pure ASGI: answers for files that it has seen once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._assets: dict[str, _Asset] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory, or ask the application and remember what it says."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "GET" or not path.startswith(_FOLDERS):
            await self._app(scope, receive, send)
            return
        asset = self._assets.get(path)
        if asset is None:
            status, headers, body = await _ask(self._app, scope)
            if status != 200:
                await Response(body, status, media_type=headers.get("content-type"))(scope, receive, send)
                return
            asset = await self._remember(path, headers.get("content-type", "application/octet-stream"), body)
        hashed = _HASHED_NAME.search(path) is not None or scope["query_string"].startswith(b"v=")
        await _answer(asset, Headers(scope=scope), hashed=hashed)(scope, receive, send)

    async def _remember(self, path: str, media_type: str, body: bytes) -> _Asset:
        asset = _Asset({"identity": body}, media_type)
        if media_type.startswith(_COMPRESSIBLE) and len(body) > 1000:
            asset.bodies["gzip"], asset.bodies["br"] = await asyncio.to_thread(_compressed, body)
        if path not in self._assets and self._bytes + asset.size <= MAX_CACHED_BYTES:
            self._assets[path] = asset
            self._bytes += asset.size
        return asset


def _compressed(body: bytes) -> tuple[bytes, bytes]:
    return gzip.compress(body, 6), brotli.compress(body, quality=6)


def _answer(asset: _Asset, asked: Headers, *, hashed: bool) -> Response:
    accepted = {part.split(";")[0].strip() for part in asked.get("accept-encoding", "").lower().split(",")}
    encoding = next((name for name in ("br", "gzip") if name in accepted and name in asset.bodies), "identity")
    headers = {"Cache-Control": _FOR_EVER if hashed else _FOR_A_DAY, "Vary": "Accept-Encoding"}
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
    return Response(asset.bodies[encoding], headers=headers, media_type=asset.media_type)


async def _ask(app: ASGIApp, scope: Scope) -> tuple[int, Headers, bytes]:
    """The application's whole answer, uncompressed and whatever part or version the browser asked for.

    The file is fetched for everybody, so the application never hears that this one browser has gone: it would stop
    halfway, and half a script would be kept for all who come later.
    """
    plain = {b"accept-encoding", b"range", b"if-none-match", b"if-modified-since", b"if-range"}
    inner = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in plain]}
    start: dict[str, Any] = {}
    body = bytearray()

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    unread: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def stay() -> Message:
        if not unread:
            await asyncio.Event().wait()
        return unread.pop()

    await app(inner, stay, collect)
    return start["status"], Headers(raw=start["headers"]), bytes(body)
