"""Vertex AI's preference tuning format for Gemini."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.preferences.pairs import Lesson, Message, Pair, Said

_ROLES = {"user": "user", "assistant": "model"}


def vertex_lines(lesson: Lesson) -> Sequence[Mapping[str, Any]]:
    """One line for a pair: two completions, scores 1 and 0."""
    if not isinstance(lesson, Pair):
        return []
    system = lesson.prompt.system
    line = {
        **({"system_instruction": {"parts": [{"text": system}]}} if system else {}),
        "contents": [_content(message) for message in lesson.prompt.messages],
        "completions": [_completion(lesson.chosen, 1), _completion(lesson.rejected, 0)],
    }
    return [line]


def _content(message: Message) -> Mapping[str, Any]:
    return {"role": _ROLES[message["role"]], "parts": [{"text": message["content"]}]}


def _completion(said: Said, score: int) -> Mapping[str, Any]:
    return {"score": score, "completion": {"role": "model", "parts": [{"text": said.text}]}}
