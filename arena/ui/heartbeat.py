"""The connection by which an open page tells that it is there: it stays for as long as the page does.

Gradio's route for the same address keeps four tasks and all layers before it, 35 kB more, for each page that is open:
with many visitors, most of what the arena's memory grew by. What is said, and what ends with a page, is the same here.
"""

import asyncio
import math
from collections.abc import Callable

import gradio as gr
from gradio.utils import get_heartbeat_rate
from starlette.types import Receive, Scope, Send

PREFIX = "/gradio_api/heartbeat/"

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}
_ALIVE = {"type": "http.response.body", "body": b"data: ALIVE\n\n", "more_body": True}


class Heartbeat:
    """Pure ASGI: says now and then that the arena is there; once the page is gone, ends what ran for it."""

    def __init__(self, blocks: gr.Blocks, leave: Callable[[str], None]) -> None:
        """`leave` is told the session of each page that is gone, or that is sent away because the arena stops."""
        self._blocks = blocks
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one page's request for its heartbeat."""
        session = scope["path"].removeprefix(PREFIX)
        self._mark(session, closed=False)
        try:
            await send(_HEAD)
            await send(_ALIVE)
            while not await _gone_within(get_heartbeat_rate(), receive):
                await send(_ALIVE)
        finally:
            self._close(session)

    def _close(self, session: str) -> None:
        """End the page's events and mark its session as Gradio does, so that both are soon forgotten."""
        queue = self._blocks._queue
        self._mark(session, closed=True)
        for event_id in queue.pending_event_ids_session.get(session, ()):
            if event := queue.event_ids_to_events.get(event_id):
                event.run_time = math.inf
                event.closed = True
                event.signal.set()
        self._leave(session)

    def _mark(self, session: str, *, closed: bool) -> None:
        """Note whether the page is there; one that had only lost its connection comes back."""
        sessions = self._blocks.state_holder.session_data
        if session in sessions:
            sessions[session].is_closed = closed


async def _gone_within(seconds: float, receive: Receive) -> bool:
    """Wait for so long, or until the browser has left."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
