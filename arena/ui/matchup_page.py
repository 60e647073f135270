"""The battles of two models, for the operator who opened a cell of the matrix. Others get a way to sign in."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from arena.pair_battles import read_matchup
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.wiring import AT_ONCE


def build_matchup_page(context: PageContext) -> None:
    """Lay out the page inside the current route. Nothing of it is in the page before its handler knew who asks."""
    body = fragment(elem_id="matchup")

    async def show(request: gr.Request) -> dict[Any, Any]:
        asked = _read(request.query_params)
        if not context.is_operator(request):
            return {body: render("matchup_locked.html", back=f"/matchup?{urlencode(asked)}")}
        page = await asyncio.to_thread(read_matchup, context.database, *asked.values())
        return {body: render("matchup.html", page=page, asked=asked)}

    gr.on(None, show, None, [body], **AT_ONCE)


def _read(query: Mapping[str, str]) -> dict[str, int]:
    """The two revisions and the page that an address names; 0 and 1 where it names none."""
    given = {name: str(query.get(name, "")) for name in ("first", "second", "page")}
    numbers = {name: int(text) if text.isdecimal() and len(text) < 10 else 0 for name, text in given.items()}
    return {**numbers, "page": max(numbers["page"], 1)}
