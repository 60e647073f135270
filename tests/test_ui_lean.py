"""Parts of a page that an answer leaves alone cost nothing, and everything else is as Gradio does it."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from arena.ui.lean import LeanBlocks
from arena.ui.lean_sessions import LeanSessions

UNCHANGED = {"__type__": "update"}


class Page:
    """Three parts and a button whose handler writes to all of them."""

    def __init__(self, blocks: type[gr.Blocks]) -> None:
        with blocks(analytics_enabled=False) as self.demo:
            self.text, self.box, self.timer = gr.Markdown(), gr.Textbox(), gr.Timer()
            gr.Button().click(lambda: None, None, [self.text, self.box, self.timer], postprocess=False)
        (self.function,) = self.demo.fns.values()
        self.state = SessionState(self.demo)

    async def answer(self, make: Callable[["Page"], Any]) -> list[Any]:
        """What the browser gets for what the handler returned."""
        return list(await self.demo.postprocess_data(self.function, make(self), self.state))


ANSWERS: dict[str, Callable[[Page], Any]] = {
    "one part": lambda page: {page.box: "new"},
    "one part's look": lambda page: {page.box: gr.update(visible=False)},
    "two parts, in another order": lambda page: {page.timer: gr.update(active=False), page.text: "*new*"},
    "a part that is said not to change": lambda page: {page.text: gr.skip(), page.box: "new"},
    "nothing": lambda page: {page.text: gr.skip()},
    "everything, one by one": lambda page: ("a", gr.skip(), 3),
    "no change at all": lambda page: gr.skip(),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_the_browser_gets_what_gradio_alone_would_send(what: str) -> None:
    assert await Page(LeanBlocks).answer(ANSWERS[what]) == await Page(gr.Blocks).answer(ANSWERS[what])


async def test_a_part_that_stays_is_not_built_anew() -> None:
    page = Page(LeanBlocks)
    assert await page.answer(lambda page: {page.box: "new"}) == [UNCHANGED, "new", UNCHANGED]
    assert page.state[page.text._id] is page.text
    assert page.state[page.timer._id] is page.timer


async def test_a_part_that_is_no_output_is_refused() -> None:
    stranger = gr.Textbox(render=False)
    with pytest.raises(ValueError, match="not specified as output"):
        await Page(LeanBlocks).answer(lambda page: {page.box: "new", stranger: "?"})


class Story:
    """A page whose event shows a text that grows, and then a last part."""

    def __init__(self, blocks: type[gr.Blocks]) -> None:
        with blocks(analytics_enabled=False) as self.demo:
            self.text, self.box = gr.Markdown(), gr.Textbox()
            gr.Button().click(self._tell, None, [self.text, self.box], postprocess=False)
        (self.function,) = self.demo.fns.values()

    async def _tell(self) -> AsyncGenerator[dict[Any, Any]]:
        yield {self.text: "Once", self.box: "begun"}
        yield {self.text: "Once upon"}
        yield {self.text: "Once upon"}
        yield {self.text: "Twice", self.box: gr.update(visible=False)}

    async def frames(self) -> list[list[Any]]:
        """What the browser gets, frame by frame."""
        told, state, iterator = [], SessionState(self.demo), None
        while True:
            answer = await self.demo.process_api(
                self.function, [], state, iterator=iterator, session_hash="s", event_id="e", root_path=""
            )
            told.append(answer["data"])
            iterator = answer["iterator"]
            if not answer["is_generating"]:
                return told


async def test_an_event_that_goes_on_is_told_frame_by_frame_as_by_gradio_alone() -> None:
    assert await Story(LeanBlocks).frames() == await Story(gr.Blocks).frames()


class Typed:
    """A page whose event takes a text and a choice."""

    def __init__(self, blocks: type[gr.Blocks]) -> None:
        with blocks(analytics_enabled=False) as self.demo:
            box, choice = gr.Textbox(), gr.Radio(["a", "b"])
            gr.Button().click(lambda *_: None, [box, choice], None)
        (self.function,) = self.demo.fns.values()

    async def read(self, *sent: object) -> list[Any]:
        """What the handler gets for what the browser sent."""
        return list(await self.demo.preprocess_data(self.function, list(sent), SessionState(self.demo)))


@pytest.mark.parametrize("sent", [("words", "b"), ("", None), (None, "a")])
async def test_a_handler_gets_what_gradio_alone_would_give_it(sent: tuple[object, ...]) -> None:
    assert await Typed(LeanBlocks).read(*sent) == await Typed(gr.Blocks).read(*sent)


async def test_a_choice_that_was_not_offered_is_refused() -> None:
    with pytest.raises(gr.Error):
        await Typed(LeanBlocks).read("words", "c")


async def test_what_changes_for_one_session_changes_for_no_other() -> None:
    page = Page(LeanBlocks)
    sessions = LeanSessions()  # type: ignore[no-untyped-call]
    sessions.set_blocks(page.demo)
    page.state = sessions["annas"]
    await page.answer(lambda page: {page.text: gr.update(value="new", rtl=True)})

    assert sessions["annas"][page.text._id].rtl
    assert not sessions["bens"][page.text._id].rtl
    assert page.demo.default_config.blocks[page.text._id] is page.text


async def test_closed_pages_are_forgotten_after_an_hour_and_open_ones_when_there_are_too_many() -> None:
    page = Page(LeanBlocks)
    page.demo.queue()
    page.demo.state_session_capacity = 3
    sessions = LeanSessions()  # type: ignore[no-untyped-call]
    queue = page.demo._queue
    sessions.set_blocks(page.demo)
    for name in ("closed long ago", "open", "just closed"):
        sessions[name].is_closed = "closed" in name
        queue.pending_event_ids_session[name] = set()
        sessions.time_last_used[name] = datetime.now() - timedelta(minutes=5 if name == "just closed" else 61)

    for name in ("open", "just closed"):
        assert sessions[name] is not None
    assert list(sessions.session_data) == list(queue.pending_event_ids_session) == ["open", "just closed"]

    for name in ("one more", "and another"):
        assert sessions[name] is not None
    assert list(sessions.session_data) == ["just closed", "one more", "and another"]
    assert list(queue.pending_event_ids_session) == ["just closed"]
