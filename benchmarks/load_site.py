"""The processes of a load benchmark: the platform on one core, and what is measured alone on another."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_WAIT_S = 120


@dataclass(frozen=True, slots=True)
class Measured:
    """A process under measurement."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_mb(self) -> float:
        """Resident memory now."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def threads(self) -> int:
        """Threads now."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def sockets(self) -> int:
        """Open sockets now."""
        count = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry).startswith("socket:")
        return count


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cores() -> tuple[set[int], set[int]]:
    """The core of what is measured, and those of everything else; the same one where there is only one."""
    own = sorted(os.sched_getaffinity(0))
    return {own[0]}, set(own[1:]) or {own[0]}


@contextlib.contextmanager
def running(
    command: list[str], port: int, path: str, core: set[int], environment: Mapping[str, str] | None = None
) -> Iterator[Measured]:
    """Run `python <command>` on that core until the end, from when it answers at `path`."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    try:
        _await(process, f"http://127.0.0.1:{port}{path}")
        yield Measured(process.pid, port)
    finally:
        process.kill()
        process.wait()


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            opener.open(url, timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code != 503:  # what is not ready says so; any other answer is one
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing answers at {url}")


@contextlib.contextmanager
def arena(folder: Path, platform: str, tokens: int, settings: Mapping[str, str]) -> Iterator[tuple[Measured, int]]:
    """The real app over a platform that streams 60 tokens a second; and the port of that platform."""
    measured_on, others = cores()
    steady = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            running(
                ["-m", "benchmarks.steady_server", "--port", str(steady), "--tokens", str(tokens)],
                *(steady, "/v1/models/steady", others),
            )
        )
        environment = {
            "ARENA_BATTLES_PER_MINUTE": "1000000",
            "ARENA_SECRET": "a secret of this benchmark only, nobody's",
            **settings,
        }
        roster: dict[str, object] = {}
        if platform in ("openai", "mixed"):
            for name in ("east", "west"):
                roster[name] = {"api_type": "openai", "model_name": name, "api_key": "none"}
                roster[name] |= {"api_base": f"http://127.0.0.1:{steady}/v1"}  # type: ignore[operator]
        if platform in ("vertex", "mixed"):
            vertex = free_port()
            key = folder / "key.json"
            command = ["-m", "benchmarks.steady_vertex", "--port", str(vertex), "--tokens", str(tokens)]
            stack.enter_context(running([*command, "--credentials", str(key)], vertex, "/", others))
            environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(key)
            for name in ("north", "south"):
                roster[name] = {"api_type": "vertex", "model_name": f"gemini-{name}", "project_id": "p"}
                roster[name] |= {"location": "here", "api_base": f"http://127.0.0.1:{vertex}"}  # type: ignore[operator]
        if platform == "mixed":
            roster["east"] |= {"targets": ["north"]}  # type: ignore[operator]
        (folder / "roster.json").write_text(json.dumps(roster))
        port = free_port()
        command = ["app.py", "--port", str(port), "--data", str(folder), "--models", str(folder / "roster.json")]
        yield stack.enter_context(running(command, port, "/readyz", measured_on, environment)), steady
