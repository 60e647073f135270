"""The stream in which a page hears of its events: Gradio's own protocol, at a third of what Gradio's route costs.

A frame of a battle passes here once for each visitor and tenth of a second. Gradio's route asks before each message
whether the browser is still there, sets a timer, copies the message, and hands it through two more applications.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import orjson
from gradio.queueing import Queue
from gradio.server_messages import (
    BaseMessage,
    CloseStreamMessage,
    HeartbeatMessage,
    ProcessCompletedMessage,
    UnexpectedErrorMessage,
)
from gradio.utils import get_heartbeat_rate
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.types import Message, Receive, Scope, Send

from arena.ui.lean import LeanBlocks

PATH = "/gradio_api/queue/data"

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}


class EventStream:
    """Pure ASGI: tells one session's messages until its events are over or its page is gone."""

    def __init__(self, blocks: LeanBlocks, leave: Callable[[str], None]) -> None:
        """`leave` is told the session of each page that closes its stream before its events are over."""
        self._blocks = blocks
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one page's request for its events."""
        # Of several names the one that the gate looked at: another one could be another visitor's.
        session = QueryParams(scope["query_string"]).get("session_hash", "")
        queue = self._blocks._queue
        await send(_HEAD)
        if session not in queue.pending_messages_per_session:
            lost = UnexpectedErrorMessage(message="This page is no longer known.", session_not_found=True)
            await _tell(send, lost, last=True)
            return
        line = _Line(send, queue.pending_messages_per_session[session])
        self._blocks.lines[session] = line
        watching = [asyncio.create_task(work) for work in (_tell_when_gone(receive, line), _beat(line))]
        try:
            if not await _tell_all(line, queue, session):
                self._leave(session)
        finally:
            if self._blocks.lines.get(session) is line:
                del self._blocks.lines[session]
            for task in watching:
                task.cancel()


async def _tell_all(line: "_Line", queue: Queue, session: str) -> bool:
    """Tell what there is to tell, until the session's events are over, its page is gone or the arena stops.

    Returns whether the page stayed to its last message.
    """
    try:
        while (message := await line.next()) is not None and not queue.stopped:
            await _tell(line.send, message)
            if isinstance(message, ProcessCompletedMessage) and not _expects_more(queue, session, message.event_id):
                await _tell(line.send, CloseStreamMessage(), last=True)
                return True
        if queue.stopped:
            await _tell(line.send, UnexpectedErrorMessage(message="The arena was stopped."), last=True)
    except asyncio.CancelledError:
        await queue.clean_events(session_hash=session)
        raise
    await queue.clean_events(session_hash=session)
    return queue.stopped


class _Line:
    """One page's stream while it is open: takes frames at once while nothing else waits to be told."""

    def __init__(self, send: Send, waiting: "asyncio.Queue[Any]") -> None:
        self.send = send
        self.waiting = waiting
        self._idle = False

    async def next(self) -> Any:  # noqa: ANN401 - a message, or `None` once the page is gone
        """The next message that waits."""
        self._idle = True
        try:
            return await self.waiting.get()
        finally:
            self._idle = False

    def say(self, frame: bytes) -> bool:
        """Send a frame without waking the stream's own task; `False` where it has to wait its turn, or for the page.

        A task's turn for each frame took a tenth of what streaming costs. What would wait for a slow browser is given
        up before anything of it was written.
        """
        if not self._idle or not self.waiting.empty():
            return False
        sending = cast("Coroutine[Any, Any, None]", self.send(_body(frame)))
        try:
            sending.send(None)
        except StopIteration:
            return True
        sending.close()
        return False


def _expects_more(queue: Queue, session: str, ended: str | None) -> bool:
    """Note that an event has ended; whether the session has others."""
    pending = queue.pending_event_ids_session.get(session, set())
    pending.discard(ended or "")
    return bool(pending)


async def _tell(send: Send, message: BaseMessage | bytes, *, last: bool = False) -> None:
    """Send a message; a frame of a running event comes spelled already."""
    spelled = message if isinstance(message, bytes) else orjson.dumps(vars(message), default=_spelled)
    await send(_body(spelled, last=last))


def _body(spelled: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": b"data: " + spelled + b"\n\n", "more_body": not last}


def _spelled(part: object) -> object:
    return part.model_dump() if isinstance(part, BaseModel) else str(part)


async def _tell_when_gone(receive: Receive, line: _Line) -> None:
    """Put `None` among the messages once the browser has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    line.waiting.put_nowait(None)


async def _beat(line: _Line) -> None:
    """Say now and then that the stream is alive, so that no proxy takes it for dead."""
    while True:
        await asyncio.sleep(get_heartbeat_rate())
        line.waiting.put_nowait(HeartbeatMessage())
