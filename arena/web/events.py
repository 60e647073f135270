"""What a page's event may say, and whose page it comes from."""

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from arena.web.addresses import HEARTBEAT

_SESSION = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True, slots=True)
class PageEvent:
    """An event's JSON as far as the gate reads it."""

    session: str | None
    """The page's connection, named by the browser itself; `None` where there is none."""


def read_event(body: bytes) -> PageEvent | None:
    """Read an event that gives nothing but text without NUL, numbers and lists of them; `None` for any other.

    Gradio takes an object that looks like a file for one: it would copy that file of the machine into its cache.
    """
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    data, session = event.get("data"), event.get("session_hash")
    plain = data is None or (isinstance(data, list) and _is_plain(data))
    named = session is None or (isinstance(session, str) and may_name_a_page(session))
    return PageEvent(session) if plain and named else None


def may_name_a_page(session: str) -> bool:
    """Whether this is short and plain enough to be remembered as the name of a page's connection."""
    return _SESSION.fullmatch(session) is not None


def session_of_stream(path: str, query: bytes) -> str | None:
    """The page's connection that an event stream is asked for."""
    if path.startswith(HEARTBEAT):
        return path.removeprefix(HEARTBEAT)
    return QueryParams(query).get("session_hash")


class PageOwners:
    """Which visitor each page's connection belongs to: whoever used it first. Used from the event loop only.

    A connection's name is chosen by the browser and travels in addresses, and Gradio gives its events to whoever
    knows it: prompts and answers of somebody else, or the end of their battle.
    """

    MOST = 20_000
    """So many are remembered, the latest used, beside those of the pages that are open."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._open: dict[str, str] = {}
        self._streams: Counter[str] = Counter()

    def belongs(self, session: str, voter_id: str) -> bool:
        """Whether the connection is this visitor's; one that nobody used becomes so."""
        if session in self._open:
            return self._open[session] == voter_id
        owner = self._owners.setdefault(session, voter_id)
        self._owners.move_to_end(session)
        if len(self._owners) > self.MOST:
            self._owners.popitem(last=False)
        return owner == voter_id

    @contextmanager
    def streaming(self, session: str | None) -> Iterator[None]:
        """While a stream is open to a connection, its owner is not forgotten, however many others are named."""
        if session is None:
            yield
            return
        self._streams[session] += 1
        if session in self._owners:
            self._open[session] = self._owners.pop(session)
        try:
            yield
        finally:
            self._streams[session] -= 1
            if not self._streams[session]:
                del self._streams[session]
                if session in self._open:
                    self.belongs(session, self._open.pop(session))


def _is_plain(values: list[Any]) -> bool:
    """Whether there is no JSON object at any depth, at every one of which Gradio looks for files, and no NUL.

    NUL is a character that PostgreSQL stores and looks up nowhere, and that nobody types.
    """
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, dict) or (isinstance(value, str) and "\0" in value):
            return False
        if isinstance(value, list):
            pending += value
    return True
