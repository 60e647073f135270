"""The Leaderboard page: standings as a table with a plot, renewed when a vote or a model's readiness changes them."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.events import api

from arena.fleet import ModelState
from arena.ui.board import lay_out
from arena.ui.context import PageContext
from arena.ui.desk import AT_ONCE
from arena.ui.html import fragment, render

REFRESH_S = 3.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

_SLOWEST_S = 30.0
_MEMORY_S = 60.0
_QUESTIONS_PER_S = 20.0
"""How many such questions all open pages together may ask: one costs 4 ms, most of it Gradio's, so 8% of a core."""

_LOOK_S = 1.0
"""How often the standings are looked up at most, for all open pages together."""


class BoardCache:
    """The page's HTML, rendered once for each change however many pages are open. Belongs to the event loop."""

    def __init__(self, context: PageContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._key: tuple[datetime, tuple[tuple[str, ModelState], ...]] | None = None
        self._html = ""
        self._started = f"{time.time_ns():x}"
        self._number = 0

    async def current(self) -> tuple[str, str]:
        """The HTML, and a mark that differs whenever the HTML does, also from that of an earlier process."""
        async with self._lock:
            if self._clock() - self._looked_at >= _LOOK_S:
                await self._look()
            return self._html, f"{self._started}-{self._number}"

    async def _look(self) -> None:
        standings = await asyncio.to_thread(self._context.leaderboard.standings)
        statuses = self._context.fleet.statuses()
        key = (standings.computed_at, tuple((status.model.id, status.state) for status in statuses))
        if key != self._key:
            board = lay_out(standings, statuses, demo=self._context.demo)
            self._html = render("leaderboard.html", board=board)
            self._key, self._number = key, self._number + 1
        self._looked_at = self._clock()


class RefreshPace:
    """Slows every open page down as more of them are open, so that all together ask at a bounded rate."""

    def __init__(self) -> None:
        self._pages = 0.0
        self._counted_at = 0.0

    def next_wait(self, waited_s: float, now: float) -> float:
        """Seconds until the page that asks at `now`, after `waited_s`, should ask again.

        Who asks every s seconds stands for s seconds of an open page each time. The mean of that over the last minute,
        older seconds counting ever less, is the number of open pages.
        """
        waited_s = min(max(waited_s, REFRESH_S), _SLOWEST_S)
        self._pages *= math.exp((self._counted_at - now) / _MEMORY_S)
        self._pages += waited_s / _MEMORY_S
        self._counted_at = now
        return min(max(REFRESH_S, float(round(self._pages / _QUESTIONS_PER_S))), _SLOWEST_S)


def build_leaderboard_page(context: PageContext) -> None:
    """Lay out the page inside the current route, and publish the standings as the endpoint `/leaderboard`."""
    cache = BoardCache(context)
    pace = RefreshPace()

    async def ask(seen: str | None, waited_s: float) -> dict[Any, Any]:
        html, newest = await cache.current()
        wait = {timer: pace.next_wait(waited_s, time.monotonic())}
        return wait if newest == seen else {place: html, mark: newest, **wait}

    def standings() -> dict[str, Any]:
        """The leaderboard: what it was computed from, and one entry a model, best first."""
        return context.leaderboard.standings().as_json()

    place = fragment(elem_id="leaderboard")
    mark = gr.Textbox(visible=False)
    timer = gr.Timer(REFRESH_S)
    for event in (None, timer.tick):
        gr.on(event, ask, [mark, timer], [place, mark, timer], **AT_ONCE)
    api(standings, api_name="leaderboard", concurrency_limit=None)
