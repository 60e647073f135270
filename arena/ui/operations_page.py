"""The Operations page, for the operator: models, failures, figures, voters. Anyone else gets a way to sign in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import gradio as gr

from arena.outages import ADVICE, DatabaseUnavailable, Trouble
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.report import write_report
from arena.ui.voter_desk import VoterDesk
from arena.ui.wiring import AT_ONCE, LISTENING

REFRESH_S = 10.0
"""How often an open page is renewed."""


def build_operations_page(context: PageContext) -> None:
    """Lay out the page inside the current route. Nothing of it is in the page before its handlers knew who asks."""
    started = time.monotonic()
    head = fragment(elem_id="operations-head")
    button = gr.Button("Check again", visible=False, elem_id="check-again", size="sm")
    body = fragment(elem_id="operations-body")
    timer = gr.Timer(REFRESH_S, active=False)

    def locked() -> dict[Any, Any]:
        return {
            **voters.clear(),
            head: render("operations_locked.html"),
            body: "",
            button: gr.update(visible=False),
            timer: gr.update(active=False),
        }

    voters = VoterDesk(context, locked)

    async def opened() -> dict[Any, Any]:
        standings = await asyncio.to_thread(context.leaderboard.standings)
        report = write_report(
            await context.arena.figures(),
            context.fleet.statuses(),
            context.settings,
            kept=await context.targets.measure(),
            today=await context.database.run(context.limits.today),
            backup_failure=context.keeper.failure,
            votes=standings.votes,
            waiting=context.arena.waiting,
            uptime_s=time.monotonic() - started,
            warnings=context.fleet.warnings,
        )
        return {
            head: _alarm(context.database.outages.known) + render("operations.html", report=report),
            body: render("operations_models.html", report=report, forecast=context.arena.forecast()),
            button: gr.update(value="Check again", visible=True, interactive=True),
            timer: gr.update(active=True),
        }

    async def show(request: gr.Request) -> dict[Any, Any]:
        return await _or_alarm(head, opened, voters.show) if context.is_operator(request) else locked()

    async def renew(request: gr.Request) -> dict[Any, Any]:
        if not context.is_operator(request):
            return locked()
        return {part: value for part, value in (await _or_alarm(head, opened)).items() if part in (head, body)}

    async def check(request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        if not context.is_operator(request):
            yield locked()
            return
        yield {button: gr.update(value="Checking…", interactive=False)}
        await context.fleet.prepare()
        yield await _or_alarm(head, opened, voters.show)

    outputs = [head, body, button, timer, *voters.components]
    voters.wire(outputs)
    gr.on(None, show, None, outputs, **AT_ONCE)
    timer.tick(renew, None, outputs, **AT_ONCE)
    button.click(check, None, outputs, **LISTENING)


async def _or_alarm(head: gr.Markdown, *parts: Callable[[], Awaitable[dict[Any, Any]]]) -> dict[Any, Any]:
    """What all parts show, or only what is wrong with the database they read."""
    shown: dict[Any, Any] = {}
    try:
        for part in parts:
            shown |= await part()
    except DatabaseUnavailable as error:
        return {head: _alarm(error.trouble)}
    return shown


def _alarm(trouble: Trouble | None) -> str:
    """What is wrong with the database and what to do, or nothing."""
    return render("notice.html", text=ADVICE[trouble], kind="refused") if trouble else ""
