"""The Analytics page: what the votes say about models, platforms and prompts, renewed quietly after votes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import gradio as gr
from starlette.requests import Request

from arena.leaderboard import Slice, Standings
from arena.style import StyleStandings
from arena.ui.analytics import ENOUGH_VOTES, Analytics, Slices, SliceTable, lay_out, tabulate_slice, tell_fragility
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.judge_section import build_judge_section
from arena.ui.judging_section import build_judging_section
from arena.ui.language_names import name_language
from arena.ui.leaderboard_page import RefreshPace
from arena.ui.opening import Opening, to_come
from arena.ui.wiring import AT_ONCE
from arena.voter_groups import read_voter_groups

REFRESH_S = 15.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

PENDING_S = 3.0
"""How often while a part of the page is still being computed."""

_LOOK_S = 1.0
_BUSY_SHARE = 0.05
"""The share of the time that making the page may take, however many are open and however many votes come."""

_PATIENCE_S = 1.0
"""How long the page waits for its slower part before it shows the rest."""

_MOST_LANGUAGES = 6
_MOST_TURNS = 6
"""Later turns have hardly any votes."""

MOST_MODELS = 20
"""Whose ratings over time are looked up: the chart takes the first of them that have a past."""


class AnalyticsCache:
    """The page's HTML, made once after each vote however many pages are open. Belongs to the event loop.

    Slices are read from the votes themselves, which takes time by their number: they follow when they are counted.
    """

    def __init__(self, context: PageContext, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._tags = sorted({tag for challenge in context.challenges for tag in challenge.tags})
        self._looking: asyncio.Task[None] | None = None
        self._look_at = float("-inf")
        self._slices: Slices | None = None
        self._sliced_at: float = -1
        self._slice_at = float("-inf")
        self._slicing: asyncio.Task[None] | None = None
        self._fragility: str | None = None
        self._foretold_at = -1
        self._foretelling: asyncio.Task[None] | None = None
        self._key: tuple[datetime, datetime | None, float, str | None] | None = None
        self._html = ("", "")
        self._pending = True
        self._started = f"{time.time_ns():x}"
        self._number = 0

    async def current(self, *, operator: bool = False) -> tuple[str, str, bool]:
        """The HTML, a mark that differs whenever the HTML does, and whether a part of it is still being computed.

        The operator's has links to the battles behind the cells of the heatmap; each of them asks for the session.
        """
        if self._looking is None and self._clock() >= self._look_at:
            self._looking = asyncio.create_task(self._bring_up_to_date())
        if looking := self._looking:
            await asyncio.wait({looking}, timeout=_PATIENCE_S if self._html[0] else None)
            if looking.done():
                self._looking = None
                looking.result()
        return self._html[operator], f"{self._started}-{self._number}-{operator}", self._pending

    async def _bring_up_to_date(self) -> None:
        took_s = await self._look()
        self._look_at = self._clock() + min(max(_LOOK_S, took_s / _BUSY_SHARE), REFRESH_S)

    async def _look(self) -> float:
        """Bring the page up to date; how many seconds its making took, 0 where nothing had changed."""
        standings = await asyncio.to_thread(self._context.leaderboard.standings)
        await self._have_sliced(standings.sequence)
        style = self._context.style.standings() if standings.votes >= ENOUGH_VOTES else None
        await self._have_foretold(standings)
        key = (standings.computed_at, style.computed_at if style else None, self._sliced_at, self._fragility)
        if key == self._key:
            return 0.0
        began = self._clock()
        self._html, self._pending = await asyncio.to_thread(self._write, style)
        self._key, self._number = key, self._number + 1
        return self._clock() - began

    def _write(self, style: StyleStandings | None) -> tuple[tuple[str, str], bool]:
        page = self._lay_out(style)
        visitors, operators = (render("analytics.html", page=page, operator=operator) for operator in (False, True))
        return (visitors, operators), page.pending

    def _lay_out(self, style: StyleStandings | None) -> Analytics:
        board = self._context.leaderboard
        comparisons = board.comparisons()
        best = [row.revision_id for row in board.standings().rows if row.rating is not None][:MOST_MODELS]
        return lay_out(
            comparisons,
            board.standings(by="version"),
            style,
            self._slices,
            demo=self._context.demo,
            moments=self._context.boards.history(best),
            fragility=self._fragility,
        )

    async def _have_foretold(self, standings: Standings) -> None:
        """Find out what holds the leader up: with hundreds of models that takes a second, so the page may go ahead."""
        if standings.votes < ENOUGH_VOTES:
            self._fragility = ""
            return
        if self._foretelling is None or (self._foretelling.done() and standings.sequence != self._foretold_at):
            self._foretelling = asyncio.create_task(self._foretell(standings.sequence))
        await asyncio.wait({self._foretelling}, timeout=_PATIENCE_S / 2)
        if self._foretelling.done():
            self._foretelling.result()

    async def _foretell(self, sequence: int) -> None:
        self._fragility = await asyncio.to_thread(lambda: tell_fragility(self._context.leaderboard.comparisons()))
        self._foretold_at = sequence

    async def _have_sliced(self, sequence: int) -> None:
        idle = self._slicing is None or self._slicing.done()
        if self._slicing is None or (idle and sequence != self._sliced_at and self._clock() >= self._slice_at):
            self._slicing = asyncio.create_task(self._slice(sequence))
        await asyncio.wait({self._slicing}, timeout=_PATIENCE_S)
        if self._slicing.done():
            self._slicing.result()

    async def _slice(self, sequence: int) -> None:
        began = self._clock()
        slices, oldest = await asyncio.to_thread(read_slices, self._context, self._tags)
        self._slices, self._sliced_at = slices, min(sequence, oldest)
        ended = self._clock()
        self._slice_at = ended + (ended - began) / _BUSY_SHARE


def read_slices(context: PageContext, tags: list[str]) -> tuple[Slices, float]:
    """The standings of each part of the votes that has enough of them, and the oldest one's newest vote; blocking.

    The leaderboard keeps a part for a while, so that one of them may be older than the latest vote.
    """
    board = context.leaderboard
    oldest = float("inf")

    def table(name: str, part: Slice) -> SliceTable | None:
        nonlocal oldest
        standings = board.sliced(part)
        oldest = min(oldest, standings.sequence)
        return tabulate_slice(name, standings)

    by_tag = [table(tag.replace("-", " "), Slice(tag=tag)) for tag in tags]
    by_language = [
        table(name_language(code), Slice(language=code)) for code in board.languages(ENOUGH_VOTES)[:_MOST_LANGUAGES]
    ]
    found = context.boards.facets().votes
    by_turns = [
        table("One turn" if turns == 1 else f"{turns} turns", Slice(turns=turns))
        for turns in (found.turns if found else ())[:_MOST_TURNS]
    ]
    by_voters = [tabulate_slice(name, standings) for name, standings in read_voter_groups(context.database).items()]
    slices = Slices(
        _most_votes_first(by_tag),
        _most_votes_first(by_language),
        [told for told in by_turns if told is not None],
        [told for told in by_voters if told is not None],
    )
    return slices, oldest


def _most_votes_first(tables: list[SliceTable | None]) -> list[SliceTable]:
    return sorted((table for table in tables if table is not None), key=lambda table: (-table.votes, table.name))


def build_analytics_page(context: PageContext) -> Opening:
    """Lay out the page inside the current route."""
    cache = AnalyticsCache(context)
    pace = RefreshPace()

    async def ask(seen: str | None, waited_s: float, request: gr.Request) -> dict[Any, Any]:
        html, newest, pending = await cache.current(operator=context.is_operator(request))
        wait_s = max(pace.next_wait(waited_s, time.monotonic()), PENDING_S if pending else REFRESH_S)
        wait = {timer: wait_s}
        return wait if newest == seen else {place: html, mark: newest, **wait}

    async def open_at(request: Request) -> Mapping[str, str]:
        html, newest, _ = await cache.current(operator=context.is_operator(gr.Request(request)))
        return {"analytics": html, "analytics-mark": newest}

    place = fragment(to_come("analytics"), elem_id="analytics")
    mark = gr.Textbox(to_come("analytics-mark"), visible=False)
    timer = gr.Timer(REFRESH_S)
    for event in (None, timer.tick):
        gr.on(event, ask, [mark, timer], [place, mark, timer], **AT_ONCE)
    build_judging_section(context)
    build_judge_section(context)
    return open_at
