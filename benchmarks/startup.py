"""How long the arena takes to start: `python -m benchmarks.startup [--rounds N]`.

Measures, in the same run, from process start to the first served page: the arena with the shipped roster, and the least
that any Gradio page costs (`import gradio` and the launch of an empty Blocks). Also `python app.py --help`.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BARE = """
import sys, gradio
with gradio.Blocks() as page:
    pass
page.launch(server_port=int(sys.argv[1]), quiet=True, prevent_thread_lock=False)
"""


def main() -> None:
    """Measure in turns, so that a busy moment of the machine hits both; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    arena, bare, told = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            arena.append(until_served([str(ROOT / "app.py"), "--data", folder, "--port"]))
        bare.append(until_served(["-c", BARE]))
        told.append(until_told([str(ROOT / "app.py"), "--help"]))
    served, floor = statistics.median(arena), statistics.median(bare)
    print(f"arena, start to served page   {served:5.2f} s   (median of {rounds}, {min(arena):.2f} to {max(arena):.2f})")
    print(f"bare Gradio, the same         {floor:5.2f} s   ({min(bare):.2f} to {max(bare):.2f})")
    print(f"ratio                         {served / floor:5.2f}")
    print(f"app.py --help                 {statistics.median(told):5.2f} s")


def until_served(arguments: list[str]) -> float:
    """Seconds from the start of `python <arguments> <free port>` to the first page that it serves."""
    port = free_port()
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments, str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not served(port):
            if process.poll() is not None:
                raise SystemExit(f"{arguments[0]} ended with status {process.returncode} before it served a page")
            time.sleep(0.02)
        return time.perf_counter() - started
    finally:
        process.kill()
        process.wait()


def until_told(arguments: list[str]) -> float:
    """Seconds that `python <arguments>` takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def served(port: int) -> bool:
    """Whether the first page is served now."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
