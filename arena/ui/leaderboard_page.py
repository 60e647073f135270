"""The Leaderboard page: standings as a table with a plot, renewed when a vote or a model's readiness changes them."""

import asyncio
import time
from typing import Any

import gradio as gr
from gradio.context import Context

from arena.fleet import ModelState
from arena.ui.board import lay_out
from arena.ui.context import PageContext
from arena.ui.html import fragment, render

REFRESH_S = 3.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

_LOOK_S = 1.0
"""How often the standings are looked up at most, for all open pages together."""


class BoardCache:
    """The page's HTML, rendered once for each change however many pages are open. Belongs to the event loop."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._key: tuple[int, tuple[tuple[str, ModelState], ...]] | None = None
        self._version = 0
        self._html = ""
        self._started = f"{time.time_ns():x}"

    async def current(self) -> tuple[str, str]:
        """The HTML, and a mark that differs whenever the HTML does (even after a restart)."""
        async with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_S:
                await self._look()
            return self._html, f"{self._started}-{self._version}"

    async def _look(self) -> None:
        standings = await asyncio.to_thread(self._context.leaderboard.standings)
        statuses = self._context.fleet.statuses()
        key = (standings.sequence, tuple((status.model.id, status.state) for status in statuses))
        if key != self._key:
            board = lay_out(standings, statuses, demo=self._context.demo)
            self._html = render("leaderboard.html", board=board)
            self._key, self._version = key, self._version + 1
        self._looked_at = time.monotonic()


def build_leaderboard_page(context: PageContext) -> None:
    """Lay out the page inside the current route, and publish the standings as the endpoint `/leaderboard`."""
    cache = BoardCache(context)

    async def refresh(seen: str) -> tuple[Any, Any]:
        html, mark = await cache.current()
        return (gr.skip(), gr.skip()) if mark == seen else (html, mark)

    def standings() -> dict[str, Any]:
        """The leaderboard: one entry a model, best first, and the votes it was computed from."""
        return context.leaderboard.standings().as_json()

    place = fragment(elem_id="leaderboard")
    seen = gr.Textbox(visible=False)
    gr.on(
        triggers=[Context.root_block.load, gr.Timer(REFRESH_S).tick],
        fn=refresh,
        inputs=[seen],
        outputs=[place, seen],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    gr.api(standings, api_name="leaderboard", concurrency_limit=None)
