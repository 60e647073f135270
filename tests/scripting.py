"""What a scripted server says and how it misbehaves, and the small HTTP server beneath both scripted platforms.

The server runs an event loop of its own in a thread, so that it works for synchronous tests, asynchronous tests and
browsers alike. Tests wait for what it has seen (`wait_for`, `until`), never for time to pass.
"""

import argparse
import asyncio
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

_FLUSH_S = 0.02
"""What was written must reach the reader before a reset, which discards what is still in its socket."""


class Fault(StrEnum):
    """A way in which a stream goes wrong; a plain `int` as a script's fault is an HTTP status instead."""

    STALL_HEADERS = "stall_headers"
    """Not even the response's headers come, until the model is released."""
    STALL_FIRST = "stall_first"
    """Headers come, the first token does not, until the model is released."""
    STALL_MIDWAY = "stall_midway"
    """Silence after `fault_after` pieces, until the model is released."""
    CUT = "cut"
    """The stream ends cleanly after `fault_after` pieces, with no finish reason."""
    DROP = "drop"
    """The connection is reset after `fault_after` pieces."""
    DROP_AT_ONCE = "drop_at_once"
    """The connection is reset before any response."""
    EMPTY = "empty"
    """A finish reason and not one piece of text."""
    BAD_JSON = "bad_json"
    """An event that is not JSON after `fault_after` pieces."""
    BAD_UTF8 = "bad_utf8"
    """Bytes that are not UTF-8 after `fault_after` pieces."""
    HTML = "html"
    """A web page with status 200."""
    NOT_STREAMED = "not_streamed"
    """`stream` is ignored: one JSON body."""
    STALL_END = "stall_end"
    """The whole answer with its finish reason, and then no end of the stream until the model is released."""
    DROP_END = "drop_end"
    """The whole answer with its finish reason, and then a reset instead of the end of the stream."""
    ERROR_EVENT = "error_event"
    """The platform's error object as an event after `fault_after` pieces."""


@dataclass(frozen=True)
class Script:
    """One model's behaviour; every request is answered by it until the test puts another one in its place."""

    text: str | Callable[[str], str] = "A short and honest answer."
    """The answer, or how to make it from the latest prompt."""
    chunk_characters: int | None = None
    """Size of a piece; `None` streams word by word."""
    first_delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    reasoning: str = ""
    """Thinking sent before the text, apart from it."""
    finish: str | None = None
    """The platform's finish reason; `None` is its word for an ordinary end."""
    usage: bool = True
    """Whether token counts are sent."""
    claimed_tokens: int | None = None
    """The answer's tokens according to the platform; `None` counts its pieces."""
    fault: Fault | int | None = None
    """What goes wrong; an `int` is an HTTP status with the platform's error body."""
    fault_after: int = 3
    """How many pieces come before a fault in mid-stream."""
    fail_share: float = 1.0
    """The share of requests on which `fault` strikes; drawn from the server's seeded generator."""
    shutdown_date: str | None = None
    """What the model's description says of its end."""
    retry_after_s: float | None = None
    """The `Retry-After` header of an HTTP fault."""
    message: str = ""
    """The error message of an HTTP fault or an error event."""
    error_code: int = 500
    """The status that an error event names."""
    refuses: tuple[str, ...] = ()
    """Parameters that are answered with a 400 that names them."""

    def pieces(self, prompt: str) -> list[str]:
        """The answer as it is streamed."""
        text = self.text if isinstance(self.text, str) else self.text(prompt)
        return split(text, self.chunk_characters)


def split(text: str, characters: int | None) -> list[str]:
    """Split `text` into pieces of `characters`, or into words with the white space behind them."""
    if characters is None:
        return re.findall(r"\s*\S+\s*|\s+", text)
    return [text[start : start + characters] for start in range(0, len(text), characters)]


@dataclass(frozen=True)
class Recorded:
    """One request as it came over the wire."""

    model: str
    """What the caller named, as the platform spells it; empty for requests that name none."""
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    arrived_at: float
    """`time.monotonic()`."""

    @property
    def authorization(self) -> str:
        """The `Authorization` header."""
        return self.headers.get("authorization", "")


Behaviour = Script | Callable[[Recorded], Script]
"""A script, or how to choose one for each request."""


class ReaderGone(Exception):
    """Whoever was reading hung up."""


