"""Gradio's blocks, without the work that Gradio does for parts of a page that stay as they are."""

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from copy import copy
from typing import Any, Protocol

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.context import Context, set_render_context
from gradio.events import EventData
from gradio.helpers import special_args
from gradio.state_holder import SessionState
from gradio.utils import get_function_with_locals

from arena.mistakes import Mistakes
from arena.ui.lean_queue import LeanQueue
from arena.ui.lean_values import NotPlainError, is_plain_text, plainly
from arena.ui.running_frames import UNCHANGED, RunningFrames


class OpenLine(Protocol):
    """A page's open stream of events."""

    def say(self, frame: bytes) -> bool:
        """Send a frame at once, or return `False` where that cannot be."""
        ...


class LeanBlocks(gr.Blocks):
    """Spends nothing on unchanged parts.

    For each output that an answer leaves alone Gradio builds a whole component anew, 0.5 ms each: a frame of a battle,
    on a page of 34 parts, cost 16 ms. Here Gradio is shown only the parts that change, and of these not those that only
    change their text or how they look, for each of which it would start a thread and look for files.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as Gradio's
        tell_mistake: Callable[[BaseException], None] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """`tell_mistake` hears of errors in handlers that nobody expected; without one they are logged."""
        self.tell_mistake = tell_mistake or Mistakes().tell
        super().__init__(*args, **kwargs)
        self.lines: dict[str, OpenLine] = {}
        """The open stream of each page, by its session."""
        self._places: dict[int, Mapping[int, int]] = {}

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

    def queue(self, *args: Any, **kwargs: Any) -> "LeanBlocks":  # noqa: ANN401 - as Gradio's
        """Set the queue up, as one that starts events at once."""
        super().queue(*args, **kwargs)
        self._queue = LeanQueue(self._queue, self.tell_mistake)
        return self

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
        if plain and all(map(is_plain_text, parts, inputs)):
            return [part.preprocess(sent) for part, sent in zip(parts, inputs, strict=True)]
        return list(await super().preprocess_data(block_fn, inputs, state, explicit_call))

    async def call_function(
        self,
        block_fn: BlockFunction | int,
        processed_input: list[Any],
        iterator: AsyncIterator[Any] | None = None,
        requests: Any = None,  # noqa: ANN401 - as Gradio's
        event_id: str | None = None,
        event_data: EventData | None = None,
        in_event_listener: bool = False,
        state: SessionState | None = None,
        oauth_token: Any = None,  # noqa: ANN401 - as Gradio's
    ) -> dict[str, Any]:
        """Call an event's function; one that goes on is begun here, where Gradio would start a thread for it."""
        handler = block_fn.fn if isinstance(block_fn, BlockFunction) and _goes_on(block_fn) else None
        if iterator is None and handler is not None:
            inputs, *_ = special_args(handler, processed_input, requests, event_data, token=oauth_token)
            begin = get_function_with_locals(handler, self, event_id, in_event_listener, requests, state)
            iterator = begin(*inputs)
        rest = requests, event_id, event_data, in_event_listener, state, oauth_token
        told: dict[str, Any] = await super().call_function(block_fn, processed_input, iterator, *rest)
        return told

    async def process_api(self, block_fn: BlockFunction | int, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run an event; of one that goes on, tell its page frame after frame until it ends.

        Gradio's queue asks for each frame, and would spend more on the asking than the frame takes.
        """
        frames, event_id = kwargs.get("iterator"), kwargs.get("event_id")
        last = self._last_sent(frames, kwargs.get("session_hash")) if event_id else None
        if last is None or not isinstance(frames, AsyncGenerator) or not isinstance(block_fn, BlockFunction):
            # No part of the arena's pages is a file, so there are no addresses of files to complete in what it sends.
            return await super().process_api(block_fn, *args, **{**kwargs, "root_path": None})
        running, event = RunningFrames(event_id, last), self._queue.event_ids_to_events.get(event_id or "")
        while True:
            started = time.monotonic()
            try:
                frame = await anext(frames)
            except StopAsyncIteration:
                return await super().process_api(block_fn, *args, **kwargs)  # which ends a generator that has ended
            changes = await self._changed_parts(block_fn, frame, kwargs.get("state"))
            if event is None or not event.alive:  # nobody listens, or somebody who asks for each frame
                return _as_gradio_answers(frames, running.differences(changes), time.monotonic() - started)
            self._tell(event.session_hash, running.spell(changes, time.monotonic() - started))

    def _tell(self, session: str, frame: bytes) -> None:
        line = self.lines.get(session)
        if line is None or not line.say(frame):
            self._queue.pending_messages_per_session[session].put_nowait(frame)  # type: ignore[arg-type]

    def _last_sent(self, frames: object, session: str | None) -> list[Any] | None:
        """The values that the page has of an event that goes on; `None` of one that begins."""
        if session is None or not isinstance(frames, AsyncGenerator):
            return None
        return self.pending_diff_streams.get(session, {}).get(self._stream_run_key(frames))

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any], state: SessionState | None
    ) -> list[Any]:
        """Make an answer ready for the browser; one value for each output of the function."""
        ready = await self._changed_parts(block_fn, predictions, state)
        return [ready.get(place, UNCHANGED) for place in range(len(block_fn.outputs))]

    async def _changed_parts(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any], state: SessionState | None
    ) -> dict[int, Any]:
        """What is sent for each part that an answer changes, by its place among the outputs, in their order."""
        changes = self._changes(block_fn, predictions)
        if changes is None:
            return dict(enumerate(await super().postprocess_data(block_fn, predictions, state)))
        ready: dict[int, Any] = {}
        for place, value in changes.items():
            with suppress(NotPlainError):
                ready[place] = plainly(block_fn.outputs[place], value, block_fn.postprocess)
        rest = {place: value for place, value in changes.items() if place not in ready}
        if rest:
            lean = copy(block_fn)
            lean.outputs = [block_fn.outputs[place] for place in rest]
            values = list(rest.values())
            made = await super().postprocess_data(lean, values[0] if len(values) == 1 else values, state)
            ready |= zip(rest, made, strict=True)
        return dict(sorted(ready.items()))

    def _changes(self, block_fn: BlockFunction, predictions: list[Any] | dict[Any, Any]) -> dict[int, Any] | None:
        """The changed outputs' places and values, for an answer that names its outputs; else `None`."""
        outputs = block_fn.outputs
        if not isinstance(predictions, dict) or not predictions or len(outputs) < 2 or block_fn.is_validator_function:
            return None
        places = self._places.get(block_fn._id)
        if places is None:
            places = self._places[block_fn._id] = {output._id: place for place, output in enumerate(outputs)}
        if not all(getattr(part, "_id", None) in places for part in predictions):
            return None
        return {places[part._id]: value for part, value in predictions.items() if value != UNCHANGED}


def _as_gradio_answers(frames: AsyncGenerator[Any], data: list[Any], duration: float) -> dict[str, Any]:
    """A frame of an event that goes on, as Gradio's own `process_api` returns it."""
    return {
        "data": data,
        "is_generating": True,
        "iterator": frames,
        "duration": duration,
        "average_duration": None,
        "render_config": None,
        "changed_state_ids": [],
        "used_cache": None,
    }


def _goes_on(block_fn: BlockFunction) -> bool:
    """Whether its function yields frames, and takes its inputs as they are."""
    as_they_are = not block_fn.inputs_as_dict and not block_fn.component_prop_inputs
    return as_they_are and inspect.isasyncgenfunction(block_fn.fn)


def _in_session(part: Any, state: SessionState | None) -> Any:  # noqa: ANN401 - what Gradio takes
    return state[part._id] if state is not None and part._id in state else part
