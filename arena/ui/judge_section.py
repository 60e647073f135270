"""The part of the Analytics page about judge models, beside people; for the operator also where they part."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from sqlalchemy import func, select

from arena.judge.findings import Comparison, Difference, JudgeFinding, read_findings
from arena.stamps import latest_sequence
from arena.tables import JudgeVerdict
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.wiring import AT_ONCE

REFRESH_S = 30.0
"""How often an open page asks whether anything changed; Gradio's timer rests while the page is hidden."""

_LOOK_S = 1.0
_BUSY_SHARE = 0.05
"""The share of the time that reading may take, however many pages are open."""

_MOST_DIFFERENCES = 12
_SIDES = ("A", "even", "B")


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line of the table, ready for its template."""

    name: str
    judge: str
    people: str
    parted: str


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One battle for the operator, ready for its template."""

    battle: str
    on: str
    people: str
    judge: str
    reason: str


@dataclass(frozen=True, slots=True)
class JudgePart:
    """One judge, ready for its template."""

    name: str
    basis: str
    sentence: str
    seats: str
    parting: str
    unrated: str
    """The criteria on which nobody judged what it judged."""
    rows: Sequence[ComparisonRow]
    differences: Sequence[DifferenceRow]


def lay_out_judge(found: JudgeFinding, name: str) -> JudgePart:
    """Put a judge's finding in words."""
    failed = f" {found.failed:,} questions came to nothing." if found.failed else ""
    pairs = f"{found.pairs:,} {'pair' if found.pairs == 1 else 'pairs'} of answers, each judged in both orders."
    return JudgePart(
        name=name,
        basis=pairs + failed,
        sentence=found.overall.sentence,
        seats=found.seats.sentence,
        parting=found.parting,
        unrated=", ".join(row.criterion.name for row in found.criteria if row.criterion and not row.judge.units),
        rows=[_comparison(row) for row in (found.overall, *found.criteria) if row.judge.units],
        differences=[_difference(difference) for difference in found.differences[:_MOST_DIFFERENCES]],
    )


def _comparison(row: Comparison) -> ComparisonRow:
    return ComparisonRow(
        name=row.criterion.name if row.criterion else "Overall",
        judge=row.judge.words,
        people=row.people.words,
        parted=f"{row.parted:,} of {row.held:,}" if row.held else "–",
    )


def _difference(difference: Difference) -> DifferenceRow:
    return DifferenceRow(
        battle=difference.battle_id,
        on=difference.criterion.name if difference.criterion else "Overall",
        people=f"{_SIDES[difference.people]} ({difference.agreed} of {difference.voters})",
        judge=_SIDES[difference.judge],
        reason=difference.reason,
    )


class JudgeCache:
    """The judges' parts, read again only after votes and verdicts. Belongs to the event loop."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._look_at = float("-inf")
        self._stamp = ""
        self._parts: Sequence[JudgePart] = ()
        self._started = f"{time.time_ns():x}"

    async def current(self) -> tuple[Sequence[JudgePart], str]:
        """The parts, and a mark that differs whenever they do."""
        async with self._lock:
            if time.monotonic() >= self._look_at:
                began = time.monotonic()
                await asyncio.to_thread(self._look)
                took_s = time.monotonic() - began
                self._look_at = time.monotonic() + max(_LOOK_S, took_s / _BUSY_SHARE)
            return self._parts, f"{self._started}-{self._stamp}"

    def _look(self) -> None:
        database = self._context.database
        with database.read() as session:
            judged = session.execute(select(func.count(), func.max(JudgeVerdict.judged_at)).select_from(JudgeVerdict))
            number, last = judged.one()
        stamp = f"{number} {last} {latest_sequence(database) if number else 0}"
        if stamp == self._stamp:
            return
        names = {status.model.id: status.model.display_name for status in self._context.fleet.statuses()}
        findings = read_findings(database, self._context.rubric)
        self._parts = [lay_out_judge(found, names.get(found.model_id, found.model_id)) for found in findings]
        self._stamp = stamp


def build_judge_section(context: PageContext) -> None:
    """Lay out the section below what the page has so far; nothing is there until a judge was asked."""
    cache = JudgeCache(context)

    async def ask(seen: str | None, request: gr.Request) -> dict[Any, Any]:
        parts, stamp = await cache.current()
        operator = context.is_operator(request)
        newest = f"{stamp} {operator}"
        if newest == seen:
            return {mark: newest}
        return {place: render("judge.html", judges=parts, operator=operator) if parts else "", mark: newest}

    place = fragment(elem_id="judge")
    mark = gr.Textbox(visible=False)
    timer = gr.Timer(REFRESH_S)
    for event in (None, timer.tick):
        gr.on(event, ask, [mark], [place, mark], **AT_ONCE)
