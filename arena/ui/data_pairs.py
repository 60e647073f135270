"""What the votes teach: pairs kept and held back, each count with the battles behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena.config import Settings
from arena.preferences.desk import PreferenceDesk, Reading
from arena.preferences.filters import Filters, filters_of
from arena.preferences.gates import SENTENCES
from arena.preferences.manifest import FileFormat
from arena.preferences.rules import problems_of, rules_of
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.wiring import LISTENING

KEPT = "kept"
"""The votes that make lessons, as an address names them."""
BUSY = "The votes are being read already: ask again once that is done."
_READERS: Mapping[FileFormat, str] = {"openai": "OpenAI", "vertex": "Vertex AI", "trl": "TRL"}
_ALSO = [("Imported votes", "imported"), ("Votes on named models", "side_by_side"), ("Stricter on conflicts", "strict")]


@dataclass(frozen=True, slots=True)
class CountLine:
    """A number of votes and why."""

    sentence: str
    votes: str
    reason: str
    kind: str
    """`kept`, `held` or `none` (no pair by its nature)."""


def count_lines(reading: Reading) -> Sequence[CountLine]:
    """What became of every vote: kept, held back, and what is no pair by its nature; the largest first."""
    selection = reading.selection
    pairs = "pair" if selection.lessons_kept == 1 else "pairs"
    kept = CountLine(f"Kept: {selection.lessons_kept:,} {pairs}.", f"{selection.kept:,}", KEPT, "kept")
    lines = [kept]
    for kind, counts in (("held", selection.held_back_counts), ("none", selection.no_pair)):
        largest = sorted(counts.items(), key=lambda one: -one[1])
        lines += [CountLine(SENTENCES[reason], f"{votes:,}", reason, kind) for reason, votes in largest]
    return lines


def readiness(settings: Settings, reading: Reading) -> Sequence[tuple[str, str]]:
    """By platform: what is missing until it takes a file of all pairs; empty if nothing is."""
    pairs = reading.selection.lessons_kept
    return [
        (reader, " ".join(problems_of(rules_of(settings, name), "train", pairs))) for name, reader in _READERS.items()
    ]


def told_work(desk: PreferenceDesk, *, exporting: bool) -> str:
    """What is being done or was not done, in the section that asked for it."""
    own = desk.exporting is exporting
    return render("data_work.html", work=desk.work if own else None, failure=desk.failure if own else None)


class PairsSection:
    """The section and its handlers."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]]) -> None:
        self._context = context
        self._locked = locked
        criteria = [("The vote itself", ""), *((one.name, one.id) for one in context.rubric.criteria)]
        self._title = fragment(elem_id="data-pairs-title")
        with gr.Row(visible=False, elem_classes=["data-form"]) as self._form:
            self._criterion = gr.Dropdown(
                criteria, value="", label="Judged by", elem_classes=["choice"], filterable=False, min_width=200
            )
            self._also = gr.CheckboxGroup(_ALSO, value=[], label="Take also", min_width=260, elem_id="take-also")
            self._look = gr.Button("Look again", elem_id="look-again", size="sm", min_width=140)
        self._said = fragment(elem_id="data-work")
        self._body = fragment(elem_id="data-pairs")
        self.components: list[Any] = [
            *(self._title, self._form, self._criterion, self._also, self._look, self._said, self._body)
        ]
        self.choices: list[Any] = [self._criterion, self._also]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the button."""
        self._look.click(self._begin, self.choices, outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {self._title: "", self._form: gr.update(visible=False), self._said: "", self._body: ""}

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """All of it."""
        title = render("data_title.html", anchor="pairs", title="Pairs", lead=_LEAD)
        return {self._title: title, self._form: gr.update(visible=True), **await self.renew(asked)}

    async def renew(self, _: Mapping[str, str]) -> dict[Any, Any]:
        """The counts, and how far a reading is."""
        desk = self._context.preferences
        reading = desk.reading
        body = ""
        if reading is not None:
            ready = readiness(self._context.settings, reading)
            criterion = self._named(reading.filters)
            body = render(
                "data_pairs.html", reading=reading, lines=count_lines(reading), ready=ready, criterion=criterion
            )
        elif desk.work is None:
            body = render("data_unread.html")
        return {self._said: told_work(desk, exporting=False), self._body: body}

    async def _begin(self, criterion: str | None, also: list[str] | None, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        begun = self._context.preferences.look(asked_filters(self._context.settings, criterion, also))
        return await self.renew({}) if begun else {self._said: render("notice.html", text=BUSY, kind="refused")}

    def _named(self, filters: Filters) -> str:
        known = {one.id: one.name for one in self._context.rubric.criteria}
        return known.get(filters.criterion, filters.criterion)


_LEAD = (
    "Every vote that prefers one answer to another can teach a model. What cannot, or should not, is held back here."
)


def asked_filters(
    settings: Settings, criterion: str | None, also: Sequence[str] | None, *, negatives: bool = False
) -> Filters:
    """The filters that the page's choices mean."""
    taken = {name: name in (also or ()) for _, name in _ALSO}
    return filters_of(settings, criterion=criterion or "", negatives=negatives, **taken)
