"""Gradio's blocks, without the work that Gradio does for parts of a page that stay as they are."""

import time
from collections import ChainMap
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from copy import copy
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.blocks import BlocksConfig
from gradio.context import Context, set_render_context
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import diff

_UNCHANGED = {"__type__": "update"}
_LOOKS = {"visible", "interactive", "label", "placeholder", "elem_classes", "active"}
"""Properties that only the browser needs to know of: nothing that comes back is read by them."""
_TEXTS = (gr.Markdown, gr.Textbox, gr.Button, gr.Radio)
"""Parts whose value is text that Gradio sends as it is, or stripped of indentation; no file hides in it."""


class _NotPlainError(Exception):
    """Gradio has to make this value ready itself."""


class LeanBlocks(gr.Blocks):
    """Spends nothing on unchanged parts.

    For each output that an answer leaves alone Gradio builds a whole component anew, 0.5 ms each: a frame of a battle,
    on a page of 34 parts, cost 16 ms. Here Gradio is shown only the parts that change, and of these not those that only
    change their text or how they look, for each of which it would start a thread and look for files.
    """

    def __exit__(self, exc_type: type[BaseException] | None = None, *args: object) -> None:
        """Leave a page's layout; Gradio would build a whole application after each page, and throw it away."""
        if exc_type is not None:
            super().__exit__(exc_type, *args)
            return
        self.fill_expected_parents()  # type: ignore[no-untyped-call]
        set_render_context(self.parent)
        self.default_config.attach_load_events()
        if self.parent is None:
            Context.root_block = None
        else:
            self.parent.children.extend(self.children)
        self.progress_tracking = any(  # type: ignore[assignment]
            function.tracks_progress for function in self.fns.values()
        )
        self.page = ""
        self.exited = True

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """Read what the browser sent; texts at once, where Gradio would look for files and start a thread for each."""
        self.validate_inputs(block_fn, inputs)
        parts = [_in_session(part, state) for part in block_fn.inputs]
        plain = block_fn.preprocess and not block_fn.component_prop_inputs
        if plain and all(isinstance(part, _TEXTS) and _is_text(sent) for part, sent in zip(parts, inputs, strict=True)):
            return [part.preprocess(sent) for part, sent in zip(parts, inputs, strict=True)]
        return list(await super().preprocess_data(block_fn, inputs, state, explicit_call))

    async def process_api(self, block_fn: BlockFunction | int, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run an event; of one that goes on, only ask for the next frame and tell what it changes."""
        frames = kwargs.get("iterator")
        last = self._last_sent(frames, kwargs.get("session_hash")) if kwargs.get("event_id") else None
        if last is None or not isinstance(frames, AsyncGenerator) or not isinstance(block_fn, BlockFunction):
            return await super().process_api(block_fn, *args, **kwargs)
        started = time.monotonic()
        try:
            frame = await anext(frames)
        except StopAsyncIteration:
            return await super().process_api(block_fn, *args, **kwargs)  # which ends a generator that has ended
        data = await self.postprocess_data(block_fn, frame, kwargs.get("state"))
        return {
            "data": _differences(last, data),
            "is_generating": True,
            "iterator": frames,
            "duration": time.monotonic() - started,
            "average_duration": None,
            "render_config": None,
            "changed_state_ids": [],
            "used_cache": None,
        }

    def _last_sent(self, frames: object, session: str | None) -> list[Any] | None:
        """The values that the page has of an event that goes on; `None` of one that begins."""
        if session is None or not isinstance(frames, AsyncGenerator):
            return None
        return self.pending_diff_streams.get(session, {}).get(self._stream_run_key(frames))

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any], state: SessionState | None
    ) -> list[Any]:
        """Make an answer ready for the browser; one value for each output of the function."""
        changes = _changes(block_fn.outputs, predictions)
        if changes is None or block_fn.is_validator_function:
            return list(await super().postprocess_data(block_fn, predictions, state))
        ready: dict[int, Any] = {}
        for place, value in changes.items():
            with suppress(_NotPlainError):
                ready[place] = _plainly(block_fn.outputs[place], value, block_fn.postprocess)
        rest = {place: value for place, value in changes.items() if place not in ready}
        if rest:
            lean = copy(block_fn)
            lean.outputs = [block_fn.outputs[place] for place in rest]
            values = list(rest.values())
            made = await super().postprocess_data(lean, values[0] if len(values) == 1 else values, state)
            ready |= zip(rest, made, strict=True)
        return [ready.get(place, _UNCHANGED) for place in range(len(block_fn.outputs))]


class LeanSession(SessionState):
    """What a page's session remembers: only what is its own.

    Gradio's has a list of every part and event of all pages, 36 kB, and describes them for deep links, which took more
    of a core than a battle and which the gate lets nobody make.
    """

    def __init__(self, layers: BlocksConfig) -> None:
        """`layers` are the parts that all sessions share, as `_layered` makes them."""
        super().__init__(SimpleNamespace(default_config=layers, blocks={}))  # type: ignore[arg-type]
        self.blocks_config.config_for_block = _no_description  # type: ignore[method-assign]

    def _update_config(self, key: int) -> None:
        """Describe nothing."""

    def _update_value_in_config(self, key: int, value: object) -> None:
        """Describe nothing."""


class LeanSessions(StateHolder):
    """The sessions of all pages."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.set_blocks(blocks)
        self._layers = _layered(blocks.default_config)

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = LeanSession(self._layers)
        return super().__getitem__(session_id)


def lighten_sessions(app: App) -> None:
    """Let Gradio's application, whose blocks are known, keep lean sessions."""
    app.state_holder = LeanSessions(app.get_blocks())


def _differences(last: list[Any], data: list[Any]) -> list[Any]:
    """What each value changes of the last one sent, which it replaces: empty where nothing does."""
    told = []
    for place, value in enumerate(data):
        before, last[place] = last[place], value
        told.append([] if value is before else diff(before, value))  # type: ignore[no-untyped-call]
    return told


def _in_session(part: Any, state: SessionState | None) -> Any:  # noqa: ANN401 - what Gradio takes
    return state[part._id] if state is not None and part._id in state else part


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _layered(config: BlocksConfig) -> BlocksConfig:
    """The same parts and events, of which a copy holds only what was changed in it."""
    layers = copy(config)
    layers.blocks, layers.fns = ChainMap({}, config.blocks), ChainMap({}, config.fns)  # type: ignore[assignment]
    return layers


def _no_description(*_: object, **__: object) -> dict[str, Any]:
    return {}


def _plainly(block: Any, value: Any, postprocess: bool) -> Any:  # noqa: ANN401 - what Gradio takes
    """What is sent for a part that changes its text, its looks, or both.

    Raises:
        _NotPlainError: more than that changes.

    """
    if not isinstance(value, dict):
        return _text(block, value, postprocess)
    looks = {name: said for name, said in value.items() if name not in ("__type__", "value") and said is not None}
    if value.get("__type__") != "update" or not looks.keys() <= _LOOKS:
        raise _NotPlainError
    text = {"value": _text(block, value["value"], postprocess)} if "value" in value else {}
    return {**looks, **text, "__type__": "update"}


def _text(block: Any, value: Any, postprocess: bool) -> Any:  # noqa: ANN401 - what Gradio takes
    if isinstance(block, gr.Chatbot) and not postprocess:
        return value
    if not isinstance(block, _TEXTS) or not _is_text(value):
        raise _NotPlainError
    return block.postprocess(value) if postprocess else value


def _changes(outputs: Sequence[Any], predictions: list[Any] | dict[Any, Any]) -> dict[int, Any] | None:
    """The changed outputs' places and values, for an answer that names its outputs; else `None`."""
    if not isinstance(predictions, dict) or not predictions or len(outputs) < 2:
        return None
    places = {output._id: place for place, output in enumerate(outputs)}
    if not all(getattr(part, "_id", None) in places for part in predictions):
        return None
    changed = {places[part._id]: value for part, value in predictions.items() if value != _UNCHANGED}
    return dict(sorted(changed.items()))
