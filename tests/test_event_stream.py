"""A page's stream of events says what Gradio's own would, and ends with its events or its page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import orjson
import pytest
from gradio.queueing import Event
from gradio.server_messages import (
    BaseMessage,
    CloseStreamMessage,
    HeartbeatMessage,
    ProcessCompletedMessage,
    ProcessGeneratingMessage,
    ProgressMessage,
    ProgressUnit,
)

from arena.ui.event_stream import PATH, EventStream
from arena.ui.lean import LeanBlocks
from arena.web.events import session_of_stream

SESSION = "s1"


@pytest.fixture
async def page() -> LeanBlocks:
    """A page with a queue, and a session that has one event."""
    demo: LeanBlocks
    with LeanBlocks(analytics_enabled=False) as demo:
        gr.Button().click(lambda: None)
    demo.queue()
    demo._queue.pending_messages_per_session[SESSION] = asyncio.Queue()
    demo._queue.pending_event_ids_session[SESSION] = {"e1"}
    return demo


class Browser:
    """One request for the stream, and what came back."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.left = asyncio.Event()
        self.gone: list[str] = []

    async def receive(self) -> dict[str, Any]:
        """Nothing, until the browser leaves."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Keep what is told."""
        if message["type"] == "http.response.body":
            self.heard.put_nowait(orjson.loads(message["body"].removeprefix(b"data: ")))
            if not message["more_body"]:
                self.heard.put_nowait(None)

    @asynccontextmanager
    async def asking(self, page: LeanBlocks, session: str = SESSION) -> AsyncIterator["asyncio.Task[None]"]:
        """The stream, while it runs."""
        scope = {"type": "http", "path": PATH, "query_string": f"session_hash={session}".encode()}
        task = asyncio.create_task(EventStream(page, self.gone.append)(scope, self.receive, self.send))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


MESSAGES: list[BaseMessage] = [
    HeartbeatMessage(),
    ProgressMessage(event_id="e1", progress_data=[ProgressUnit(index=1, length=2)]),
    ProcessGeneratingMessage(event_id="e1", output={"data": [[["append", [], "x"]]]}, success=True),
    ProcessCompletedMessage(event_id="e1", output={"data": []}, success=True),
]


async def test_messages_are_spelled_as_gradio_spells_them_and_the_last_event_closes_the_stream(
    page: LeanBlocks,
) -> None:
    browser = Browser()
    for message in MESSAGES:
        page._queue.pending_messages_per_session[SESSION].put_nowait(message)  # type: ignore[arg-type]

    async with browser.asking(page) as stream:
        await asyncio.wait_for(stream, 10)

    told = [browser.heard.get_nowait() for _ in range(browser.heard.qsize())]
    spelled = [orjson.loads(orjson.dumps(message.model_dump())) for message in (*MESSAGES, CloseStreamMessage())]
    assert told == [*spelled, None]
    assert browser.gone == []


async def test_a_stream_stays_open_while_another_event_of_the_page_runs(page: LeanBlocks) -> None:
    page._queue.pending_event_ids_session[SESSION] = {"e1", "e2"}
    waiting = page._queue.pending_messages_per_session[SESSION]
    browser = Browser()
    async with browser.asking(page) as stream:
        for event in ("e1", "e2"):
            assert not stream.done()
            waiting.put_nowait(ProcessCompletedMessage(event_id=event, output={}, success=True))
            told = await asyncio.wait_for(browser.heard.get(), 10)
            assert told is not None
            assert told["event_id"] == event
        await asyncio.wait_for(stream, 10)


async def test_the_events_of_a_page_that_is_gone_are_ended_and_its_next_stream_hears_only_its_own(
    page: LeanBlocks,
) -> None:
    (function,) = page.fns.values()
    event = Event(session_hash=SESSION, fn=function, request=None, username=None)  # type: ignore[arg-type]
    page._queue.active_jobs = [[event]]
    browser = Browser()
    async with browser.asking(page) as stream:
        browser.left.set()
        await asyncio.wait_for(stream, 10)

    assert browser.gone == [SESSION]
    assert not event.alive
    assert page._queue.pending_messages_per_session[SESSION].empty()


async def test_a_session_that_nobody_knows_is_told_so(page: LeanBlocks) -> None:
    browser = Browser()
    async with browser.asking(page, "stranger") as stream:
        await asyncio.wait_for(stream, 10)
    told = browser.heard.get_nowait()
    assert told is not None
    assert told["session_not_found"] is True


async def test_of_two_names_the_stream_hears_for_the_one_that_the_gate_looked_at(page: LeanBlocks) -> None:
    asked = f"{SESSION}&session_hash=mine"
    assert session_of_stream(PATH, f"session_hash={asked}".encode()) == "mine"
    browser = Browser()
    async with browser.asking(page, asked) as stream:
        await asyncio.wait_for(stream, 10)
    told = browser.heard.get_nowait()
    assert told is not None
    assert told["session_not_found"] is True
