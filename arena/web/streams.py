"""The event streams that are open to pages: counted, and ended when the arena stops."""

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.web.addresses import EVENTS, HEARTBEAT


def is_stream(path: str) -> bool:
    """Whether the answer to `path` goes on for as long as the page is open, or an event runs."""
    return path == EVENTS or path.startswith(HEARTBEAT)


@dataclass(slots=True)
class _Answer:
    """How far an answer got, so that it can be ended properly."""

    send: Send
    started: bool = False
    ended: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
        else:
            self.ended = not message.get("more_body", False)
        await self.send(message)


class PageStreams:
    """Every stream of this process. Used from the event loop only."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[object], str] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._open)

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let `app` answer with a stream, until it is done or the arena stops."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an ASGI application runs in a task")
        answer = _Answer(send)
        self._open[task] = scope["path"]
        try:
            await app(scope, receive, answer)
        except asyncio.CancelledError:
            if not self._closing:
                raise
            task.uncancel()
        finally:
            del self._open[task]
        if answer.started and not answer.ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def close(self, patience_s: float = 1.0) -> None:
        """End every stream; those that carry an event's last frames get a moment to do so."""
        self._closing = True
        carrying = [task for task, path in self._open.items() if path == EVENTS]
        if carrying:
            await asyncio.wait(carrying, timeout=patience_s)
        for task in list(self._open):
            task.cancel()
