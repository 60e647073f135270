"""The scripted Vertex AI of the tests at 60 tokens a second, in a process of its own, for the load benchmark."""

import argparse
from pathlib import Path

from benchmarks.steady_server import FIRST_TICKS, TICK_S, WORD
from tests.scripted_vertex import ScriptedVertex
from tests.scripting import Script, serve_by_hand

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--credentials", type=Path, required=True)
    given = parser.parse_args()
    script = Script(text=f"{WORD} " * given.tokens, first_delay_s=FIRST_TICKS * TICK_S, chunk_delay_s=TICK_S)
    server = ScriptedVertex(default=script, port=given.port)
    server.write_credentials(given.credentials)
    serve_by_hand(server, server.url)