class _Protocol(asyncio.StreamReaderProtocol):
    """A stream protocol that knows the moment at which its peer hangs up, even while nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, connected: Callable[..., Any]) -> None:
        super().__init__(reader, connected)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


@dataclass
class Exchange:
    """One request and the means to answer it."""

    request: Recorded
    writer: asyncio.StreamWriter
    gone: asyncio.Event
    server: "ScriptedServer"
    keep_alive: bool = True

    def send(self, data: bytes) -> None:
        """Write bytes, unless the reader has hung up."""
        if self.gone.is_set():
            raise ReaderGone
        self.writer.write(data)

    def respond(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer whole: JSON, or HTML where `body` is text."""
        page = isinstance(body, str)
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/html; charset=utf-8" if page else "application/json"
        lines = {"content-type": kind, "content-length": str(len(payload)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode() + payload)

    def open_stream(self, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of an event stream."""
        lines = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked", **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())

    def event(self, data: bytes) -> None:
        """Send one event."""
        framed = b"data: " + data + b"\n\n"
        self.send(f"{len(framed):x}\r\n".encode() + framed + b"\r\n")

    def close_stream(self) -> None:
        """End the event stream cleanly."""
        self.send(b"0\r\n\r\n")

    def drop(self) -> None:
        """Reset the connection."""
        self.keep_alive = False
        self.writer.transport.abort()

    async def pause(self, seconds: float) -> None:
        """Wait, or find out that the reader has hung up."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), seconds)
        if self.gone.is_set():
            raise ReaderGone

    async def stall(self, name: str | None = None) -> None:
        """Be silent until the test releases this model (or `name`), or the reader hangs up."""
        stalled = name or self.request.model
        self.server.note(lambda: self.server.stalled.update([stalled]))
        released = self.server.release_event(stalled)
        waits = [asyncio.create_task(released.wait()), asyncio.create_task(self.gone.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            self.server.note(lambda: self.server.stalled.subtract([stalled]))
        if self.gone.is_set():
            raise ReaderGone


@dataclass
class _Seen:
    """What has happened so far; guarded by the server's condition."""

    requests: list[Recorded] = field(default_factory=list)
    open_streams: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)


class ScriptedServer:
    """A local HTTP server that answers as it is told; a context manager. Subclasses speak one platform's protocol."""

    def __init__(
        self,
        scripts: Mapping[str, Behaviour] | None = None,
        *,
        default: Behaviour | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`default` answers for models without a script; without it they are not found."""
        self.scripts: dict[str, Behaviour] = dict(scripts or {})
        self.default = default
        self.stalled: Counter[str] = Counter()
        """Streams that are silent now, by model."""
        self.connections = 0
        """How many connections were opened to this server."""
        self._rng = random.Random(seed)
        self._address = (host, port)
        self._seen = _Seen()
        self._changed = threading.Condition()
        self._releases: dict[str, asyncio.Event] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{self._address[0]}:{self._address[1]}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        def factory() -> asyncio.Protocol:
            reader = asyncio.StreamReader(limit=2**24, loop=self._loop)
            protocol = _Protocol(reader, lambda r, w: self._connected(r, w, protocol.gone))
            return protocol

        self._server = await self._loop.create_server(factory, *self._address)
        self._address = self._server.sockets[0].getsockname()[:2]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self.connections += 1
        task = self._loop.create_task(self._converse(reader, writer, gone))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        """Answer the requests of one connection, one after the other."""
        try:
            while (request := await self._read(reader)) is not None:
                exchange = Exchange(request, writer, gone, self)
                await self.answer(exchange)
                if not exchange.keep_alive:
                    break
        except (ReaderGone, ConnectionError, asyncio.IncompleteReadError):
            pass  # hanging up is part of many a script
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Recorded | None:
        """The next request of a connection, or `None` at its end."""
        line = await reader.readline()
        if not line.strip():
            return None
        method, path, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        body = self.parse_body(raw, headers)
        return Recorded(self.model_of(path, body), method, path, headers, body, time.monotonic())

    # ── what subclasses say ─────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request."""
        raise NotImplementedError

    def model_of(self, path: str, body: Mapping[str, Any]) -> str:
        """The model that a request names."""
        raise NotImplementedError

    def parse_body(self, raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """The request's body as a mapping."""
        del headers
        return json.loads(raw) if raw else {}

    # ── what tests ask and do ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def requests(self) -> Sequence[Recorded]:
        """The requests for answers so far, in order of arrival."""
        with self._changed:
            return tuple(self._seen.requests)

    @property
    def open_streams(self) -> Mapping[str, int]:
        """How many answers are being streamed now, by model; models with none are absent."""
        with self._changed:
            return {model: count for model, count in self._seen.open_streams.items() if count > 0}

    @property
    def told(self) -> Sequence[str]:
        """The models whose answer went out whole, finish reason and all, in order."""
        with self._changed:
            return tuple(self._seen.told)

    @property
    def hung_up(self) -> Sequence[str]:
        """The models whose stream the reader closed before its end, in order."""
        with self._changed:
            return tuple(self._seen.hung_up)

    def release(self, model: str) -> None:
        """End the silence of every stalled stream of `model`, and of later ones."""
        self._loop.call_soon_threadsafe(lambda: self.release_event(model).set())

    def wait_for(self, condition: Callable[[Self], bool], timeout_s: float = 10.0) -> None:
        """Block until `condition(server)` holds; it is looked at whenever something happens here."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout_s):
                raise TimeoutError(f"not within {timeout_s} s: open {self._seen.open_streams}, told {self._seen.told}")

    async def until(self, condition: Callable[[Self], bool], timeout_s: float = 10.0) -> None:
        """Wait for `condition(server)` without blocking the caller's event loop."""
        await asyncio.to_thread(self.wait_for, condition, timeout_s)

    # ── for the exchanges ───────────────────────────────────────────────────────────────────────────────────────────

    def release_event(self, model: str) -> asyncio.Event:
        """The event that ends `model`'s silence; belongs to the server's loop."""
        return self._releases.setdefault(model, asyncio.Event())

    def note(self, change: Callable[[], None]) -> None:
        """Change what has been seen, and wake whoever waits for it."""
        with self._changed:
            change()
            self._changed.notify_all()

    def note_request(self, request: Recorded) -> None:
        """Record a request for an answer."""
        self.note(lambda: self._seen.requests.append(request))

    def script_for(self, request: Recorded) -> Script | None:
        """The script that answers `request`, its fault struck out where chance spares the request."""
        behaviour = self.scripts.get(request.model, self.default)
        script = behaviour(request) if callable(behaviour) else behaviour
        if script is None or script.fault is None or self._rng.random() < script.fail_share:
            return script
        return replace(script, fault=None)

    async def tell(self, exchange: Exchange, telling: Awaitable[bool]) -> None:
        """Run `telling` (a coroutine that streams an answer) and keep count of it."""
        model = exchange.request.model
        self.note(lambda: self._seen.open_streams.update([model]))
        try:
            whole = await telling
        except (ReaderGone, ConnectionError):
            self.note(lambda: self._seen.hung_up.append(model))
            raise
        else:
            if whole:
                self.note(lambda: self._seen.told.append(model))
        finally:
            self.note(lambda: self._seen.open_streams.subtract([model]))


async def begin_badly(exchange: Exchange, script: Script, whole: Callable[[Recorded, Script], object]) -> bool:
    """Let a fault happen instead of a stream (`whole` is the answer without one); `True` if there will be none."""
    match script.fault:
        case Fault.STALL_HEADERS:
            await exchange.stall()
            return False
        case Fault.DROP_AT_ONCE:
            exchange.drop()
        case Fault.HTML:
            exchange.respond(200, "<!doctype html><title>Sign in</title><p>Please sign in to this network.</p>")
        case Fault.NOT_STREAMED:
            exchange.respond(200, whole(exchange.request, script))
        case _:
            return False
    return True


async def stream_pieces(
    exchange: Exchange, script: Script, pieces: Sequence[str], encode: Callable[[str], bytes], error: bytes
) -> bool:
    """Stream `pieces` at the script's pace with its fault in mid-stream; `True` if the answer may be finished."""
    fault = script.fault
    if fault is Fault.STALL_FIRST:
        await exchange.stall()
    await exchange.pause(script.first_delay_s)
    for index, piece in enumerate([] if fault is Fault.EMPTY else pieces):
        if index == script.fault_after and await _strike(exchange, fault, error):
            return False
        if index:
            await exchange.pause(script.chunk_delay_s)
        exchange.event(encode(piece))
    return not (len(pieces) <= script.fault_after and await _strike(exchange, fault, error))


async def end_badly(exchange: Exchange, fault: Fault | int | None) -> bool:
    """Let a fault happen between the finish reason and the end of the stream; `True` if the stream is over."""
    if fault is Fault.STALL_END:
        await exchange.stall()
    if fault is Fault.DROP_END:
        await asyncio.sleep(_FLUSH_S)
        exchange.drop()
        return True
    return False


async def _strike(exchange: Exchange, fault: Fault | int | None, error: bytes) -> bool:
    """Let a fault happen in mid-stream; `True` if the stream is over."""
    match fault:
        case Fault.STALL_MIDWAY:
            await exchange.stall()
            return False
        case Fault.CUT:
            exchange.close_stream()
        case Fault.DROP:
            await asyncio.sleep(_FLUSH_S)
            exchange.drop()
        case Fault.BAD_JSON:
            exchange.event(b'{"choices": [{"delta": ')
            exchange.close_stream()
        case Fault.BAD_UTF8:
            exchange.event(b'{"broken": "\xff\xfe\xfa"}')
            exchange.close_stream()
        case Fault.ERROR_EVENT:
            exchange.event(error)
            exchange.close_stream()
        case _:
            return False
    return True


def parser_by_hand(description: str | None, port: int) -> argparse.ArgumentParser:
    """The options of every `python -m tests.scripted_…`; `port` is the one that it listens at by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port)
    return parser


def serve_by_hand(server: ScriptedServer, note: str) -> None:
    """Run `server` until interrupted, for `python -m tests.scripted_…`."""
    with server:
        print(note, flush=True)  # noqa: T201 - it is what a person who starts it reads
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
