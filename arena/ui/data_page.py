"""The Data page, for the operator: what the votes teach, files, tuning jobs, lineage. Others get a way to sign in.

Its address says which view it is: the whole (`/data`), the battles behind a count (`?reason=…&page=…`), one battle
(`?battle=…`) or one job (`?job=…`).
"""

from collections.abc import Mapping
from typing import Any, Protocol

import gradio as gr

from arena.ui.context import PageContext
from arena.ui.data_battles import BattlesSection
from arena.ui.data_files import FilesSection
from arena.ui.data_job import JobSection
from arena.ui.data_lineage import LineageSection
from arena.ui.data_pairs import PairsSection
from arena.ui.data_tuning import TuningSection
from arena.ui.html import fragment, render
from arena.ui.stage import Updates
from arena.ui.wiring import AT_ONCE

REFRESH_S = 2.0
"""How often an open page is renewed: jobs, and what is being read or written."""


class Section(Protocol):
    """A part of the page; its handlers find out for themselves who asks."""

    components: list[Any]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the buttons; `outputs` are all components of the page."""

    def clear(self) -> Updates:
        """What it is to anybody but the operator, and in views that it is no part of."""

    async def show(self, asked: Mapping[str, str]) -> Updates:
        """All of it as it is now, for the operator."""

    async def renew(self, asked: Mapping[str, str]) -> Updates:
        """What may have changed by itself."""


def build_data_page(context: PageContext) -> None:
    """Lay out the page inside the current route. Nothing of it is in the page before its handlers knew who asks."""
    _DataPage(context).wire()


class _DataPage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._head = fragment(elem_id="data-head")
        pairs = PairsSection(context, self._locked)
        files = FilesSection(context, self._locked, pairs.choices)
        tuning = TuningSection(context, self._locked)
        self._known = tuning.known
        self._whole: list[Section] = [pairs, files, tuning, LineageSection(context)]
        self._battles: list[Section] = [BattlesSection(context, self._locked)]
        self._job: list[Section] = [JobSection(context, self._locked)]
        self._sections = [*self._whole, *self._battles, *self._job]
        self._timer = gr.Timer(REFRESH_S, active=False)

    def wire(self) -> None:
        """Connect every section, the page's loading and its timer."""
        outputs = [self._head, self._timer, *(part for section in self._sections for part in section.components)]
        for section in self._sections:
            section.wire(outputs)
        gr.on(None, self._show, None, outputs, **AT_ONCE)
        self._timer.tick(self._renew, [self._known], outputs, **AT_ONCE)

    def _cleared(self) -> Updates:
        return {part: value for section in self._sections for part, value in section.clear().items()}

    def _locked(self) -> Updates:
        sign_in = render("locked.html", title="Data", back="/data")
        return {**self._cleared(), self._head: sign_in, self._timer: gr.update(active=False)}

    def _shown(self, asked: Mapping[str, str]) -> list[Section]:
        if asked["job"]:
            return self._job
        return self._battles if asked["reason"] or asked["battle"] else self._whole

    async def _show(self, request: gr.Request) -> Updates:
        if not self._context.is_operator(request):
            return self._locked()
        asked = _read(request.query_params)
        shown = self._shown(asked)
        updates = self._cleared()
        for section in shown:
            updates |= await section.show(asked)
        head = render("data_head.html", whole=shown is self._whole)
        return {**updates, self._head: head, self._timer: gr.update(active=shown is not self._battles)}

    async def _renew(self, known: str, request: gr.Request) -> Updates:
        if not self._context.is_operator(request):
            return self._locked()
        asked = {**_read(request.query_params), "known": known}
        updates: Updates = {}
        for section in self._shown(asked):
            updates |= await section.renew(asked)
        return updates


def _read(query: Mapping[str, str]) -> Mapping[str, str]:
    """What an address asks for; empty where it does not say."""
    return {name: str(query.get(name, ""))[:100] for name in ("reason", "page", "battle", "job")}
