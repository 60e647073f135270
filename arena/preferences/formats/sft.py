"""Supervised examples of the preferred answers, which both vendors advise to train on before preferences."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.preferences.formats.chat import answer_message, prompt_messages
from arena.preferences.pairs import Lesson, Pair


def sft_lines(lesson: Lesson) -> Sequence[Mapping[str, Any]]:
    """One conversation that ends with the preferred answer."""
    if not isinstance(lesson, Pair):
        return []
    return [{"messages": [*prompt_messages(lesson.prompt), answer_message(lesson.chosen)]}]
