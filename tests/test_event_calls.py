"""What a page sends is taken as Gradio's own routes take it, and answered in the same words."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route

from arena.ui.event_calls import CALL, JOIN, EventCalls
from arena.ui.lean import LeanBlocks

SESSION = {"session_hash": "s1"}


async def _greet(name: str, request: gr.Request) -> tuple[str, str]:
    if name == "nobody":
        raise gr.Error("Say who you are.", print_exception=False)
    if name == "boom":
        raise KeyError(name)
    return f"Hello {name} of {request.session_hash}", request.headers["x-from"]


async def _count() -> AsyncGenerator[str]:
    yield "one"


class Page:
    """A page with an event that is answered at once, and one that has a queue."""

    def __init__(self) -> None:
        self.told: list[BaseException] = []
        with LeanBlocks(analytics_enabled=False, tell_mistake=self.told.append) as self.demo:
            name, text, origin = gr.Textbox(), gr.Markdown(), gr.Markdown()
            greeting = gr.Button().click(_greet, name, [text, origin], queue=False)
            counting = gr.Button().click(_count, None, text, concurrency_limit=None)
        self.greet, self.count = (
            next(number for number, function in self.demo.fns.items() if function.fn is event.fn)
            for event in (greeting, counting)
        )
        self.demo.queue(api_open=False)
        self.demo._queue.start()
        calls = EventCalls(self.demo)
        calls.app = self.demo.app
        routes = [Route(JOIN, calls.join, methods=["POST"]), Route(CALL, calls.call, methods=["POST"])]
        self.ours = Starlette(routes=routes)
        self.gradios = gr.mount_gradio_app(FastAPI(), self.demo, path="/", show_error=False, ssr_mode=False)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    page = Page()
    yield page
    page.demo._queue.close()


async def send(app: Any, path: str, **sent: Any) -> httpx.Response:
    """One request of a page."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://arena") as client:
        return await client.post(path, headers={"x-from": "a browser"}, **sent)


def _lasting(answer: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = answer.json()
    return {name: value for name, value in told.items() if "duration" not in name}


@pytest.mark.parametrize("name", ["Anna", "", None, "nobody"])
async def test_an_event_is_answered_as_by_gradios_own_route(page: Page, name: str | None) -> None:
    event = {"data": [name], "fn_index": page.greet, "trigger_id": 3, **SESSION}
    ours, gradios = await send(page.ours, CALL, json=event), await send(page.gradios, CALL, json=event)
    assert ours.status_code == gradios.status_code == (500 if name == "nobody" else 200)
    assert _lasting(ours) == _lasting(gradios)


async def test_an_error_that_nobody_expected_is_told_the_operator_and_not_the_page(
    page: Page, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who tells it leaves out what the visitor sent; printed, it would be in the log."""
    for name, told in (("nobody", []), ("boom", [KeyError])):
        answer = await send(page.ours, CALL, json={"data": [name], "fn_index": page.greet, **SESSION})
        assert answer.status_code == 500
        assert [type(error) for error in page.told] == told
        assert "boom" not in answer.text
    assert capfd.readouterr() == ("", "")


async def test_an_event_with_a_queue_is_joined_and_never_answered_at_once(page: Page) -> None:
    event = {"data": [], "fn_index": page.count, **SESSION}
    assert (await send(page.ours, CALL, json=event)).status_code == 404
    joined = await send(page.ours, JOIN, json=event)
    assert joined.status_code == 200
    assert joined.json()["event_id"] in page.demo._queue.pending_event_ids_session["s1"]


@pytest.mark.parametrize(
    "sent",
    [
        {"content": b""},
        {"content": b"{"},
        {"content": b"\xff"},
        {"json": []},
        {"json": {"data": "text", "fn_index": 0, **SESSION}},
        {"json": {"data": [], **SESSION}},
        {"json": {"data": [], "fn_index": True, **SESSION}},
        {"json": {"data": [], "fn_index": "0", **SESSION}},
        {"json": {"data": [], "fn_index": 99_999, **SESSION}},
        {"json": {"data": [], "fn_index": -1, **SESSION}},
        {"json": {"data": [], "fn_index": 2**70, **SESSION}},
    ],
)
async def test_what_is_no_event_is_refused_in_a_sentence(page: Page, sent: dict[str, Any]) -> None:
    for path in (CALL, JOIN):
        answer = await send(page.ours, path, **sent)
        assert (answer.status_code, answer.json()) == (400, {"detail": "The event cannot be read: reload the page."})


async def test_an_event_of_no_page_joins_no_queue(page: Page) -> None:
    answer = await send(page.ours, JOIN, json={"data": [], "fn_index": page.count})
    assert answer.status_code == 400


async def test_nothing_joins_a_queue_that_has_stopped(page: Page) -> None:
    page.demo._queue.close()
    answer = await send(page.ours, JOIN, json={"data": [], "fn_index": page.count, **SESSION})
    assert answer.status_code == 503
    assert "please come back" in answer.json()["detail"]
