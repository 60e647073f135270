"""An open page's heartbeat says what Gradio's own would, ends what ran for the page, and takes little room."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio.queueing import Event
from gradio.state_holder import StateHolder
from starlette.types import ASGIApp

from arena.config import load_settings
from arena.ui.heartbeat import PREFIX, Heartbeat
from arena.web.gate import Gate
from arena.web.session import CookieRules, Sessions
from arena.web.streams import PageStreams
from tests.serving import served

SESSION = "s1"


def some_page() -> gr.Blocks:
    """A page that has a queue, and something to do at its end."""
    demo: gr.Blocks
    with gr.Blocks(analytics_enabled=False) as demo:
        gr.Button().click(lambda: None)
        demo.unload(lambda: None)
    demo.queue()
    return demo


def gradio_alone() -> ASGIApp:
    """Gradio's own route."""
    with warnings.catch_warnings():
        # Gradio warns that it turns off what was never asked for.
        warnings.filterwarnings("ignore", message="SSR mode is not supported", category=UserWarning)
        app: ASGIApp = gr.mount_gradio_app(FastAPI(), some_page(), path="/", ssr_mode=False)
    return app


def first_words(address: str) -> tuple[int, str, str]:
    """Status, kind and first line of an open page's heartbeat."""
    with httpx.stream("GET", f"{address}{PREFIX}abc") as page:
        return page.status_code, page.headers["content-type"], next(page.iter_lines())


async def test_a_heartbeat_begins_as_gradio_alone_begins_it() -> None:
    for app in (gradio_alone(), Heartbeat(some_page(), _nothing)):
        with served(app) as address:
            assert await asyncio.to_thread(first_words, address) == (
                200,
                "text/event-stream; charset=utf-8",
                "data: ALIVE",
            )


class Page:
    """An open page, and what was said to it."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        self.gone: list[str] = []

    async def receive(self) -> dict[str, Any]:
        """Nothing, until the browser leaves."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Keep what is said."""
        if message["type"] == "http.response.body":
            self.heard.put_nowait(message["body"])

    @asynccontextmanager
    async def opened(self, blocks: gr.Blocks) -> AsyncIterator["asyncio.Task[None]"]:
        """The heartbeat, from its first beat on."""
        scope = {"type": "http", "path": f"{PREFIX}{SESSION}"}
        task = asyncio.create_task(Heartbeat(blocks, self.gone.append)(scope, self.receive, self.send))
        try:
            assert await asyncio.wait_for(self.heard.get(), 10) == b"data: ALIVE\n\n"
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_it_beats_for_as_long_as_the_page_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_HEARTBEAT_INTERVAL", "0.01")
    page = Page()
    async with page.opened(some_page()) as beating:
        for _ in range(3):
            assert await asyncio.wait_for(page.heard.get(), 10) == b"data: ALIVE\n\n"
        assert page.gone == []

        page.left.set()
        await asyncio.wait_for(beating, 10)
    assert page.gone == [SESSION]


@pytest.mark.parametrize("stopped", [False, True], ids=["the page leaves", "the arena stops"])
async def test_with_a_page_ends_what_ran_for_it_and_nothing_else(*, stopped: bool) -> None:
    blocks, page = some_page(), Page()
    StateHolder().set_blocks(blocks)  # type: ignore[no-untyped-call]
    events = {name: _event(blocks, name) for name in (SESSION, "another")}
    async with page.opened(blocks) as beating:
        if stopped:
            beating.cancel()
        else:
            page.left.set()
        await asyncio.wait({beating}, timeout=10)

    assert page.gone == [SESSION]
    ended = {name: (event.closed, event.signal.is_set()) for name, event in events.items()}
    assert ended == {SESSION: (True, True), "another": (False, False)}
    closed = {name: blocks.state_holder[name].is_closed for name in events}
    assert closed == {SESSION: True, "another": False}


async def test_a_page_that_comes_back_is_not_taken_for_a_closed_one() -> None:
    blocks = some_page()
    StateHolder().set_blocks(blocks)  # type: ignore[no-untyped-call]
    blocks.state_holder[SESSION].is_closed = True
    async with Page().opened(blocks):
        assert not blocks.state_holder[SESSION].is_closed


def _event(blocks: gr.Blocks, session: str) -> Event:
    """An event that runs for a session."""
    function = next(iter(blocks.fns.values()))
    event = Event(session_hash=session, fn=function, request=None, username=None)  # type: ignore[arg-type]
    blocks._queue.event_ids_to_events[event._id] = event
    blocks._queue.pending_event_ids_session[session] = {event._id}
    assert not blocks.state_holder[session].is_closed
    return event


async def test_an_open_page_is_one_task_behind_the_gate_and_none_of_what_stands_before_a_page() -> None:
    asked: list[str] = []

    async def pages(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    gate = Gate(
        pages,
        sessions=Sessions(b"a secret", "open sesame", load_settings()),
        cookies=CookieRules(),
        streams=PageStreams(),
        page_traffic=Heartbeat(some_page(), _nothing),
        hops=0,
    )
    visitors = [Page() for _ in range(5)]
    before = len(asyncio.all_tasks())
    tasks = [asyncio.create_task(_ask(gate, page, number)) for number, page in enumerate(visitors)]
    for page in visitors:
        await asyncio.wait_for(page.heard.get(), 10)

    assert len(asyncio.all_tasks()) - before == len(visitors)
    assert asked == []
    for page in visitors:
        page.left.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def _ask(gate: Gate, page: Page, number: int) -> None:
    scope = {"type": "http", "method": "GET", "path": f"{PREFIX}page{number}", "query_string": b"", "headers": []}
    await gate(scope, page.receive, page.send)


def _nothing(session: str) -> None:
    del session
