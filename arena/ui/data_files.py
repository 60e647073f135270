"""Training files: made from the votes as they are now, listed with what is in them, and fetched from here."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from arena.errors import ArenaError
from arena.preferences.shelf import shelved_files
from arena.ui.context import PageContext
from arena.ui.data_pairs import BUSY, asked_filters, told_work
from arena.ui.html import fragment, render
from arena.ui.wiring import LISTENING

_FORMATS = [
    ("OpenAI, preferences", "openai"),
    ("Vertex AI, preferences", "vertex"),
    ("TRL, DPO", "trl"),
    ("TRL, KTO", "kto"),
    ("Supervised, chosen answers", "sft"),
]
FORMAT_NAMES = {value: name for name, value in _FORMATS}
_SHARES = [("None", "0"), ("5% of the prompts", "0.05"), ("10% of the prompts", "0.1"), ("20% of the prompts", "0.2")]
_LEAD = (
    "A file holds the pairs as chosen above, as they are now. Its manifest tells its hash, its filters and its counts, "
    "and a list names the battle of each line."
)
_MOST = 30
"""Files that the page lists."""


class FilesSection:
    """The section and its handlers."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]], choices: list[Any]) -> None:
        """`choices` are the components that say which votes are taken."""
        self._context = context
        self._locked = locked
        self._choices = choices
        self._title = fragment(elem_id="data-files-title")
        with gr.Row(visible=False, elem_classes=["data-form"]) as self._form:
            self._format = gr.Dropdown(
                _FORMATS, value="openai", label="Format", elem_classes=["choice"], filterable=False, min_width=220
            )
            self._share = gr.Dropdown(
                _SHARES, value="0.1", label="For validation", elem_classes=["choice"], filterable=False, min_width=180
            )
            self._make = gr.Button("Make the file", elem_id="make-file", size="sm", min_width=140)
        self._said = fragment(elem_id="data-file-said")
        self._body = fragment(elem_id="data-files")
        self.components: list[Any] = [
            *(self._title, self._form, self._format, self._share, self._make, self._said, self._body)
        ]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the button."""
        self._make.click(self._begin, [self._format, self._share, *self._choices], outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {self._title: "", self._form: gr.update(visible=False), self._said: "", self._body: ""}

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """All of it."""
        title = render("data_title.html", anchor="files", title="Files", lead=_LEAD)
        return {self._title: title, self._form: gr.update(visible=True), **await self.renew(asked)}

    async def renew(self, _: Mapping[str, str]) -> dict[Any, Any]:
        """The list, and how far a file is."""
        files = await asyncio.to_thread(shelved_files, self._context.settings)
        return {
            self._said: told_work(self._context.preferences, exporting=True),
            self._body: render("data_files.html", files=files[:_MOST], more=len(files) - _MOST, names=FORMAT_NAMES),
        }

    async def _begin(
        self,
        file_format: Any,  # noqa: ANN401 - one of the formats, as the dropdown has checked
        share: str | None,
        criterion: str | None,
        also: list[str] | None,
        request: gr.Request,
    ) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        filters = asked_filters(self._context.settings, criterion, also, negatives=file_format == "kto")
        try:
            begun = self._context.preferences.export(file_format, filters, float(share or 0))
        except ArenaError as error:
            return {self._said: render("notice.html", text=str(error), kind="refused")}
        return await self.renew({}) if begun else {self._said: render("notice.html", text=BUSY, kind="refused")}
