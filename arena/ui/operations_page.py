"""The Operations page: models, failures, figures. For the operator; everybody else gets a notice and a way to sign in."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from gradio.context import Context

from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.report import write_report

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
            head: render("operations_locked.html"),
            body: "",
            button: gr.Button(visible=False),
            timer: gr.Timer(active=False),
        }

    async def opened() -> dict[Any, Any]:
        standings = await asyncio.to_thread(context.leaderboard.standings)
        report = write_report(
            await context.arena.figures(),
            context.fleet.statuses(),
            context.settings,
            votes=standings.votes,
            uptime_s=time.monotonic() - started,
        )
        return {
            head: render("operations.html", report=report),
            body: render("operations_models.html", report=report),
            button: gr.Button("Check again", visible=True, interactive=True),
            timer: gr.Timer(active=True),
        }

    async def show(request: gr.Request) -> dict[Any, Any]:
        return await opened() if context.is_operator(request) else locked()

    async def renew(request: gr.Request) -> dict[Any, Any]:
        if not context.is_operator(request):
            return locked()
        report = await opened()
        return {head: report[head], body: report[body]}

    async def check(request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        if not context.is_operator(request):
            yield locked()
            return
        yield {button: gr.Button("Checking…", interactive=False)}
        await context.fleet.prepare()
        yield await opened()

    outputs = [head, body, button, timer]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    Context.root_block.load(show, outputs=outputs, queue=False, **quiet)
    timer.tick(renew, outputs=outputs, queue=False, **quiet)
    button.click(check, outputs=outputs, **quiet)
