"""FastChat's `YYYY-MM-DD-conv.json` logs: one JSON object a line, votes among other records."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arena.imports.foreign import NAMED, ForeignTurn, ForeignVote, LeftOut, Read, Skipped, clean
from arena.tables import Winner

WINNERS: Mapping[str, Winner] = {
    "leftvote": Winner.MODEL_A,
    "rightvote": Winner.MODEL_B,
    "tievote": Winner.TIE,
    "bothbad_vote": Winner.BOTH_BAD,
}
_OTHER_RECORDS = frozenset({"chat", "share", "upvote", "downvote", "flag"})

_MODERATED = re.compile(r"\s*(?:\$MODERATION\$|YOUR (?:INPUT|TEXT|IMAGE) VIOLATES OUR CONTENT MODERATION GUIDELINES)")
_ERROR = re.compile(
    r"\A\W*(?:NETWORK ERROR DUE TO HIGH TRAFFIC|API REQUEST ERROR|RATE LIMIT OF THIS MODEL IS REACHED"
    r"|THIS SESSION HAS BEEN INACTIVE FOR TOO LONG|YOU HAVE REACHED THE CONVERSATION LENGTH LIMIT)"
    r"|NETWORK ERROR DUE TO HIGH TRAFFIC\. PLEASE REGENERATE|\n\(error_code: .*\)\s*\Z",
    re.DOTALL,
)
_CURSOR = "▌"
_REVEALED = re.compile(r"\s*(?:#+|<h\d>)\s*Model [AB]\b")
_OWN_CONVERSATION = re.compile(r"(?P<battle>.+):[ab]")


def read_fastchat(path: Path) -> Iterator[Read]:
    """Yield what each line of a log became: a vote, or the reason why it is none."""
    bytes_read = 0
    with path.open("rb") as lines:
        for line in lines:
            bytes_read += len(line)
            if line.strip():
                yield Read(_outcome(line), bytes_read)


def _outcome(line: bytes) -> ForeignVote | Skipped:
    try:
        return _vote(line)
    except LeftOut as reason:
        return Skipped(str(reason))


def _vote(line: bytes) -> ForeignVote:
    record = _record(line)
    winner = WINNERS[record["type"]]
    anonymous = _anonymous(record.get("models"))
    states = _states(record.get("states"))
    models = (_text_of(states[0], "model_name"), _text_of(states[1], "model_name"))
    if not anonymous and list(models) != record["models"]:
        raise LeftOut("the models shown and the models that answered are not the same")
    if models[0] == models[1]:
        raise LeftOut("both sides are the same model")
    ids = (_text_of(states[0], "conv_id"), _text_of(states[1], "conv_id"))
    address = record.get("ip")
    return ForeignVote(
        key=f"fastchat:{min(ids)}:{max(ids)}",
        models=models,
        winner=winner,
        unrated_reason=None if anonymous else NAMED,
        turns=_turns(states),
        address=address if isinstance(address, str) else "",
        at=_time(record.get("tstamp")),
        own_battle=_own_battle(ids),
    )


def _record(line: bytes) -> dict[str, Any]:
    """The line's object, if it is a vote."""
    try:
        record = json.loads(line)
    except ValueError:
        raise LeftOut("not a whole JSON line") from None
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise LeftOut("not a FastChat record")
    if record["type"] in WINNERS:
        return record
    known = record["type"] in _OTHER_RECORDS
    raise LeftOut(f"not a vote ({record['type']})" if known else f"unknown type {record['type']!r}")


def _anonymous(models: object) -> bool:
    """Whether the voter saw no names; names as they were shown are checked by the caller."""
    if not isinstance(models, list) or len(models) != 2 or not all(isinstance(name, str) for name in models):
        raise LeftOut("the models' names are missing")
    if any(_REVEALED.match(name) for name in models):
        raise LeftOut("voted after the models were revealed")
    if not any(models):
        return True
    if not all(models):
        raise LeftOut("one model is named and the other is not")
    return False


def _states(states: object) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(states, list) or len(states) != 2 or not all(isinstance(state, dict) for state in states):
        raise LeftOut("the conversations are missing")
    return states[0], states[1]


def _text_of(state: Mapping[str, Any], key: str) -> str:
    value = state.get(key)
    if not isinstance(value, str) or not value.strip():
        raise LeftOut(f"a conversation has no {key}")
    return clean(value)


def _time(tstamp: object) -> datetime:
    if not isinstance(tstamp, int | float) or isinstance(tstamp, bool) or not math.isfinite(tstamp):
        raise LeftOut("the time is missing")
    try:
        return datetime.fromtimestamp(tstamp, UTC)
    except (ValueError, OverflowError, OSError):
        raise LeftOut("the time is impossible") from None


def _own_battle(ids: tuple[str, str]) -> str | None:
    """Our own exports name the two conversations of a battle after it."""
    named = [match["battle"] for match in map(_OWN_CONVERSATION.fullmatch, ids) if match]
    return named[0] if len(named) == 2 and named[0] == named[1] else None


def _turns(states: tuple[dict[str, Any], dict[str, Any]]) -> tuple[ForeignTurn, ...]:
    left, right = (_messages(state) for state in states)
    if left[::2] != right[::2]:
        raise LeftOut("the two sides were asked different things")
    return tuple(ForeignTurn(prompt, (a, b)) for prompt, a, b in zip(left[::2], left[1::2], right[1::2], strict=True))


def _messages(state: Mapping[str, Any]) -> Sequence[str]:
    """What was said, prompts and answers by turns; roles differ by template and go by their place."""
    messages, offset = state.get("messages"), state.get("offset", 0)
    if not isinstance(messages, list) or not isinstance(offset, int) or offset < 0:
        raise LeftOut("a conversation is malformed")
    said = messages[offset:]
    if not said:
        raise LeftOut("a conversation is empty")
    if any(not isinstance(message, list) or len(message) < 2 for message in said):
        raise LeftOut("a conversation is malformed")
    if len(said) % 2:
        raise LeftOut("an answer is missing")
    return [_prompt(message[1]) if place % 2 == 0 else _answer(message[1]) for place, message in enumerate(said)]


def _prompt(content: object) -> str:
    """A prompt's text; a vision prompt is its text with a list of pictures, which are named by their hashes."""
    pictures: Sequence[object] = ()
    if isinstance(content, list) and len(content) == 2 and isinstance(content[1], list):
        content, pictures = content
    if not isinstance(content, str):
        raise LeftOut("a prompt is missing")
    if _MODERATED.match(content):
        raise LeftOut("a prompt was removed by moderation")
    text = "\n".join([clean(content), *(f"[picture {clean(str(picture))}]" for picture in pictures)])
    if not text.strip():
        raise LeftOut("a prompt is empty")
    return text


def _answer(content: object) -> str:
    if content is None:
        raise LeftOut("an answer is missing")
    if not isinstance(content, str):
        raise LeftOut("a conversation is malformed")
    if not content.strip():
        raise LeftOut("an answer is empty")
    if _MODERATED.match(content):
        raise LeftOut("an answer was removed by moderation")
    if _ERROR.search(content):
        raise LeftOut("an answer is an error message")
    if content.rstrip().endswith(_CURSOR):
        raise LeftOut("an answer was cut while it was written")
    return clean(content)
