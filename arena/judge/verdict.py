"""A judge's verdict, read from what it said; pure. Whatever is not in the form is refused, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from arena.judge.prompt import LETTERS
from arena.rubric import Rubric
from arena.tables import Winner

_LONGEST_REASON = 1000
_WORDS = {"a": Winner.MODEL_A, "even": Winner.TIE, "b": Winner.MODEL_B}


class UnreadableVerdict(ValueError):
    """What was said is no verdict; the message says in a few words why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """By the letters that the judge was shown."""

    winner: Winner
    criteria: Mapping[str, str]
    """Criterion id -> `model_a`, `model_b` or `tie`; every criterion of the rubric."""
    reason: str


def read_verdict(text: str, rubric: Rubric) -> Verdict:
    """The verdict in an answer: one JSON object, alone or in a fence of Markdown.

    Raises:
        UnreadableVerdict: it is not there, or not in the form.

    """
    said = _object(text)
    given = said.get("criteria", {})
    if not isinstance(given, dict):
        raise UnreadableVerdict("criteria is no object")
    criteria = {
        criterion.id: _word(given.get(criterion.id), f"the criterion {criterion.id}").value for criterion in rubric
    }
    reason = said.get("reason", "")
    if not isinstance(reason, str):
        raise UnreadableVerdict("reason is no text")
    return Verdict(_word(said.get("overall"), "overall"), criteria, " ".join(reason.split())[:_LONGEST_REASON])


def _object(text: str) -> dict[str, Any]:
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        said = orjson.loads(bare)
    except orjson.JSONDecodeError:
        raise UnreadableVerdict("it is not JSON") from None
    if not isinstance(said, dict):
        raise UnreadableVerdict("it is no JSON object")
    return said


def _word(said: object, what: str) -> Winner:
    word = _WORDS.get(said.strip().lower()) if isinstance(said, str) else None
    if word is None:
        raise UnreadableVerdict(
            f"{what} is not one of {', '.join(LETTERS)}" if said is not None else f"{what} is missing"
        )
    return word
