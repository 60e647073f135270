"""The box in which a challenge is written, and what stands around it before the first battle."""

from typing import Any

import gradio as gr

from arena.battle import BattleView, Phase
from arena.ui.stage import Updates


class Composer:
    """A text box with its buttons; `with` blocks fill its row of buttons and the fold below.

    It gives way to the stage while a battle is on the page, and takes an abandoned battle's prompt back.
    """

    def __init__(self, label: str, placeholder: str, *, around: tuple[Any, ...] = ()) -> None:
        """`around` are the components that are shown and hidden with the box."""
        self._around = around
        with gr.Column(elem_id="composer") as self.box:
            self.prompt = gr.Textbox(
                label=label,
                placeholder=placeholder,
                lines=1,
                max_lines=14,
                container=False,
                elem_id="challenge-box",
                autofocus=False,
            )
            self.actions = gr.Row(elem_id="composer-actions")
            self.fold = gr.Column(elem_id="composer-fold")

    @property
    def components(self) -> list[Any]:
        """Every component that `show` may change."""
        return [self.box, self.prompt, *self._around]

    def show(self, view: BattleView) -> Updates:
        """Give way to a battle, or take its prompt back when it was abandoned."""
        abandoned = view.phase is Phase.ABANDONED
        prompt = view.turns[-1].prompt if abandoned and view.turns else ""
        return {**self._visible(abandoned, around=False), self.prompt: prompt}

    def clear(self, prompt: str = "") -> Updates:
        """The box as it stands before a battle."""
        return {**self._visible(True, around=True), self.prompt: prompt}

    def _visible(self, box: bool, *, around: bool) -> Updates:
        return {self.box: gr.update(visible=box), **{part: gr.update(visible=around) for part in self._around}}
