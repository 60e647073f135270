"""Values of a page's parts that can be sent and read without the work that Gradio does for files and pictures."""

from typing import Any

import gradio as gr

_LOOKS = {"visible", "interactive", "label", "placeholder", "elem_classes", "active"}
"""Properties that only the browser needs to know of: nothing that comes back is read by them."""
_TEXTS = (gr.Markdown, gr.Textbox, gr.Button, gr.Radio)
"""Parts whose value is text that Gradio sends as it is, or stripped of indentation; no file hides in it."""


class NotPlainError(Exception):
    """Gradio has to make this value ready itself."""


def is_plain_text(part: object, value: object) -> bool:
    """Whether this value of the part is text that no file hides in, on its way to the browser or from it."""
    return isinstance(part, _TEXTS) and (value is None or isinstance(value, str))


def plainly(block: Any, value: Any, postprocess: bool) -> Any:  # noqa: ANN401 - what Gradio takes
    """What is sent for a part that changes its text, its looks, or both.

    Raises:
        NotPlainError: more than that changes.

    """
    if not isinstance(value, dict):
        return _text(block, value, postprocess)
    looks = {name: said for name, said in value.items() if name not in ("__type__", "value") and said is not None}
    if value.get("__type__") != "update" or not looks.keys() <= _LOOKS:
        raise NotPlainError
    text = {"value": _text(block, value["value"], postprocess)} if "value" in value else {}
    return {**looks, **text, "__type__": "update"}


def _text(block: Any, value: Any, postprocess: bool) -> Any:  # noqa: ANN401 - what Gradio takes
    if isinstance(block, gr.Chatbot) and not postprocess:
        return value
    if not is_plain_text(block, value):
        raise NotPlainError
    return block.postprocess(value) if postprocess else value
