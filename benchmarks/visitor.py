"""A visitor without a browser: speaks the protocol of the arena's own pages over raw sockets, cheaply."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.steady_server import WORD
from tests.scripted_visitor import function_of

_MARK = WORD[:1].encode()


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a browser learns from the page's configuration before it can do anything."""

    fight: int
    """The function behind Send."""
    vote: int
    """The function behind 'A is better'."""
    vote_inputs: int
    """How many values it takes: the battle's id, the rest for criteria."""
    load: int
    """A function that runs when the page is opened."""
    battle_at: int
    """Where the battle's id is among the outputs of `fight`."""


@dataclass(slots=True)
class Watched:
    """One battle as it came over the wire; times in seconds."""

    first_text: float | None = None
    """From sending to the first text."""
    frames: int = 0
    """After the first text."""
    shown: float = 0.0
    """From the first text to the last frame."""
    longest_gap: float = 0.0
    """Between two frames."""
    battle: str = ""
    queued: bool = False
    complete: bool = False
    vote: float | None = None
    size: int = 0
    """Bytes of all frames."""


def read_protocol(config: Mapping[str, Any]) -> Protocol:
    """Find the Battle page's functions in `/config`."""
    fight, vote = function_of(config, "send"), function_of(config, "vote-model_a")
    load = next(
        d
        for d in config["dependencies"]
        if d["id"] in config["page"][""]["dependencies"] and any(target[1] == "load" for target in d["targets"])
    )
    inputs = vote["inputs"]
    return Protocol(fight["id"], vote["id"], len(inputs), load["id"], fight["outputs"].index(inputs[0]))


class Visitor:
    """One page of one visitor, with a cookie and a session of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.session = secrets.token_hex(6)

    async def open(self) -> Protocol:
        """Open the Battle page as a browser does: the page, its cookie, its configuration, what runs at loading."""
        head, _ = await self._ask("GET", "/")
        self._cookie = _cookie_of(head)
        _, body = await self._ask("GET", "/config")
        protocol = read_protocol(json.loads(body))
        await self.predict(protocol.load, [])
        self.leave()
        return protocol

    async def settle(self, protocol: Protocol) -> None:
        """Come with the page's configuration known (as a browser that has it in its cache): cookie and session."""
        head, _ = await self._ask("GET", "/")
        self._cookie = _cookie_of(head)
        await self.predict(protocol.load, [])

    async def hold(self) -> asyncio.StreamWriter:
        """Keep the page's heartbeat open, as long as the writer is."""
        await self._send("GET", f"/gradio_api/heartbeat/{self.session}")
        assert self._kept is not None
        writer, self._kept = self._kept[1], None  # the next request needs another connection
        return writer

    async def fight(self, protocol: Protocol, path: str = "", watched: Watched | None = None) -> Watched:
        """Send a challenge and watch both answers to their end; `path` is another stream (the bare relay's).

        `watched` learns what came even where the end does not.
        """
        watched = watched or Watched()
        sent = time.perf_counter()
        if not path:
            await self._ask("POST", "/gradio_api/queue/join", self._event(protocol.fight, ["What do I want?"]))
            path = f"/gradio_api/queue/data?session_hash={self.session}"
        try:
            await _watch(await self._send("GET", path), watched, sent, protocol.battle_at)
        except BaseException:  # half an answer is left to read
            self.leave()
            raise
        return watched

    async def vote(self, protocol: Protocol, watched: Watched) -> None:
        """Vote on a battle, and time it."""
        started = time.perf_counter()
        head, body = await self.predict(protocol.vote, [watched.battle, *[None] * (protocol.vote_inputs - 1)])
        if b" 200 " in head.split(b"\r\n")[0] and b"Your vote is stored" in body:
            watched.vote = time.perf_counter() - started

    async def predict(self, function: int, data: list[Any]) -> tuple[bytes, bytes]:
        """Call a function that has no queue."""
        return await self._ask("POST", "/gradio_api/run/predict", self._event(function, data))

    def leave(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    def _event(self, function: int, data: list[Any]) -> bytes:
        return json.dumps({"data": data, "fn_index": function, "session_hash": self.session}).encode()

    async def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[bytes, bytes]:
        answer = await self._send(method, path, body)
        return answer.head, b"".join([part async for part in answer.parts()])

    async def _send(self, method: str, path: str, body: bytes = b"") -> "_Answer":
        """Ask, over the connection that is kept, as a browser does; over a new one where the arena has closed it."""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        head += f"Cookie: {self._cookie}\r\n" if self._cookie else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        if self._kept is not None and (self._kept[0].at_eof() or self._kept[1].is_closing()):
            self.leave()
        if self._kept is None:
            self._kept = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        reader, writer = self._kept
        writer.write(head.encode() + b"\r\n" + body)
        try:
            return _Answer(await reader.readuntil(b"\r\n\r\n"), reader)
        except BaseException:
            self.leave()
            raise


class _Answer:
    """An HTTP answer whose body is still to be read, to its end."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        self.head = head
        self._reader = reader

    async def parts(self) -> AsyncGenerator[bytes]:
        """The body, in chunks as they come."""
        lower = self.head.lower()
        if b"transfer-encoding: chunked" in lower:
            while size := int(await self._reader.readline(), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readline()
        else:
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            yield await self._reader.readexactly(length)


def _cookie_of(head: bytes) -> str:
    lines = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie:")]
    return b"; ".join(line.split(b";")[0] for line in lines).decode()


async def _watch(answer: _Answer, watched: Watched, sent: float, battle_at: int) -> None:
    first = latest = 0.0
    async for line in _lines(answer):
        if b'"process_completed"' in line:
            watched.complete = b'"success": false' not in line and b'"success":false' not in line
        if b'"process_generating"' not in line:
            continue
        now = time.perf_counter()
        watched.size += len(line)
        if not watched.battle and b'"output"' in line:
            watched.battle = str(json.loads(line[5:])["output"]["data"][battle_at])
        watched.queued = watched.queued or b"in line" in line
        if first:
            watched.frames += 1
            watched.longest_gap = max(watched.longest_gap, now - latest)
            watched.shown = now - first
        elif _MARK in line:
            first = now
            watched.first_text = now - sent
        latest = now


async def _lines(answer: _Answer) -> AsyncGenerator[bytes]:
    rest = b""
    async for part in answer.parts():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line
