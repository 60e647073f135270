"""The stage of a battle: two panes, the vote and the reveal; the one place where a `BattleView` becomes pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena.battle import BattleView, Phase, Reveal
from arena.rubric import NO_RUBRIC, Rubric
from arena.tables import Side, Winner
from arena.ui.criteria import CriteriaPanel
from arena.ui.html import fragment, render
from arena.ui.panes import SIDES, heading, messages, pane
from arena.ui.reveal import cards, origin, verdict

Updates = dict[Any, Any]
"""New values by component, as Gradio takes them from a handler."""

BALLOT: Mapping[Winner, str] = {
    Winner.MODEL_A: "A is better",
    Winner.TIE: "Tie",
    Winner.BOTH_BAD: "Both are bad",
    Winner.MODEL_B: "B is better",
}
"""The vote buttons from left to right: each model's own button stands under its pane."""

RUNNING = (Phase.QUEUED, Phase.WAITING, Phase.STREAMING)

_STATUS: Mapping[Phase, str] = {
    Phase.QUEUED: "You are in line.",
    Phase.WAITING: "Both models have your challenge.",
    Phase.STREAMING: "Both models are answering.",
    Phase.VOTABLE: "Both answers are complete. Which is better?",
    Phase.REVEALED: "Your vote is stored. This is who answered.",
    Phase.VOID: "This battle cannot be judged.",
    Phase.ABANDONED: "Stopped. Your prompt is back in the box.",
}
_NO_TITLES = ("", "")
_STOP, _LEAVE = "Stop", "Leave the line"


@dataclass(frozen=True, slots=True)
class Wording:
    """What the stage says differently on each page."""

    question: str
    hint: str
    """The line below the vote."""
    idle: tuple[str, str]
    """What stands in the empty panes."""
    rubric: Rubric = NO_RUBRIC
    """What can be rated beside the vote."""
    fresh: str = "New battle"
    can_continue: bool = True
    """Whether a revealed battle can be continued from either answer."""


