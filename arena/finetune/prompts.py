"""When two prompts are the same one; pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arena.preferences.similarity import plain


def prompt_key(text: str) -> str:
    """SHA-256 of a prompt as the split compares it: case and white space make no other prompt."""
    return hashlib.sha256(plain(text).encode()).hexdigest()


def prompts_of_file(path: Path) -> Iterator[str]:
    """The key of each line's last question, in the file's order; any of the export formats."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield prompt_key(_last_question(json.loads(line)))


def _last_question(example: Mapping[str, Any]) -> str:
    if "contents" in example:
        asked = [turn for turn in example["contents"] if turn["role"] == "user"]
        return "".join(part.get("text", "") for part in asked[-1]["parts"])
    messages = example["input"]["messages"] if "input" in example else example["messages"]
    return str([message["content"] for message in messages if message["role"] == "user"][-1])
