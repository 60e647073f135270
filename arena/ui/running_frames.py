"""The frames of a running event, spelled for its page: what each changes, and nothing else.

A frame of a battle is told ten times a second to each visitor. Gradio compares every part of the page with what it was,
and wraps the outcome in a message that is checked, copied and spelled on its way. Here the same bytes are made at once.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from gradio.utils import diff

UNCHANGED = {"__type__": "update"}
"""What Gradio sends for a part that stays as it is."""
_NOTHING: list[Any] = []


class RunningFrames:
    """What a page has of one running event, and the messages that bring it up to date."""

    def __init__(self, event_id: str | None, last: list[Any]) -> None:
        """`last` are the values that the page was sent last, one for each output; they are kept up to date."""
        self._last = last
        self._told_before = {place for place, value in enumerate(last) if value != UNCHANGED}
        self._message = {"msg": "process_generating", "event_id": event_id, "success": True, "time_limit": None}

    def differences(self, changes: Mapping[int, Any]) -> list[list[Any]]:
        """What a frame changes of the last one, for each output; `changes` holds its new values by their places.

        A part that a frame leaves alone is sent as unchanged once after each change: the page would show its value
        again otherwise, over what was typed into it meanwhile.
        """
        told = [_NOTHING] * len(self._last)
        for place in self._told_before - changes.keys():
            told[place] = [["replace", [], UNCHANGED]]
            self._last[place] = UNCHANGED
        for place, value in changes.items():
            told[place] = _difference(self._last[place], value)
            self._last[place] = value
        self._told_before = {place for place, value in changes.items() if value != UNCHANGED}
        return told

    def spell(self, changes: Mapping[int, Any], duration: float) -> bytes:
        """The frame as Gradio spells it in a page's stream of events; `duration` is how long it took, in seconds."""
        frame = {
            "data": self.differences(changes),
            "is_generating": True,
            "duration": duration,
            "average_duration": None,
            "render_config": None,
            "changed_state_ids": _NOTHING,
            "used_cache": None,
        }
        return orjson.dumps({**self._message, "output": frame})


def _difference(before: Any, value: Any) -> list[Any]:  # noqa: ANN401 - what a part is sent
    """As Gradio tells it; a conversation whose last message grew, as in nearly every frame, is seen at a glance."""
    if isinstance(before, list) and isinstance(value, list) and len(before) == len(value) > 0:
        place = len(value) - 1
        if before[:place] == value[:place] and (grown := _growth(before[place], value[place])):
            return [["append", [place, "content", 0, "text"], grown]]
    told: list[Any] = diff(before, value)  # type: ignore[no-untyped-call]
    return told


def _growth(before: Any, value: Any) -> str | None:  # noqa: ANN401 - what a part is sent
    """What was added to a message's text, if that is all that changed of it."""
    try:
        (old,), (new,) = before["content"], value["content"]
        older, newer = old["text"], new["text"]
        rest = {**value, "content": [{**new, "text": older}]}
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(older, str) or not isinstance(newer, str) or not newer.startswith(older) or rest != before:
        return None
    return newer[len(older) :] or None
