"""TRL's unpaired preference format (KTO): single answers, good or bad."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.preferences.formats.chat import answer_message, prompt_messages
from arena.preferences.pairs import Lesson, Pair


def kto_lines(lesson: Lesson) -> Sequence[Mapping[str, Any]]:
    """A good and a bad example for a pair; two bad ones for a vote that called both bad."""
    if isinstance(lesson, Pair):
        labelled = ((lesson.chosen, True), (lesson.rejected, False))
    else:
        labelled = ((lesson.bad[0], False), (lesson.bad[1], False))
    prompt = prompt_messages(lesson.prompt)
    return [{"prompt": prompt, "completion": [answer_message(said)], "label": good} for said, good in labelled]
