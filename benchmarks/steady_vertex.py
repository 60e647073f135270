"""Vertex AI as `steady_server` is OpenAI: 60 tokens a second to each reader by one clock, and a token for everybody."""

import argparse
import asyncio
from pathlib import Path

from benchmarks.steady_server import WORD, Speech, framed, serve
from tests.scripted_vertex import ScriptedVertex

_COMMON = {"modelVersion": "steady", "createTime": "2026-01-01T00:00:00.000000Z", "responseId": "steady-response"}
_ACCESS = b'{"access_token": "ya29.steady", "expires_in": 3600, "token_type": "Bearer"}'


def _chunk(candidate: dict[str, object], **usage: int) -> bytes:
    told: dict[str, object] = {"trafficType": "ON_DEMAND", **usage}
    return framed({"candidates": [candidate], "usageMetadata": told, **_COMMON}, b"\r\n")


_VERTEX = Speech(
    word=_chunk({"content": {"role": "model", "parts": [{"text": WORD + " "}]}}),
    end=_chunk({"finishReason": "STOP"}, promptTokenCount=8, candidatesTokenCount=300) + b"0\r\n\r\n",
    whole=lambda head: None if b":streamGenerateContent" in head.split(b"\r\n", 1)[0] else _ACCESS,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--credentials", type=Path, required=True)
    given = parser.parse_args()
    ScriptedVertex(port=given.port).write_credentials(given.credentials)
    asyncio.run(serve(given.port, given.tokens, _VERTEX))
