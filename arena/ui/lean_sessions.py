"""What pages' sessions remember, without what Gradio keeps in each of them for itself."""

from collections import ChainMap
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.blocks import BlocksConfig
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

_KEPT_CLOSED = timedelta(hours=1)
"""How long a closed page's session is remembered, for a page that only lost its connection."""


class LeanSession(SessionState):
    """What a page's session remembers: only what is its own.

    Gradio's describes every part of all pages for deep links, which took more of a core than a battle, and which the
    gate lets nobody make.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        parts = _OwnParts(blocks.default_config)
        super().__init__(SimpleNamespace(default_config=parts, blocks={}))  # type: ignore[arg-type]

    def _update_config(self, key: int) -> None:
        """Describe nothing."""

    def _update_value_in_config(self, key: int, value: object) -> None:
        """Describe nothing."""


class _OwnParts(BlocksConfig):
    """The parts of all pages as one session sees them: those that changed for it, before those that all share.

    Gradio gives each session lists of its own, of 30 kB: in an arena with visitors most of what its memory grows by.
    """

    def __init__(self, shared: BlocksConfig) -> None:
        vars(self).update(vars(shared))
        self.blocks = ChainMap({}, shared.blocks)  # type: ignore[assignment]

    def __copy__(self) -> "_OwnParts":
        return self

    def config_for_block(self, *_: object, **__: object) -> dict[str, Any]:  # type: ignore[override]
        """Describe nothing."""
        return {}


class LeanSessions(StateHolder):
    """The sessions of all pages: as many as may be, and closed ones for no longer than an hour."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = LeanSession(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """Note that this session is in use, and forget those that are not: with them their events' mailboxes.

        Gradio itself keeps closed sessions until there are too many, and the set of a session's events for ever.
        """
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            while (oldest := next(iter(self.session_data), session_id)) != session_id and self._may_go(oldest):
                self._forget(oldest)

    def _may_go(self, session_id: str) -> bool:
        if len(self.session_data) > self.capacity:
            return True
        session, last_used = self.session_data[session_id], self.time_last_used.get(session_id)
        return session.is_closed and last_used is not None and datetime.now() - last_used > _KEPT_CLOSED

    def _forget(self, session_id: str) -> None:
        del self.session_data[session_id]
        self.time_last_used.pop(session_id, None)
        empty_mailbox(self.blocks, session_id)


def empty_mailbox(blocks: gr.Blocks, session_id: str) -> None:
    """Forget what was to be told to a page that is gone, unless an event still runs for it."""
    queue = blocks._queue
    if not queue.event_ids_to_events.keys() & queue.pending_event_ids_session.get(session_id, set()):
        queue.pending_event_ids_session.pop(session_id, None)
        queue.pending_messages_per_session.pop(session_id, None)


def is_gone(blocks: gr.Blocks, session_id: str) -> bool:
    """Whether a page has been closed, or has lost its connection and not come back yet."""
    session = blocks.state_holder.session_data.get(session_id)
    return session is not None and session.is_closed


def lighten_sessions(app: App) -> None:
    """Let Gradio's application, whose blocks are known, keep lean sessions."""
    blocks = app.get_blocks()
    app.state_holder = LeanSessions()  # type: ignore[no-untyped-call]
    app.state_holder.set_blocks(blocks)
