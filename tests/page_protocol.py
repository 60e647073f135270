"""A visitor without a browser: speaks the page's own protocol, discovered from the running arena as a browser does.

Blocking, one connection; as many visitors as wanted may play side by side in threads.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx


@dataclass(frozen=True, slots=True)
class _Function:
    """One function of the page, as the page's configuration tells of it."""

    number: int
    trigger: int
    inputs: Sequence[int]
    outputs: Sequence[int]


class PageVisitor:
    """One visitor with a cookie of their own, on the Battle page."""

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - httpx's own
        """Open the page at `url`; `options` go to the HTTP client."""
        self._client = httpx.Client(base_url=url, **{"timeout": 30, **options})
        self._client.get("/").raise_for_status()
        self._config: Mapping[str, Any] = self._client.get("/config").raise_for_status().json()
        self._session = uuid4().hex

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def client(self) -> httpx.Client:
        """For whatever else is asked with this visitor's cookie."""
        return self._client

    def fight(self, prompt: str) -> str:
        """Play a battle to its end; its id, or "" where the page refused it."""
        *_, last = self.frames(prompt)
        return last

    def frames(self, prompt: str) -> Iterator[str]:
        """Start a battle and give its id at each frame that arrives, the last one when it has ended."""
        send, vote = self._function("send"), self._function("vote-model_a")
        place = send.outputs.index(vote.inputs[0])
        battle = ""
        for event in self._queued(send, [prompt]):
            if event["msg"] in ("process_generating", "process_completed") and event["success"]:
                battle = _text(event["output"]["data"][place]) or battle
                yield battle

    def vote(self, battle: str, winner: str) -> str:
        """Vote, and give all that the page is told."""
        button = self._function(f"vote-{winner}")
        return self._ask(button, [battle])

    def _function(self, element: str) -> _Function:
        """The function behind a button."""
        trigger = next(c["id"] for c in self._config["components"] if c["props"].get("elem_id") == element)
        found = next(d for d in self._config["dependencies"] if [trigger, "click"] in d["targets"])
        return _Function(found["id"], trigger, found["inputs"], found["outputs"])

    def _ask(self, function: _Function, data: Sequence[str]) -> str:
        answer = self._client.post("/gradio_api/run/predict", json=self._job(function, data))
        return answer.raise_for_status().text

    def _queued(self, function: _Function, data: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        self._client.post("/gradio_api/queue/join", json=self._job(function, data)).raise_for_status()
        asked = {"session_hash": self._session}
        with self._client.stream("GET", "/gradio_api/queue/data", params=asked) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    event: Mapping[str, Any] = json.loads(line.removeprefix("data:"))
                    yield event
                    if event["msg"] == "close_stream":
                        return

    def _job(self, function: _Function, data: Sequence[str]) -> Mapping[str, Any]:
        return {
            "data": data,
            "fn_index": function.number,
            "session_hash": self._session,
            "trigger_id": function.trigger,
        }


def _text(output: object) -> str:
    """What a text component is set to; "" where the frame leaves it as it is."""
    if isinstance(output, str):
        return output
    if isinstance(output, dict) and isinstance(output.get("value"), str):
        return str(output["value"])
    if isinstance(output, list) and output and output[0][0] == "replace":
        return _text(output[0][2])
    return ""
