"""A running event is told to its page in the words of Gradio's own queue, whatever its frames change."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import gradio as gr
import orjson
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.server_messages import BaseMessage, ProcessCompletedMessage
from gradio.utils import diff
from starlette.requests import Request

from arena.ui.lean import LeanBlocks
from arena.ui.lean_sessions import LeanSessions
from arena.ui.panes import asked, said
from arena.ui.running_frames import UNCHANGED, RunningFrames

Frame = dict[str, Any]
_DIFFERENT = ("event_id", "duration", "average_duration", "avg_time", "cache_duration", "eta", "rank_eta", "title")

STORY: Sequence[Frame] = (
    {"pane": [], "text": "begun", "box": "typed"},
    {"pane": [said("Once")]},
    {"pane": [said("Once")], "text": "still"},
    {"pane": [said("Once upon")]},
    {"pane": [said("Once upon"), asked("And then?")]},
    {"pane": [said("Once upon"), asked("And then?"), said("A *time*")]},
    {"pane": [said("Twice")], "box": gr.update(visible=False)},
    {"text": "over", "box": gr.update(value="again", visible=True)},
)


class Page:
    """A page whose event tells a story, or as far as it gets before something goes wrong."""

    def __init__(self, blocks: type[gr.Blocks], trouble: Exception | None = None, after: int = 0) -> None:
        self._trouble, self._after = trouble, after
        self.mistakes: list[BaseException] = []
        heard: dict[str, Any] = {"tell_mistake": self.mistakes.append} if issubclass(blocks, LeanBlocks) else {}
        with blocks(analytics_enabled=False, **heard) as self.demo:
            self._parts = {"pane": gr.Chatbot(), "text": gr.Markdown(), "box": gr.Textbox()}
            gr.Button().click(self._tell, None, [*self._parts.values()], postprocess=False, concurrency_limit=None)
        (self._function,) = self.demo.fns.values()
        self.demo.show_error = False
        self.demo.queue()
        self.demo._queue.start()
        self.demo._queue.set_server_app(self.demo.app)

    async def _tell(self) -> AsyncGenerator[dict[Any, Any]]:
        for number, frame in enumerate(STORY):
            if self._trouble is not None and number == self._after:
                raise self._trouble
            yield {self._parts[name]: value for name, value in frame.items()}

    async def told(self) -> list[dict[str, Any]]:
        """What the page hears of one event, from its beginning to its end."""
        heard = []
        mailbox = await self.ask()
        while True:
            message = await asyncio.wait_for(mailbox.get(), 10)
            heard.append(_plain(message))
            if isinstance(message, ProcessCompletedMessage):
                return heard

    async def ask(self) -> "asyncio.Queue[Any]":
        """Send the event; its page's mailbox."""
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": [], "query_string": b""}
        request = Request({**scope, "server": ("127.0.0.1", 80), "scheme": "http"})
        body = PredictBodyInternal(session_hash="s", data=[], fn_index=self._function._id, request=request)
        joined, _, _ = await self.demo._queue.push(body=body, request=request, username=None)
        assert joined
        mailbox: asyncio.Queue[Any] = self.demo._queue.pending_messages_per_session["s"]
        return mailbox


def _plain(message: BaseMessage | bytes) -> dict[str, Any]:
    """A message as a browser reads it, without what differs from one time to the next."""
    spelled = message if isinstance(message, bytes) else orjson.dumps(message.model_dump())
    told: dict[str, Any] = orjson.loads(spelled)
    for times in (told, told.get("output") or {}):
        for name in _DIFFERENT:
            times.pop(name, None)
    return told


async def test_what_an_event_says_when_its_page_is_gone_is_not_kept() -> None:
    page = Page(LeanBlocks)
    sessions = LeanSessions()  # type: ignore[no-untyped-call]
    sessions.set_blocks(page.demo)
    queue, ended = page.demo._queue, asyncio.Event()
    for gone in (False, True):
        sessions["s"].is_closed = gone
        await page.ask()
        (running,) = queue._asyncio_tasks
        running.add_done_callback(lambda _: ended.set())
        await asyncio.wait_for(ended.wait(), 10)
        ended.clear()
        assert ("s" in queue.pending_messages_per_session) is not gone


async def test_a_page_hears_the_story_as_gradio_would_tell_it() -> None:
    assert await Page(LeanBlocks).told() == await Page(gr.Blocks).told()


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("trouble", [gr.Error("Not today."), RuntimeError("secret")], ids=["told", "untold"])
async def test_what_goes_wrong_is_told_as_gradio_would_tell_it(trouble: Exception, after: int) -> None:
    heard = await Page(LeanBlocks, trouble, after).told()

    assert heard == await Page(gr.Blocks, trouble, after).told()
    assert heard[-1]["success"] is False
    assert "secret" not in str(heard)


@pytest.mark.parametrize("after", [0, 5])
async def test_what_nobody_expected_is_told_the_operator_once_and_printed_nowhere(
    after: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who tells it leaves out what the visitor sent; printed, it would be in the log."""
    trouble = RuntimeError("a prompt to keep private")
    unexpected, expected = (
        Page(LeanBlocks, error, after) for error in (trouble, gr.Error("Not today.", print_exception=False))
    )
    await unexpected.told()
    await expected.told()

    assert unexpected.mistakes == [trouble]
    assert expected.mistakes == []
    assert capfd.readouterr() == ("", "")


def test_a_conversation_that_grows_is_told_by_what_was_added() -> None:
    running = RunningFrames("e", [[said("Once")], "text"])
    (pane, text) = running.differences({0: [said("Once upon")]})
    assert pane == [["append", [0, "content", 0, "text"], " upon"]]
    assert text == [["replace", [], UNCHANGED]], "else the page would show the old text again"
    assert running.differences({0: [said("Once upon a")]})[1] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([said("a")], [said("b")]),
        ([said("a")], [said("a")]),
        ([said("a")], [asked("ab")]),
        ([said("a"), asked("b")], [said("x"), asked("bc")]),
        ([said("a")], [said("a"), said("b")]),
        ([said("a"), said("b")], [said("a")]),
        ([], [said("a")]),
        ("a", "ab"),
        ([{"role": "assistant", "content": "plain"}], [{"role": "assistant", "content": "plainer"}]),
        ([said("a")], [{**said("ab"), "metadata": {"title": "new"}}]),
        (UNCHANGED, [said("a")]),
    ],
)
def test_every_other_change_is_told_as_gradio_tells_it(before: Any, after: Any) -> None:
    as_gradio = diff(before, after)  # type: ignore[no-untyped-call]
    assert RunningFrames("e", [before]).differences({0: after}) == [as_gradio]


async def test_events_are_started_when_they_come_and_the_next_ones_when_there_is_room() -> None:
    page = Page(LeanBlocks)
    queue = page.demo._queue
    queue.active_jobs = [None]
    mailbox = await page.ask()
    await page.ask()
    assert [job is None for job in queue.active_jobs] == [False], "the first one runs at once"
    assert len(queue) == 1, "the second one waits"

    ended = 0
    while ended < 2:
        ended += isinstance(await asyncio.wait_for(mailbox.get(), 10), ProcessCompletedMessage)
    assert len(queue) == 0
