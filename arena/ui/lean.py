"""Gradio's blocks, without the work that Gradio does for parts of a page that stay as they are."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState

_UNCHANGED = {"__type__": "update"}


class LeanBlocks(gr.Blocks):
    """Spends nothing on unchanged parts.

    For each output that an answer leaves alone Gradio builds a whole component anew, 0.5 ms each: a frame of a battle,
    on a page of 34 parts, cost 16 ms. Here Gradio is shown only the parts that change.
    """

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any], state: SessionState | None
    ) -> list[Any]:
        """Make an answer ready for the browser; one value for each output of the function."""
        changes = _changes(block_fn.outputs, predictions)
        if changes is None or block_fn.is_validator_function:
            return list(await super().postprocess_data(block_fn, predictions, state))
        if not changes:
            return [dict(_UNCHANGED) for _ in block_fn.outputs]
        lean = copy(block_fn)
        lean.outputs = [block_fn.outputs[place] for place in changes]
        values = list(changes.values())
        ready = await super().postprocess_data(lean, values[0] if len(values) == 1 else values, state)
        by_place = dict(zip(changes, ready, strict=True))
        return [by_place.get(place, dict(_UNCHANGED)) for place in range(len(block_fn.outputs))]


def _changes(outputs: Sequence[Any], predictions: list[Any] | dict[Any, Any]) -> dict[int, Any] | None:
    """The changed outputs' places and values, for an answer that names its outputs; else `None`."""
    if not isinstance(predictions, dict) or not predictions or len(outputs) < 2:
        return None
    places = {output._id: place for place, output in enumerate(outputs)}
    if not all(getattr(part, "_id", None) in places for part in predictions):
        return None
    changed = {places[part._id]: value for part, value in predictions.items() if value != _UNCHANGED}
    return dict(sorted(changed.items()))