class Stage:
    """The components of a battle on one page, laid out where the stage is made, and how each state looks."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self.battle = gr.Textbox(visible=False)
        """The battle's id: all that the browser holds of it."""
        self.again = gr.Textbox(visible=False)
        """The prompt of a void battle, to be run again."""
        self.side = gr.Textbox(visible=False)
        """The side whose answer the next prompt continues from; empty for a follow-up to both."""
        self.origin = gr.Textbox(visible=False)
        """The battle and side that this battle continues from, to be able to run it again."""
        self.notice = fragment(elem_id="notice")
        self.challenge = fragment(elem_id="challenge", visible=False)
        with gr.Row(elem_id="status-row"):
            self.status = fragment(_status(None), elem_id="status")
            self.stop = gr.Button(_STOP, elem_id="stop", elem_classes=["quiet"], visible=False, size="sm")
        with gr.Row(elem_id="panes", equal_height=True):
            self.heads, self.answers = zip(*map(pane, SIDES, wording.idle), strict=True)
        self._lay_out_ballot()
        self._lay_out_reveal()
        self._lay_out_next()

    def _lay_out_ballot(self) -> None:
        with gr.Column(elem_id="ballot", visible=False) as self.ballot:
            self.question = fragment(render("question.html", question=self._wording.question), elem_id="question")
            self.criteria = CriteriaPanel(self._wording.rubric)
            with gr.Row(elem_id="votes"):
                self.votes = {
                    winner: gr.Button(
                        label,
                        elem_id=f"vote-{winner.value}",
                        elem_classes=["vote"],
                        interactive=False,
                        min_width=80,
                    )
                    for winner, label in BALLOT.items()
                }
            folded = ", C for the criteria" if len(self._wording.rubric) else ""
            fragment(render("hint.html", hint=self._wording.hint + folded), elem_id="hint")

    def _lay_out_reveal(self) -> None:
        self.cards, self.continues = [], []
        with gr.Column(elem_id="reveal", visible=False) as self.reveal:
            self.verdict = fragment(elem_id="verdict")
            with gr.Row(elem_id="cards", equal_height=True):
                for side in SIDES:
                    with gr.Column(elem_classes=["card", f"card-{side.value}"], min_width=240):
                        self.cards.append(fragment())
                        self.continues.append(
                            gr.Button(
                                "Continue from this answer",
                                elem_id=f"continue-{side.value}",
                                elem_classes=["plain"],
                                visible=self._wording.can_continue,
                            )
                        )

    def _lay_out_next(self) -> None:
        with gr.Row(elem_id="next", visible=False) as self.next:
            self.next_prompt = gr.Textbox(
                label="Ask both a follow-up",
                placeholder="Ask both a follow-up",
                lines=1,
                max_lines=10,
                container=False,
                elem_id="next-prompt",
                scale=1,
            )
            self.next_send = gr.Button("Send", elem_id="next-send", scale=0, min_width=96)
        with gr.Row(elem_id="after", visible=False) as self.after:
            self.run_again = gr.Button("Run this prompt again", variant="primary", elem_id="run-again", visible=False)
            self.fresh = gr.Button(self._wording.fresh, elem_id="new-battle")
            self.withdraw = gr.Button("Withdraw my vote", elem_id="withdraw", elem_classes=["quiet"], visible=False)

    @property
    def components(self) -> list[Any]:
        """Every component that `show` may change."""
        return [
            *(self.battle, self.again, self.side, self.origin),
            *(self.notice, self.challenge, self.status, self.stop),
            *(*self.heads, *self.answers, self.ballot, self.question, *self.criteria.components, *self.votes.values()),
            *(self.reveal, self.verdict, *self.cards, *self.continues),
            *(self.next, self.next_prompt, self.after, self.run_again, self.fresh, self.withdraw),
        ]

    def show(self, view: BattleView, titles: tuple[str, str] = _NO_TITLES) -> Updates:
        """Show a battle as far as it is known; `titles` name the models where the visitor chose them."""
        votable = view.phase is Phase.VOTABLE
        void = view.phase is Phase.VOID
        return {
            self.battle: view.battle_id,
            self.again: view.turns[-1].prompt if void and view.turns else "",
            self.notice: "",
            self.challenge: gr.update(
                value=render("challenge.html", prompt=view.turns[0].prompt if view.turns else ""), visible=True
            ),
            self.status: _status(view),
            self.stop: gr.update(value=_LEAVE if view.phase is Phase.QUEUED else _STOP, visible=view.phase in RUNNING),
            **self.write_on(view, titles),
            self.ballot: gr.update(visible=votable or view.phase in (Phase.WAITING, Phase.STREAMING)),
            self.question: render("question.html", question=view.question),
            **{button: gr.update(interactive=votable) for button in self.votes.values()},
            **self._revealed(view.reveal if view.phase is Phase.REVEALED else None),
            **(self.ask_next(None) if view.phase in RUNNING else {}),
            **(self.criteria.clear() if view.phase is Phase.WAITING else {}),
            self.next: gr.update(visible=votable and view.can_follow_up),
            self.after: gr.update(visible=view.phase not in RUNNING),
            self.run_again: gr.update(visible=void),
        }

    def clear(self) -> Updates:
        """The stage before a battle."""
        return {
            **dict.fromkeys((self.battle, self.again, self.side, self.origin, self.notice), ""),
            self.challenge: gr.update(value="", visible=False),
            self.status: _status(None),
            self.stop: gr.update(visible=False),
            **{
                head: heading(side, idle=idle)
                for head, side, idle in zip(self.heads, SIDES, self._wording.idle, strict=True)
            },
            **{answer: [] for answer in self.answers},
            self.ballot: gr.update(visible=False),
            **self._revealed(None),
            **self.ask_next(None),
            **self.criteria.clear(),
            self.next: gr.update(visible=False),
            self.after: gr.update(visible=False),
        }

    def refuse(self, sentence: str) -> Updates:
        """Say why something was not done, and leave everything else as it is."""
        return {self.notice: render("notice.html", text=sentence, kind="refused")}

    def ask_next(self, side: Side | None, prompt: str = "") -> Updates:
        """Offer the box for the next prompt: to both models, or continuing from one side's answer."""
        label = "Ask both a follow-up" if side is None else f"Continue from {side.value.upper()}’s answer"
        return {
            self.side: side.value if side else "",
            self.next: gr.update(visible=True),
            self.next_prompt: gr.update(value=prompt, label=label, placeholder=label),
        }

    def write_on(self, view: BattleView, titles: tuple[str, str] = _NO_TITLES) -> Updates:
        """The two panes alone: all that changes from one frame of a running battle to the next."""
        updates: Updates = {}
        for index, side in enumerate(SIDES):
            title, detail = titles[index], ""
            if view.reveal is not None:
                title, detail = view.reveal.sides[index].display_name, origin(view.reveal.sides[index])
            idle = self._wording.idle[index] if view.phase is Phase.QUEUED else ""
            state = _pane_state(view, index)
            updates[self.heads[index]] = heading(side, title=title, detail=detail, state=state, idle=idle)
            updates[self.answers[index]] = messages(view.turns, index)
        return updates

    def _revealed(self, reveal: Reveal | None) -> Updates:
        updates: Updates = {
            self.reveal: gr.update(visible=reveal is not None),
            self.withdraw: gr.update(visible=reveal is not None and not reveal.withdrawn),
        }
        if reveal is not None:
            updates[self.verdict] = render("verdict.html", verdict=verdict(reveal), reveal=reveal)
            for place, card in zip(self.cards, cards(reveal), strict=True):
                updates[place] = render("card.html", card=card)
        return updates


def _pane_state(view: BattleView, index: int) -> str:
    if view.phase not in RUNNING or view.phase is Phase.QUEUED:
        return ""
    has_text = bool(view.turns and view.turns[-1].answers[index])
    if view.waiting[index] and has_text:
        return "still writing"
    return "" if has_text else "thinking"


def _status(view: BattleView | None) -> str:
    if view is None:
        return render("status.html", phase="idle", text="")
    text = view.notice or _STATUS[view.phase]
    if view.reveal is not None and view.reveal.withdrawn:
        text = "Your vote is withdrawn."
    return render("status.html", phase=view.phase.value, text=text)
