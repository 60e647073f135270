"""Several arenas in processes of their own, on one PostgreSQL, behind the nginx that `hosting/nginx.conf` describes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from arena.config import SHIPPED_DIR
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Script

MISSING = "nginx is missing: apt-get install nginx"
NAMES = ("one", "two", "three")
SECRETS = {"ARENA_SECRET": "shared by all replicas of this test", "ARENA_ADMIN_PASSWORD": "open, please"}


@dataclass(frozen=True, slots=True)
class Replicas:
    """What runs."""

    url: str
    """Where visitors come in."""
    addresses: Sequence[str]
    """Each arena by itself."""
    processes: Sequence["subprocess.Popen[str]"]

    def kill(self, number: int) -> None:
        """End one arena as a crash would."""
        self.processes[number].kill()
        self.processes[number].wait(10)


@contextmanager
def replicas(folder: Path, database_url: str, **settings: str) -> Iterator[Replicas]:
    """Start two arenas whose three models answer at once, and nginx before them."""
    with ExitStack() as stack:
        llm = stack.enter_context(ScriptedOpenAI({f"api-{name}": Script(text=f"From {name}.") for name in NAMES}))
        entry = {"api_type": "openai", "api_base": llm.url, "api_key": "none"}
        roster = folder / "roster.json"
        roster.write_text(json.dumps({name: {**entry, "model_name": f"api-{name}"} for name in NAMES}))
        shared = {**SECRETS, "ARENA_DATABASE_URL": database_url, "ARENA_MODELS": str(roster), **settings}
        started = [stack.enter_context(_arena(folder / str(number), shared)) for number in (1, 2)]
        told = [(process, _address_of(process)) for process in started]
        for _, address in told:
            _wait_until_ready(address)
        addresses = [address for _, address in told]
        url, _ = stack.enter_context(nginx(folder / "nginx", [a.removeprefix("http://") for a in addresses]))
        yield Replicas(url, addresses, started)


@contextmanager
def _arena(data: Path, settings: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    data.mkdir()
    fast = {"ARENA_PACE_CHARACTERS_PER_S": "50000", "ARENA_FRAMES_PER_S": "20", "ARENA_FORWARDED_HOPS": "1"}
    with (data / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, SHIPPED_DIR / "app.py", "--port", "0", "--data", data],
            env={**os.environ, **fast, **settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=data,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().split()[-1]


def _wait_until_ready(address: str) -> None:
    """Ask until two models can be drawn."""
    with httpx.Client(base_url=address, timeout=10) as client:
        while client.get("/readyz").status_code != httpx.codes.OK:
            pass


@contextmanager
def nginx(folder: Path, addresses: Sequence[str]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run nginx with the shipped configuration, and these arenas (`host:port`) in the place of those it names.

    Gives where it listens, and its process.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip(MISSING)
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shipped = (SHIPPED_DIR / "hosting" / "nginx.conf").read_text()
    servers = re.findall(r"^ *server arena-\d+:7860.*\n", shipped, re.MULTILINE)
    shipped = shipped.replace("".join(servers), "".join(re.sub(r"arena-\d+:7860", a, servers[0]) for a in addresses))
    shipped, replaced = re.subn(r"listen 8080;", f"listen 127.0.0.1:{port};", shipped)
    assert replaced == 1
    (folder / "arenas.conf").write_text(shipped)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\n{temporary}access_log {folder}/access.log;\ninclude {folder}/arenas.conf;\n}}\n"
    )
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    try:
        _wait_until_open(port)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _wait_until_open(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            continue
        return
