"""The controls of pages with named models: which model, and how its answer is sampled."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena.errors import BattleError
from arena.fleet import Fleet
from arena.providers.base import Sampling

MAX_NEW_TOKENS = 8192
"""As far as the slider goes."""


@dataclass(frozen=True, slots=True)
class SamplingControls:
    """Temperature, top-p and length, folded away."""

    temperature: gr.Slider
    top_p: gr.Slider
    max_new_tokens: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """In the order in which `read_sampling` takes them."""
        return [self.temperature, self.top_p, self.max_new_tokens]


def sampling_fold() -> SamplingControls:
    """Lay out the sampling controls, closed, with the arena's defaults."""
    default = Sampling()
    with gr.Accordion("Sampling", open=False, elem_id="sampling"), gr.Row():
        return SamplingControls(
            gr.Slider(0, 2, default.temperature, step=0.05, label="Temperature", min_width=200),
            gr.Slider(0.05, 1, default.top_p, step=0.05, label="Top-p", min_width=200),
            gr.Slider(16, MAX_NEW_TOKENS, default.max_new_tokens, step=16, label="Maximum tokens", min_width=200),
        )


def read_sampling(temperature: float, top_p: float, max_new_tokens: float) -> Sampling:
    """What the controls say; a browser can send anything, so it is held to their limits."""
    try:
        chosen = Sampling(float(temperature), float(top_p), int(max_new_tokens))
    except (TypeError, ValueError):
        raise BattleError("The sampling settings are not numbers.") from None
    if not (0 <= chosen.temperature <= 2 and 0 < chosen.top_p <= 1 and 1 <= chosen.max_new_tokens <= MAX_NEW_TOKENS):
        raise BattleError("The sampling settings are out of range.")
    return chosen


def model_choice(label: str, elem_id: str) -> gr.Dropdown:
    """A list of models by name, filled when the page is opened (which models are ready changes)."""
    return gr.Dropdown(
        [], label=label, elem_id=elem_id, elem_classes=["choice"], interactive=True, filterable=False, min_width=220
    )


def ready_models(fleet: Fleet) -> list[tuple[str, str]]:
    """(Display name, id) of each model that can be chosen now."""
    return [(entry.display_name or entry.id, entry.id) for entry in fleet.nameable()]


def name_of(fleet: Fleet, model_id: str) -> str:
    """The display name of a chosen model.

    Raises:
        BattleError: no such model can be chosen now.

    """
    for name, known in ready_models(fleet):
        if known == model_id:
            return name
    raise BattleError("Choose a model that is ready.")
