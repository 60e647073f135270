"""A wire between a visitor and the arena, which a test can cut: what was under way is lost, what comes later passes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Wire:
    """The wire while it is up; give its `url` to the visitor."""

    url: str
    _ends: list[socket.socket] = field(default_factory=list)
    _passing: list[threading.Thread] = field(default_factory=list)

    def cut(self) -> None:
        """End every connection that there is now."""
        for end in self._ends:
            with suppress(OSError):  # it may have ended before
                end.shutdown(socket.SHUT_RDWR)

    def take_down(self) -> None:
        """Cut it, and leave nothing open."""
        self.cut()
        for thread in self._passing:
            thread.join(10)
        for end in self._ends:
            end.close()

    def carry(self, visitor: socket.socket, arena: socket.socket) -> None:
        """Let a connection pass, both ways."""
        self._ends += [visitor, arena]
        for source, target in ((visitor, arena), (arena, visitor)):
            self._passing.append(threading.Thread(target=_pass_on, args=(source, target), daemon=True))
            self._passing[-1].start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the server at `url`, until the end of the block."""
    server = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def take() -> None:
            with suppress(OSError):
                while True:
                    visitor, _ = listener.accept()
                    wire.carry(visitor, socket.create_connection((server.hostname or "", server.port or 80)))

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            taking.join(10)
            wire.take_down()
