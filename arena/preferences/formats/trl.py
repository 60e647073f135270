"""TRL's conversational preference format, as DPOTrainer, ORPO and reward trainers read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.preferences.formats.chat import answer_message, prompt_messages
from arena.preferences.pairs import Lesson, Pair


def trl_lines(lesson: Lesson) -> Sequence[Mapping[str, Any]]:
    """One line for a pair, with an explicit prompt."""
    if not isinstance(lesson, Pair):
        return []
    line = {
        "prompt": prompt_messages(lesson.prompt),
        "chosen": [answer_message(lesson.chosen)],
        "rejected": [answer_message(lesson.rejected)],
    }
    return [line]
