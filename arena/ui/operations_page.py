"""The Operations page, for the operator: models, failures, figures, voters. Anyone else gets a way to sign in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import gradio as gr

from arena.outages import ADVICE, DatabaseUnavailable, Trouble
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.report import Report, write_report
from arena.ui.stage import Updates
from arena.ui.voter_desk import VoterDesk
from arena.ui.wiring import AT_ONCE, LISTENING

REFRESH_S = 10.0
"""How often an open page is renewed."""


def build_operations_page(context: PageContext) -> None:
    """Lay out the page inside the current route. Nothing of it is in the page before its handlers knew who asks."""
    _OperationsPage(context).wire()


class _OperationsPage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._started = time.monotonic()
        self._head = fragment(elem_id="operations-head")
        self._check = gr.Button("Check again", visible=False, elem_id="check-again", size="sm")
        self._body = fragment(elem_id="operations-body")
        self._timer = gr.Timer(REFRESH_S, active=False)
        self._voters = VoterDesk(context, self._locked)

    def wire(self) -> None:
        """Connect the page's loading, its timer and its buttons."""
        outputs = [self._head, self._body, self._check, self._timer, *self._voters.components]
        self._voters.wire(outputs)
        gr.on(None, self._show, None, outputs, **AT_ONCE)
        self._timer.tick(self._renew, None, outputs, **AT_ONCE)
        self._check.click(self._check_again, None, outputs, **LISTENING)

    async def _show(self, request: gr.Request) -> Updates:
        if not self._context.is_operator(request):
            return self._locked()
        return await self._or_alarm(self._opened, self._voters.show)

    async def _renew(self, request: gr.Request) -> Updates:
        if not self._context.is_operator(request):
            return self._locked()
        shown = await self._or_alarm(self._opened)
        return {part: value for part, value in shown.items() if part in (self._head, self._body)}

    async def _check_again(self, request: gr.Request) -> AsyncIterator[Updates]:
        if not self._context.is_operator(request):
            yield self._locked()
            return
        yield {self._check: gr.update(value="Checking…", interactive=False)}
        await self._context.fleet.prepare()
        yield await self._or_alarm(self._opened, self._voters.show)

    def _locked(self) -> Updates:
        return {
            **self._voters.clear(),
            self._head: render("locked.html", title="Operations", back="/operations"),
            self._body: "",
            self._check: gr.update(visible=False),
            self._timer: gr.update(active=False),
        }

    async def _opened(self) -> Updates:
        context = self._context
        report = await self._report()
        alarm = _alarm(context.database.outages.known)
        return {
            self._head: alarm + render("operations.html", report=report),
            self._body: render("operations_models.html", report=report, forecast=context.arena.forecast()),
            self._check: gr.update(value="Check again", visible=True, interactive=True),
            self._timer: gr.update(active=True),
        }

    async def _report(self) -> Report:
        context = self._context
        standings = await asyncio.to_thread(context.leaderboard.standings)
        return write_report(
            await context.arena.figures(),
            context.fleet.statuses(),
            context.settings,
            kept=await context.targets.measure(),
            today=await context.database.run(context.limits.today),
            backup_failure=context.keeper.failure,
            votes=standings.votes,
            waiting=context.arena.waiting,
            uptime_s=time.monotonic() - self._started,
            warnings=context.fleet.warnings,
        )

    async def _or_alarm(self, *parts: Callable[[], Awaitable[Updates]]) -> Updates:
        """What all parts show, or only what is wrong with the database they read."""
        shown: Updates = {}
        try:
            for part in parts:
                shown |= await part()
        except DatabaseUnavailable as error:
            return {self._head: _alarm(error.trouble)}
        return shown


def _alarm(trouble: Trouble | None) -> str:
    """What is wrong with the database and what to do, or nothing."""
    return render("notice.html", text=ADVICE[trouble], kind="refused") if trouble else ""
