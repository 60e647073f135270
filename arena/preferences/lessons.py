"""A vote that passed its gates, as a lesson: how it is kept until it is written, and what tells it from others."""

import hashlib
import zlib
from collections.abc import Sequence

import orjson

from arena.preferences.candidates import Candidate
from arena.preferences.pairs import Lesson, Negatives, Pair, Said, SharedPrompt
from arena.tables import Winner

_FAST = 1
"""zlib's level: answers shrink to half, at 0.03 ms each."""


def lesson_of(vote: Candidate, criterion: str) -> Lesson:
    """The pair that a vote for one side makes, or the two bad examples of one for neither."""
    if vote.sides is None:
        raise ValueError(f"battle {vote.battle} has no text")
    a, b = (seated.said for seated in vote.sides)
    prompt = vote.prompt
    turn = sum(message["role"] == "user" for message in prompt.messages)
    if vote.verdict is Winner.BOTH_BAD:
        return Negatives(vote.battle, turn, criterion, prompt, (a, b))
    chosen, rejected = (a, b) if vote.verdict is Winner.MODEL_A else (b, a)
    return Pair(vote.battle, turn, criterion, 1, prompt, chosen, rejected)


def said_in(lesson: Lesson) -> tuple[Said, Said]:
    """Its two answers, the chosen one first."""
    return (lesson.chosen, lesson.rejected) if isinstance(lesson, Pair) else lesson.bad


def answers_key(lesson: Lesson) -> tuple[bytes, int]:
    """What is the same for all votes on these two answers to this prompt, and which way this one went: -1, 0 or 1."""
    one, other = (said.text for said in said_in(lesson))
    way = 0 if isinstance(lesson, Negatives) else 1 if one < other else -1
    return _digest([_prompt_key(lesson.prompt), *sorted((one, other))]), way


def meeting_key(lesson: Lesson, voter: str | None) -> tuple[bytes, int]:
    """What is the same for all votes on these two models and this prompt, by one voter or by all; and the way."""
    one, other = (said.revision for said in said_in(lesson))
    way = 0 if isinstance(lesson, Negatives) else 1 if one < other else -1
    return _digest([_prompt_key(lesson.prompt), sorted((one, other)), voter]), way


def packed(lesson: Lesson) -> bytes:
    """The lesson in few bytes."""
    said = [(answer.text, answer.model, answer.revision, answer.finish_reason) for answer in said_in(lesson)]
    prompt = [lesson.prompt.system, list(lesson.prompt.messages)]
    kept = [isinstance(lesson, Pair), lesson.battle, lesson.turn, lesson.criterion, prompt, said]
    return zlib.compress(orjson.dumps(kept), _FAST)


def unpacked(kept: bytes, agreed: int) -> Lesson:
    """The lesson again, with how many people agreed."""
    is_pair, battle, turn, criterion, (system, messages), said = orjson.loads(zlib.decompress(kept))
    prompt = SharedPrompt(system, tuple(messages))
    one, other = Said(*said[0]), Said(*said[1])
    if is_pair:
        return Pair(battle, turn, criterion, agreed, prompt, one, other)
    return Negatives(battle, turn, criterion, prompt, (one, other))


def _prompt_key(prompt: SharedPrompt) -> Sequence[object]:
    return [prompt.system, [[message["role"], message["content"]] for message in prompt.messages]]


def _digest(parts: Sequence[object]) -> bytes:
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).digest()
