"""What scripted platforms demand of an uploaded file, by the platforms' published rules; a sentence, or `None`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LEAST_LINES = 10
MOST_BYTES = 512_000_000
VERTEX_MOST_BYTES = 1_000_000_000
VERTEX_VALIDATION_LINES = 5_000
VERTEX_FREE_VALIDATION_LINES = 1_000
"""Up to so many validation lines their share of all does not matter."""
VERTEX_VALIDATION_SHARE = 0.3


def refuse_openai(content: bytes, method: str, *, training: bool = True) -> str | None:
    """Why OpenAI would refuse a file for `dpo` or `supervised`."""
    if len(content) > MOST_BYTES:
        return "The file is larger than 512 MB."
    check = _openai_preference if method == "dpo" else _openai_supervised
    return _refuse_lines(content, check, LEAST_LINES if training else 1)


def refuse_vertex(training: bytes, validation: bytes | None) -> str | None:
    """Why Vertex AI would refuse a preference job's files."""
    if len(training) > VERTEX_MOST_BYTES:
        return "The dataset is larger than 1 GB."
    if wrong := _refuse_lines(training, _vertex_preference, LEAST_LINES):
        return wrong
    if validation is None:
        return None
    lines, held = len(training.splitlines()), len(validation.splitlines())
    too_large = held > VERTEX_FREE_VALIDATION_LINES and held > VERTEX_VALIDATION_SHARE * (lines + held)
    if held > VERTEX_VALIDATION_LINES or too_large:
        return "The validation dataset has too many examples."
    return _refuse_lines(validation, _vertex_preference, 1)


def _refuse_lines(content: bytes, check: Callable[[Mapping[str, Any]], str | None], least: int) -> str | None:
    lines = content.decode().splitlines()
    if len(lines) < least:
        return f"The file has {len(lines)} example(s), but at least {least} are needed."
    for number, line in enumerate(lines, start=1):
        try:
            wrong = check(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = f"it is malformed ({type(error).__name__})"
        if wrong:
            return f"Invalid file format. Example {number}: {wrong}."
    return None


def _openai_preference(example: Mapping[str, Any]) -> str | None:
    if set(example) != {"input", "preferred_output", "non_preferred_output"}:
        return "it must have input, preferred_output and non_preferred_output, and nothing else"
    if set(example["input"]) - {"messages", "tools", "parallel_tool_calls"}:
        return "unknown keys in input"
    for side in ("preferred_output", "non_preferred_output"):
        said = example[side]
        if [message["role"] for message in said] != ["assistant"] or not _texts(said):
            return f"{side} must be exactly one assistant message"
    return _conversation(example["input"]["messages"], ends_with="user")


def _openai_supervised(example: Mapping[str, Any]) -> str | None:
    if set(example) - {"messages", "tools", "parallel_tool_calls"}:
        return "unknown keys"
    return _conversation(example["messages"], ends_with="assistant")


def _conversation(messages: Sequence[Mapping[str, Any]], *, ends_with: str) -> str | None:
    roles = [message["role"] for message in messages]
    if set(roles) - {"system", "user", "assistant"}:
        return "unknown role"
    if not roles or roles[-1] != ends_with or not _texts(messages):
        return f"the conversation must end with a message of the {ends_with}"
    return None


def _texts(messages: Sequence[Mapping[str, Any]]) -> bool:
    return all(isinstance(message["content"], str) and message["content"] for message in messages)


def _vertex_preference(example: Mapping[str, Any]) -> str | None:
    if set(example) - {"system_instruction", "systemInstruction", "contents", "completions"}:
        return "unknown keys"
    contents, completions = example["contents"], example["completions"]
    if {turn["role"] for turn in contents} - {"user", "model"} or contents[-1]["role"] != "user":
        return "contents must have the roles user and model and end with user"
    if sorted(one["score"] for one in completions) != [0, 1]:
        return "there must be exactly two completions, with the scores 1 and 0"
    spoken = [one["completion"] for one in completions]
    if any(one["role"] != "model" or not "".join(part["text"] for part in one["parts"]) for one in spoken):
        return "a completion must be text of the role model"
    return None
