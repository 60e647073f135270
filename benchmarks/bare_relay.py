"""The floor beside the arena's load: two streams read by hand and sent on ten times a second, no page at all."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncGenerator

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

FRAME_S = 0.1


class _Side:
    def __init__(self) -> None:
        self.text = ""
        self.begun = asyncio.Event()
        self.ended = False

    async def read(self, port: int) -> None:
        """Read one answer of the steady server."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps({"model": "steady", "stream": True}).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        try:
            while (line := await reader.readline()) and not line.startswith(b"data: [DONE]"):
                if line.startswith(b"data: "):
                    self.text += orjson.loads(line[6:])["choices"][0]["delta"].get("content", "")
                    self.begun.set()
        finally:
            self.ended = True
            writer.close()


async def _frames(port: int) -> AsyncGenerator[bytes]:
    sides = (_Side(), _Side())
    tasks = [asyncio.create_task(side.read(port)) for side in sides]
    sent = [0, 0]
    try:
        for side in sides:
            await side.begun.wait()
        while True:
            over = all(side.ended for side in sides)
            fresh = [side.text[start:] for side, start in zip(sides, sent, strict=True)]
            sent = [len(side.text) for side in sides]
            yield b"data: " + orjson.dumps({"msg": "process_generating", "text": fresh}) + b"\n\n"
            if over:
                yield b'data: {"msg": "process_completed"}\n\n'
                return
            await asyncio.sleep(FRAME_S)
    finally:
        for task in tasks:
            task.cancel()


async def relay(request: Request) -> StreamingResponse:
    """One battle's worth of streams."""
    return StreamingResponse(_frames(int(os.environ["STEADY_PORT"])), media_type="text/event-stream")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        Starlette(routes=[Route("/relay", relay)]),
        port=parser.parse_args().port,
        log_config=None,
        access_log=False,
        backlog=2048,
    )
