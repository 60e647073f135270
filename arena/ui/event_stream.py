"""The stream in which a page hears of its events: Gradio's own protocol, at a third of what Gradio's route costs.

A frame of a battle passes here once for each visitor and tenth of a second. Gradio's route asks before each message
whether the browser is still there, sets a timer, copies the message, and hands it through two more applications.
"""

import asyncio
from typing import Any

import gradio as gr
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
from starlette.types import Receive, Scope, Send

PATH = "/gradio_api/queue/data"

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}


class EventStream:
    """Pure ASGI: tells one session's messages until its events are over or its page is gone."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks

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
        waiting = queue.pending_messages_per_session[session]
        watching = [asyncio.create_task(_tell_when_gone(receive, waiting)), asyncio.create_task(_beat(waiting))]
        try:
            while (message := await waiting.get()) is not None and not queue.stopped:
                await _tell(send, message)
                if isinstance(message, ProcessCompletedMessage) and not _expects_more(queue, session, message.event_id):
                    await _tell(send, CloseStreamMessage(), last=True)
                    return
            if queue.stopped:
                await _tell(send, UnexpectedErrorMessage(message="The arena was stopped."), last=True)
            await queue.clean_events(session_hash=session)
        except asyncio.CancelledError:
            await queue.clean_events(session_hash=session)
            raise
        finally:
            for task in watching:
                task.cancel()


def _expects_more(queue: Queue, session: str, ended: str | None) -> bool:
    """Note that an event has ended; whether the session has others."""
    pending = queue.pending_event_ids_session.get(session, set())
    pending.discard(ended or "")
    return bool(pending)


async def _tell(send: Send, message: BaseMessage | bytes, *, last: bool = False) -> None:
    """Send a message; a frame of a running event comes spelled already."""
    spelled = message if isinstance(message, bytes) else orjson.dumps(vars(message), default=_spelled)
    body = b"data: " + spelled + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": not last})


def _spelled(part: object) -> object:
    return part.model_dump() if isinstance(part, BaseModel) else str(part)


async def _tell_when_gone(receive: Receive, waiting: "asyncio.Queue[Any]") -> None:
    """Put `None` among the messages once the browser has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.put_nowait(None)


async def _beat(waiting: "asyncio.Queue[Any]") -> None:
    """Say now and then that the stream is alive, so that no proxy takes it for dead."""
    while True:
        await asyncio.sleep(get_heartbeat_rate())
        waiting.put_nowait(HeartbeatMessage())
