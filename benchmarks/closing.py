"""How soon a silent model's stream is closed once its visitor is gone: `python -m benchmarks.closing [--rounds 20]`.

The app runs over a scripted platform that says nothing, before its first word or after some. The visitor then presses
Stop, closes the page, loads it again, or loses the connection that tells of the battle, and the time to the end of both
streams is taken at the platform.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from benchmarks.load_site import cores, free_port, running
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_vertex import ScriptedVertex
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Fault, Script, ScriptedServer

TARGET_S = 0.1
SILENCES = (Fault.STALL_MIDWAY, Fault.STALL_FIRST)


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page with a battle that both models are silent in."""

    visitor: ScriptedVisitor
    session: str
    battle: str
    events: httpx.Response
    connections: ExitStack


def press_stop(page: OpenPage) -> None:
    """Press Stop."""
    page.visitor.call(page.visitor.function("stop")["id"], [page.battle], page.session)


def close(page: OpenPage) -> None:
    """Close the tab: both of the page's connections end."""
    page.connections.close()


def load_again(page: OpenPage) -> None:
    """Load the page again: the old one's connections end, and the new one asks for the page."""
    page.connections.close()
    page.visitor.client.get("/").raise_for_status()


def lose_events(page: OpenPage) -> None:
    """Lose the connection that the battle is told in; the page itself stays."""
    page.events.close()


WAYS: Mapping[str, Callable[[OpenPage], None]] = {
    "stop": press_stop,
    "closed page": close,
    "page loaded again": load_again,
    "lost connection": lose_events,
}


def seconds_to_close(visitor: ScriptedVisitor, platform: ScriptedServer, leave: Callable[[OpenPage], None]) -> float:
    """Play until both models are silent, leave, and time the end of both of the platform's connections."""
    session = uuid4().hex
    before = len(platform.hung_up)
    with ExitStack() as connections, ThreadPoolExecutor(1) as waiting:
        client = visitor.client
        connections.enter_context(client.stream("GET", f"/gradio_api/heartbeat/{session}"))
        visitor.join(visitor.function("send")["id"], ["Is anybody there?"], session).raise_for_status()
        asked = {"session_hash": session}
        events = connections.enter_context(client.stream("GET", "/gradio_api/queue/data", params=asked))
        lines = events.iter_lines()  # kept: with the last reference to it, the connection is closed
        page = OpenPage(visitor, session, visitor.battle_of(lines), events, connections)
        if not page.battle:
            raise SystemExit("the arena refused a battle")
        platform.wait_for(lambda server: sum(server.stalled.values()) == 2, 30)

        def closed_at() -> float:
            platform.wait_for(lambda server: len(server.hung_up) == before + 2, 60)
            return time.monotonic()

        closed = waiting.submit(closed_at)
        began = time.monotonic()
        leave(page)
        return closed.result() - began


@contextmanager
def silent_arena(platform: str) -> Iterator[tuple[str, ScriptedServer]]:
    """The whole app over one scripted platform, and that platform."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {"ARENA_BATTLES_PER_MINUTE": "1000000", "ARENA_SECRET": "a secret of this benchmark, nobody's"}
        entries: dict[str, Mapping[str, str]] = {}
        server: ScriptedServer
        if platform == "vertex":
            vertex = ScriptedVertex(default=Script())
            server = stack.enter_context(vertex)
            vertex.write_credentials(folder / "key.json")
            environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(folder / "key.json")
            shared = {"api_type": "vertex", "api_base": vertex.url, "project_id": "p", "location": "here"}
            entries = {name: {**shared, "model_name": f"gemini-{name}"} for name in ("north", "south")}
        else:
            openai = ScriptedOpenAI(default=Script())
            server = stack.enter_context(openai)
            shared = {"api_type": "openai", "api_base": openai.url, "api_key": "none"}
            entries = {name: {**shared, "model_name": name} for name in ("east", "west")}
        roster, port = folder / "roster.json", free_port()
        roster.write_text(json.dumps(entries), encoding="utf-8")
        command = ["app.py", "--port", str(port), "--data", str(folder), "--models", str(roster)]
        stack.enter_context(running(command, port, "/readyz", cores()[0], environment))
        yield f"http://127.0.0.1:{port}", server


def measure(platform: str, rounds: int) -> bool:
    """Print how soon streams of this platform were closed, each way; whether half of them were too late."""
    late = False
    with silent_arena(platform) as (url, server), ScriptedVisitor(url) as visitor:
        for way, leave in WAYS.items():
            took = []
            for number in range(rounds):
                fault = SILENCES[number % len(SILENCES)]
                server.default = Script("Some words come, and then none.", fault=fault, fault_after=2)
                took.append(seconds_to_close(visitor, server, leave))
            median, longest = statistics.median(took), max(took)
            late = late or median > TARGET_S
            print(
                f"{platform}, {way}: {rounds} silent battles closed after {median * 1000:.0f} ms (median), "
                f"{longest * 1000:.0f} ms (longest), {sum(s <= TARGET_S for s in took)} within {TARGET_S} s",
                flush=True,
            )
    return late


def measure_all(rounds: int) -> bool:
    """Measure both platforms; whether anything was too late."""
    return any([measure(platform, rounds) for platform in ("openai", "vertex")])


def main() -> int:
    """Measure; exit status 1 if half of the streams were closed too late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    return int(measure_all(parser.parse_args().rounds))


if __name__ == "__main__":
    raise SystemExit(main())
