"""What comes over the wire from Vertex AI: server-sent events, and what stands between them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from arena.errors import FailureKind
from arena.providers.failures import failure
from arena.providers.reading import LONGEST_EVENT

_MEANINGLESS = (b":", b"event:", b"id:", b"retry:")
"""Comments, and the fields of an event that say nothing here."""


@dataclass(slots=True)
class VertexEvents:
    """Splits bytes, as they arrive, into what should each be JSON.

    Those are the data of events, and what no `data:` stands before until its braces are closed: so an error may come,
    in several lines and also in mid-stream.
    """

    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _bare: list[bytes] = field(default_factory=list)
    _open_braces: int = 0
    _held: int = 0
    """Bytes in `_data` and `_bare`."""

    def feed(self, received: bytes) -> Iterator[bytes]:
        """What `received` completes."""
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            yield from self._read(line.removesuffix(b"\r"))
        if len(self._rest) + self._held > LONGEST_EVENT:
            raise failure(FailureKind.MALFORMED, "an event without end")

    def close(self) -> Iterator[bytes]:
        """What the end of the stream completes."""
        yield from self._read(self._rest.removesuffix(b"\r"))
        for unfinished in (self._data, self._bare):
            if unfinished:
                yield b"\n".join(unfinished)

    def _read(self, line: bytes) -> Iterator[bytes]:
        self._held += len(line)
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif line and not line.startswith(_MEANINGLESS):
            self._bare.append(line)
            self._open_braces += line.count(b"{") - line.count(b"}")
            if not self._open_braces:
                yield self._taken(self._bare)
        elif not line and self._data:
            yield self._taken(self._data)

    def _taken(self, lines: list[bytes]) -> bytes:
        taken = b"\n".join(lines)
        lines.clear()
        self._held = 0
        return taken
