"""The Leaderboard page: any view of the standings, renewed when a vote or a model's readiness changes it."""

import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
from gradio.events import api
from starlette.requests import Request

from arena.board_view import BoardView, read_view
from arena.errors import ArenaError
from arena.ui.board_cache import BoardCache
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.opening import Opening, to_come
from arena.ui.wiring import AT_ONCE

REFRESH_S = 3.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

PENDING_S = 1.0
"""How often while its view is still being counted."""

_SLOWEST_S = 30.0
_MEMORY_S = 60.0
_QUESTIONS_PER_S = 20.0
"""How many such questions all open pages together may ask: one costs 3 ms, most of it Gradio's, so 6% of a core."""


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


def build_leaderboard_page(context: PageContext) -> Opening:
    """Lay out the page inside the current route, and publish the standings as the endpoint `/leaderboard`.

    A page opens with the first rows of a long table, and asks for the others when it is drawn.
    """
    cache = BoardCache(context)
    pace = RefreshPace()

    async def ask(chosen: str | None, seen: str | None, waited_s: float, request: gr.Request) -> dict[Any, Any]:
        view, refusal = _read(chosen, request.query_params)
        page = await cache.current(view)
        wait_s = PENDING_S if page.pending else pace.next_wait(waited_s, time.monotonic())
        if seen == page.mark + refusal:
            return {timer: wait_s}
        offered = {} if page.filters is None else {filters: page.filters}
        return {
            notice: _told(refusal),
            head: page.head,
            **offered,
            body: page.body,
            mark: page.mark + refusal,
            timer: wait_s,
        }

    async def open_at(request: Request) -> Mapping[str, str]:
        view, refusal = _read(None, request.query_params)
        page = await cache.current(view)
        return {
            "board-notice": _told(refusal),
            "board-head": page.head,
            "board-filters": page.filters or "",
            "board-body": page.opening,
            "board-mark": page.mark + refusal if page.opening == page.body else f"opening of {page.mark}",
        }

    def standings() -> dict[str, Any]:
        """The leaderboard: what it was computed from, and one entry a model, best first."""
        return context.leaderboard.standings().as_json()

    head = fragment(to_come("board-head"), elem_id="leaderboard-head")
    notice = fragment(to_come("board-notice"), elem_id="leaderboard-notice")
    filters = fragment(to_come("board-filters"), elem_id="leaderboard-filters")
    body = fragment(to_come("board-body"), elem_id="leaderboard")
    # The page's own script writes the query of a chosen view in here, and keeps it in the address.
    chosen = gr.Textbox(elem_id="chosen-view", elem_classes=["unseen"], container=False)
    mark = gr.Textbox(to_come("board-mark"), visible=False)
    timer = gr.Timer(REFRESH_S)
    outputs = [notice, head, filters, body, mark, timer]
    for event in (None, timer.tick, chosen.change):
        gr.on(event, ask, [chosen, mark, timer], outputs, **AT_ONCE)
    api(standings, api_name="leaderboard", concurrency_limit=None)
    return open_at


def _told(refusal: str) -> str:
    return render("notice.html", kind="refused", text=refusal) if refusal else ""


def _read(chosen: str | None, query: Mapping[str, str]) -> tuple[BoardView, str]:
    """The view that was chosen on the page, else that of its address; and why it is not what was asked for."""
    try:
        return read_view(dict(parse_qsl(chosen[1:])) if chosen else query), ""
    except ArenaError as error:
        return BoardView(), str(error)
