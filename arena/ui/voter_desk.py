"""Where the operator reads how voters vote, and decides whether votes count: foreseen first, then applied."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena.consistency import read_voter_findings
from arena.decision_preview import Preview, preview
from arena.errors import ArenaError
from arena.tables import VoterVerdict
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.judging import tell_ways
from arena.ui.wiring import LISTENING
from arena.voter_decisions import decide, find_voter
from arena.voter_review import ReviewedVoter, VoterReview, review_voters

_CHOICES = [("Count", "count"), ("Hold", "hold"), ("Exclude", "exclude")]
_DONE = {VoterVerdict.COUNT: "counted", VoterVerdict.HOLD: "held", VoterVerdict.EXCLUDE: "excluded"}
_MOST_COMPARED = 50
_SHORT = 12
"""Characters of an id that a choice shows; whole ids stand in the table."""


@dataclass(frozen=True, slots=True)
class VoterLine:
    """A voter who was flagged, or about whom something was decided."""

    voter: str
    votes: str
    noticed: str
    decision: str


def lines_of(review: VoterReview) -> list[VoterLine]:
    """The voters whom the operator should see, those that wait for a decision first."""
    return [
        VoterLine(v.voter_id, f"{v.votes:,}", v.sentence[0].upper() + v.sentence[1:], _decided(v))
        for v in review.voters
        if v.pattern or v.decision
    ]


def _decided(voter: ReviewedVoter) -> str:
    if voter.decision is None:
        return "waits for yours" if voter.waits else ""
    return f"{_DONE[voter.decision]}: {voter.decision_reason}"


class VoterDesk:
    """The section and its handlers. Each finds out for itself who asks; `locked` is what anybody else gets."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]]) -> None:
        self._context = context
        self._locked = locked
        self._review = fragment(elem_id="operations-voters")
        with gr.Column(visible=False, elem_id="voter-decision") as self._form:
            with gr.Row():
                self._voter = gr.Dropdown(
                    [], label="Voter", elem_classes=["choice"], filterable=False, interactive=True, min_width=220
                )
                self._decision = gr.Radio(_CHOICES, value="hold", label="Decision", min_width=220)
            self._reason = gr.Textbox(label="Reason, as the voter could be told", max_lines=3)
            self._foresee = gr.Button("Show what it changes", elem_id="foresee", size="sm")
            self._foreseen = fragment(elem_id="voter-foreseen")
            self._ready = gr.Textbox(visible=False)
            self._apply = gr.Button("Apply", visible=False, variant="primary", elem_id="apply-decision", size="sm")
        self._compare = gr.Button("Compare how voters judge", visible=False, elem_id="compare-voters", size="sm")
        self._ways = fragment(elem_id="operations-ways")
        self.components: list[Any] = [
            *(self._compare, self._ways, self._review, self._form, self._voter, self._decision, self._reason),
            *(self._foreseen, self._ready, self._apply),
        ]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the buttons; `outputs` are all components of the page."""
        given = [self._voter, self._decision, self._reason]
        self._foresee.click(self._show_change, given, outputs, **LISTENING)
        self._compare.click(self._show_ways, None, outputs, **LISTENING)
        self._apply.click(self._take, [self._ready, self._reason], outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """What the section is to anybody but the operator."""
        return {
            self._review: "",
            self._compare: gr.update(visible=False),
            self._ways: "",
            self._form: gr.update(visible=False),
            self._voter: gr.update(choices=[], value=None),
            **self._nothing_foreseen(),
        }

    async def show(self) -> dict[Any, Any]:
        """The section as it is now. Only ever called for the operator."""
        review = await asyncio.to_thread(review_voters, self._context.database)
        lines = lines_of(review)
        choices = [(_name(line.voter), line.voter) for line in lines]
        return {
            self._review: render("operations_voters.html", review=review, lines=lines),
            self._compare: gr.update(visible=bool(review.voters)),
            self._form: gr.update(visible=bool(lines)),
            self._voter: gr.update(choices=choices, value=lines[0].voter if lines else None),
        }

    async def _show_ways(self, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        found = await asyncio.to_thread(
            read_voter_findings, self._context.database, self._context.rubric, _MOST_COMPARED
        )
        return {self._ways: render("operations_ways.html", rows=[tell_ways(voter) for voter in found])}

    async def _show_change(self, voter: str | None, decision: str, reason: str, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        if not reason.strip():
            return self._say("Give a reason first; it is kept with the decision and with the votes.")
        try:
            chosen = VoterVerdict(decision)
            known = await asyncio.to_thread(find_voter, self._context.database, voter or "")
            foreseen = await asyncio.to_thread(preview, self._context.database, [known], chosen)
        except (ArenaError, ValueError) as error:
            return self._say(str(error))
        return {
            self._foreseen: render("operations_foreseen.html", foreseen=foreseen, rows=_rows(foreseen)),
            self._ready: f"{chosen.value} {known}",
            self._apply: gr.update(visible=True, value=f"{chosen.value.capitalize()} the votes of {_name(known)}"),
        }

    async def _take(self, ready: str, reason: str, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        decision, _, voter = ready.partition(" ")
        try:
            chosen = VoterVerdict(decision)
            votes = await asyncio.to_thread(decide, self._context.database, voter, chosen, reason)
        except (ArenaError, ValueError) as error:
            return self._say(str(error))
        done = f"{_name(voter)}: {votes:,} votes are {_DONE[chosen]} now, and so are later ones."
        return {**await self.show(), **self._say(done, kind="done"), self._reason: ""}

    def _say(self, sentence: str, kind: str = "refused") -> dict[Any, Any]:
        return {**self._nothing_foreseen(), self._foreseen: render("notice.html", text=sentence, kind=kind)}

    def _nothing_foreseen(self) -> dict[Any, Any]:
        return {self._foreseen: "", self._ready: "", self._apply: gr.update(visible=False)}


def _name(voter: str) -> str:
    return voter if len(voter) <= _SHORT else f"{voter[:_SHORT]}…"


def _rows(foreseen: Preview) -> list[dict[str, str]]:
    return [
        {
            "name": row.display_name,
            "rating": _change(_points(row.rating_now), _points(row.rating_then)),
            "rank": _change(row.rank_now, row.rank_then),
            "votes": _change(f"{row.votes_now:,}", f"{row.votes_then:,}"),
        }
        for row in foreseen.rows
    ]


def _points(rating: float | None) -> str:
    return "unrated" if rating is None else f"{rating:.0f}"


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"
