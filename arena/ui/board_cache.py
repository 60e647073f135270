"""The Leaderboard page's HTML, rendered once for each change of a view however many pages are open."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from arena.board_view import BoardView
from arena.ui.board import lay_out, tell_choice
from arena.ui.context import PageContext
from arena.ui.filters import offer
from arena.ui.html import render

LOOK_S = 1.0
"""How often the standings of a view are looked up at most, for all open pages together."""

PATIENCE_S = 0.3
"""How long a page waits for a view that takes longer before it says that the view is being counted."""

MOST_VIEWS = 50

FIRST_ROWS = 40
"""More than a screen holds: a browser draws them in a fraction of the time that it takes for hundreds."""


@dataclass(frozen=True, slots=True)
class BoardPage:
    """The parts of the page."""

    head: str
    filters: str | None
    """`None` leaves those on the page as they are."""
    body: str
    opening: str
    """The body with its first rows only, for a page that has nothing yet; the same where there are few."""
    mark: str
    """Differs whenever one of the parts does, also from that of an earlier process."""
    pending: bool
    """Whether the view is still being counted."""


@dataclass(slots=True)
class _Kept:
    looked_at: float = float("-inf")
    key: object = None
    page: BoardPage | None = None
    task: asyncio.Task[None] | None = None


class BoardCache:
    """Belongs to the event loop. Views that have to be read from the votes are read one at a time."""

    def __init__(self, context: PageContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._kept: dict[BoardView, _Kept] = {}
        self._reading = asyncio.Semaphore(1)
        self._started = f"{time.time_ns():x}"
        self._number = 0

    async def current(self, view: BoardView | None = None) -> BoardPage:
        """The page of a view as it is now, or as it was while newer votes are still being read."""
        view = view or BoardView()
        kept = self._keep(view)
        if kept.task is None and self._clock() - kept.looked_at >= LOOK_S:
            kept.task = asyncio.create_task(self._look(view, kept))
        if kept.task is not None:
            task = kept.task
            await asyncio.wait({task}, timeout=PATIENCE_S if kept.page or not view.counted else None)
            if task.done():
                kept.task = None
                task.result()
        return kept.page or self._waiting(view)

    def _keep(self, view: BoardView) -> _Kept:
        """What is kept of a view, now the newest; the oldest that nobody computes makes room."""
        kept = self._kept.pop(view, None) or _Kept()
        self._kept[view] = kept
        idle = [other for other, its in self._kept.items() if its.task is None and other != view]
        for other in idle[: max(len(self._kept) - MOST_VIEWS, 0)]:
            del self._kept[other]
        return kept

    async def _look(self, view: BoardView, kept: _Kept) -> None:
        if view.counted:
            await self._renew(view, kept)
        else:
            async with self._reading:
                await self._renew(view, kept)
        kept.looked_at = self._clock()

    async def _renew(self, view: BoardView, kept: _Kept) -> None:
        if view.style and self._context.style.standings() is None:
            return  # the answers are being measured; the page asks again
        boards, statuses = self._context.boards, self._context.fleet.statuses()
        standings = await asyncio.to_thread(boards.standings, view)
        facets = await asyncio.to_thread(boards.facets)
        first_tokens = await asyncio.to_thread(boards.first_tokens)
        states = tuple((status.model.id, status.state) for status in statuses)
        key = (standings.computed_at, states, facets, first_tokens)
        if key == kept.key and kept.page:
            return

        def write() -> BoardPage:
            board = lay_out(standings, statuses, demo=self._context.demo, view=view, first_tokens=first_tokens)
            body = render("leaderboard.html", board=board)
            few = replace(board, rated=board.rated[:FIRST_ROWS])
            return BoardPage(
                head=render("leaderboard_head.html", board=board),
                filters=render("leaderboard_filters.html", filters=offer(facets), rows=len(board.rated)),
                body=body,
                opening=body if len(board.rated) <= FIRST_ROWS else render("leaderboard.html", board=few),
                mark=f"{self._started}-{self._number}",
                pending=facets.votes is None,
            )

        self._number += 1
        kept.page, kept.key = await asyncio.to_thread(write), key

    def _waiting(self, view: BoardView) -> BoardPage:
        return BoardPage(
            head=render("leaderboard_counting.html", choice=tell_choice(view)),
            filters=None,
            body="",
            opening="",
            mark=f"waiting for {view}",
            pending=True,
        )
