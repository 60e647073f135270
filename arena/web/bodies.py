"""Bodies of requests: read whole up to a limit, handed on, or thrown away."""

from collections.abc import MutableMapping
from typing import Any

from starlette.types import Message, Receive

MAX_BODY_BYTES = 256 * 1024
"""Enough for the longest challenge in any script; nothing else is ever sent."""


async def read_body(receive: Receive, most: int = MAX_BODY_BYTES) -> bytes | None:
    """The whole body, or `None` as soon as it grows beyond `most` bytes, whatever its headers said."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        if len(body) > most:
            return None
        more = message.get("more_body", False)
    return bytes(body)


async def throw_away(receive: Receive, most: int) -> None:
    """Read a body of up to `most` bytes and keep nothing of it: whoever sends many at once fills no memory."""
    more = True
    while more and most >= 0:
        message = await receive()
        most -= len(message.get("body", b""))
        more = message["type"] != "http.disconnect" and message.get("more_body", False)


def replaying(body: bytes, receive: Receive) -> Receive:
    """`receive` that gives the body once, then what really comes."""
    pending: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
