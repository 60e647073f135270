"""A server of OpenAI's protocol that only streams, for as many readers as a benchmark wants: one clock ticks for all.

The scripted servers of `tests/` can do everything wrong; they spend more on a token than the arena does.
"""

import argparse
import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

TICK_S = 1 / 60
FIRST_TICKS = 12
"""The first token comes after so many ticks: 0.2 s."""
WORD = "~word"
"""A token; its first character occurs nowhere else on the page."""


def framed(body: object, line_end: bytes = b"\n") -> bytes:
    """An event in a chunk of its own."""
    data = b"data: " + (body.encode() if isinstance(body, str) else json.dumps(body).encode()) + 2 * line_end
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    common = {"id": "chatcmpl-steady", "object": "chat.completion.chunk", "created": 1700000000, "model": "steady"}
    return framed({**common, "choices": [choice]})


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_ABOUT = b'{"id": "steady", "object": "model", "created": 0, "owned_by": "benchmark"}'


@dataclass(frozen=True, slots=True)
class Speech:
    """What a platform of some protocol sends."""

    word: bytes
    end: bytes
    whole: Callable[[bytes], bytes | None]
    """The JSON that a request with this head is answered with; `None` streams an answer."""


_OPENAI = Speech(
    word=_chunk({"content": WORD + " "}),
    end=_chunk({}, "stop") + framed("[DONE]") + b"0\r\n\r\n",
    whole=lambda head: None if head.startswith(b"POST") else _ABOUT,
)


class _Connection(asyncio.Protocol):
    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._received = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._clock.streams.pop(self, None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if len(body) < sum(lengths):
            return
        self._received = body[sum(lengths) :]
        whole = self._clock.speech.whole(head)
        if whole is None:
            self.transport.write(_HEAD)
            self._clock.streams[self] = -FIRST_TICKS
        else:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            self.transport.write(b"content-length: %d\r\n\r\n%s" % (len(whole), whole))


class Clock:
    """One token to each stream at each tick."""

    def __init__(self, tokens: int, speech: Speech) -> None:
        self._tokens = tokens
        self.speech = speech
        self.streams: dict[_Connection, int] = {}

    async def run(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += TICK_S
            await asyncio.sleep(due - loop.time())
            for stream, said in list(self.streams.items()):
                if said >= self._tokens:
                    stream.transport.write(self.speech.end)
                    self.streams.pop(stream, None)
                else:
                    if said >= 0:
                        stream.transport.write(self.speech.word)
                    self.streams[stream] = said + 1


async def serve(port: int, tokens: int, speech: Speech = _OPENAI) -> None:
    """Serve until killed."""
    clock = Clock(tokens, speech)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(clock), "127.0.0.1", port, backlog=2048)
    async with server:
        await clock.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=300)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.tokens))
