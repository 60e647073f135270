"""The criteria beside the vote: a row for each, A, even, B or nothing, folded away until somebody wants them.

The fold opens and closes in the browser (`assets/criteria.js`), which also remembers for whom it stands open.
"""

from typing import Any

import gradio as gr

from arena.rubric import Rubric
from arena.tables import Winner
from arena.ui.html import fragment, render

NOT_RATED = ""
"""What a row says before anything was chosen, and after a choice was taken back."""

_CHOICES: list[tuple[str, str]] = [
    ("A", Winner.MODEL_A.value),
    ("Even", Winner.TIE.value),
    ("B", Winner.MODEL_B.value),
    ("Not rated", NOT_RATED),
]


class CriteriaPanel:
    """The rows of a rubric on one page, laid out where the panel is made; nothing at all for an empty rubric."""

    def __init__(self, rubric: Rubric) -> None:
        self._ids = [criterion.id for criterion in rubric]
        self._rows: list[gr.Radio] = []
        self._version = gr.Textbox(rubric.version, visible=False)
        if not self._ids:
            return
        title = f"Rate {len(rubric)} criteria too" if len(rubric) > 1 else "Rate a criterion too"
        # An accordion would draw the rows when it is opened, and lose what is chosen in that moment.
        gr.Button(title, elem_id="criteria-fold", elem_classes=["quiet"], size="sm")
        with gr.Column(elem_id="criteria"):
            with gr.Column(elem_id="criteria-rows"):
                for criterion in rubric:
                    row = gr.Radio(
                        _CHOICES,
                        value=NOT_RATED,
                        label=criterion.name,
                        info=criterion.question,
                        interactive=True,
                        min_width=280,
                        elem_classes=["criterion"],
                    )
                    self._rows.append(row)
            fragment(render("criteria_poles.html", rubric=rubric, keys=_keys(rubric)), elem_id="criteria-poles")

    @property
    def components(self) -> list[Any]:
        """Every component that `clear` changes."""
        return list(self._rows)

    @property
    def inputs(self) -> list[Any]:
        """What a vote's handler takes, in the order in which `read` wants it."""
        return [self._version, *self._rows]

    def clear(self) -> dict[Any, Any]:
        """Every row as before anything was chosen."""
        return dict.fromkeys(self._rows, NOT_RATED)

    def read(self, version: str, *chosen: str | None) -> tuple[dict[str, str], str]:
        """The criteria that were rated, and the version of the rubric that the page showed."""
        return {name: word for name, word in zip(self._ids, chosen, strict=True) if word}, version


def _keys(rubric: Rubric) -> str:
    """How the rows are reached by keys, in words."""
    numbers = "1" if len(rubric) == 1 else f"1 to {len(rubric)}"
    return f"Keys: {numbers} to pick a row, then ← for A, → for B, ↑ for even, Backspace to take it back"
