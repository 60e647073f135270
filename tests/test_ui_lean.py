"""Parts of a page that an answer leaves alone cost nothing, and everything else is as Gradio does it."""

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from arena.ui.lean import LeanBlocks

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
