"""The ways in which events of a page are wired to their handlers."""

from typing import Any

LISTENING: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "once",
    "postprocess": False,
}
"""How every event is wired: hidden from programs, without Gradio's progress, and values sent as they are."""

STREAMING: dict[str, Any] = {**LISTENING, "concurrency_limit": None}
"""For a handler that goes on; any number of them at a time."""

AT_ONCE: dict[str, Any] = {**LISTENING, "queue": False}
"""For a handler that is soon done: it is not put in the queue."""
