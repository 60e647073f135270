"""The part of the Analytics page about how people judge, renewed quietly after votes."""

import asyncio
import time
from typing import Any

import gradio as gr

from arena.consistency import read_consistency
from arena.stamps import latest_sequence
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.judging import lay_out_judging
from arena.ui.leaderboard_page import RefreshPace
from arena.ui.wiring import AT_ONCE

REFRESH_S = 15.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

PENDING_S = 3.0
"""How often while it is being computed for the first time."""

_LOOK_S = 1.0
_BUSY_SHARE = 0.05
"""The share of the time that reading the votes may take, however many pages are open."""

_PATIENCE_S = 1.0


class JudgingCache:
    """The section's HTML, made once after each vote however many pages are open. Belongs to the event loop."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._making: asyncio.Task[None] | None = None
        self._look_at = float("-inf")
        self._sequence = -1
        self._html: str | None = None
        self._started = f"{time.time_ns():x}"

    async def current(self) -> tuple[str | None, str]:
        """The HTML, `None` until it was made for the first time, and a mark that differs whenever the HTML does."""
        if self._making is None and time.monotonic() >= self._look_at:
            self._making = asyncio.create_task(self._make())
        making = self._making
        if making is not None:
            await asyncio.wait({making}, timeout=_PATIENCE_S)
            if making.done():
                self._making = None
                making.result()
        return self._html, f"{self._started}-{self._sequence}"

    async def _make(self) -> None:
        began = time.monotonic()
        sequence = await asyncio.to_thread(latest_sequence, self._context.database)
        if sequence != self._sequence:
            self._html = await asyncio.to_thread(self._render)
            self._sequence = sequence
        took_s = time.monotonic() - began
        self._look_at = time.monotonic() + max(_LOOK_S, took_s / _BUSY_SHARE)

    def _render(self) -> str:
        board, rubric = self._context.leaderboard, self._context.rubric
        found = read_consistency(self._context.database, rubric)
        boards = {criterion.id: board.standings(criterion=rubric.key(criterion.id)) for criterion in rubric}
        judging = lay_out_judging(found, board.comparisons(), boards, rubric.version)
        # Before the first vote the page above says that there is none.
        return render("judging.html", page=judging) if found.side_a or board.standings().votes else ""


def build_judging_section(context: PageContext) -> None:
    """Lay out the section below what the page has so far."""
    cache = JudgingCache(context)
    pace = RefreshPace()

    async def ask(seen: str | None, waited_s: float) -> dict[Any, Any]:
        html, newest = await cache.current()
        wait = {timer: max(pace.next_wait(waited_s, time.monotonic()), PENDING_S if html is None else REFRESH_S)}
        return wait if newest == seen or html is None else {place: html, mark: newest, **wait}

    place = fragment(elem_id="judging")
    mark = gr.Textbox(visible=False)
    timer = gr.Timer(REFRESH_S)
    for event in (None, timer.tick):
        gr.on(event, ask, [mark, timer], [place, mark, timer], **AT_ONCE)
