"""OpenAI's preference format (direct preference optimization); Together, Fireworks and Azure read it too."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.preferences.formats.chat import answer_message, prompt_messages
from arena.preferences.pairs import Lesson, Pair


def openai_lines(lesson: Lesson) -> Sequence[Mapping[str, Any]]:
    """One line for a pair: exactly one assistant message on each side."""
    if not isinstance(lesson, Pair):
        return []
    shared = {"messages": prompt_messages(lesson.prompt), "tools": [], "parallel_tool_calls": True}
    line = {
        "input": shared,
        "preferred_output": [answer_message(lesson.chosen)],
        "non_preferred_output": [answer_message(lesson.rejected)],
    }
    return [line]
