"""A visitor with a script instead of a browser: speaks the page's protocol and notes all that it receives, and when.

Blocking; as many as wanted may play side by side in threads.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx

UNCHANGED = {"__type__": "update"}


@dataclass(frozen=True, slots=True)
class Heard:
    """One event of the page's stream."""

    at_s: float
    """Seconds since the prompt was sent."""
    size: int
    """Bytes on the wire."""
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Overheard:
    """Everything that came for one battle."""

    battle: str
    head_bytes: int
    events: Sequence[Heard]


@dataclass
class ScriptedVisitor:
    """One visitor; the cookie is kept as a browser keeps it."""

    url: str
    config: dict[str, Any] = field(default_factory=dict)
    """The page's configuration; read from the arena where none is given."""
    session: str = field(default_factory=lambda: uuid4().hex)

    def __enter__(self) -> Self:
        self.client = httpx.Client(base_url=self.url, timeout=60, verify=False)
        while self.client.get("/readyz").status_code != 200:
            time.sleep(0.01)
        self.client.get("/").raise_for_status()
        self.config = self.config or self.client.get("/config").raise_for_status().json()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def function(self, elem_id: str) -> dict[str, Any]:
        """The function behind a button; the first one where pages share the id."""
        parts = [c["id"] for c in self.config["components"] if c["props"].get("elem_id") == elem_id]
        return next(d for d in self.config["dependencies"] for part in parts if [part, "click"] in d["targets"])

    def panes(self) -> list[int]:
        """Where the two panes stand among the outputs of the Battle page."""
        kinds = {c["id"]: c["type"] for c in self.config["components"]}
        return [place for place, part in enumerate(self.function("send")["outputs"]) if kinds[part] == "chatbot"]

    def call(self, function: int, data: Sequence[Any], session: str = "") -> str:
        """What a function answers that is called directly, without the queue."""
        job = {"data": list(data), "fn_index": function, "session_hash": session or self.session}
        return self.client.post("/gradio_api/run/predict", json=job).text

    def join(self, function: int, data: Sequence[Any], session: str = "") -> httpx.Response:
        """Ask a function through the queue; what it says comes with `listen`."""
        job = {"data": list(data), "fn_index": function, "session_hash": session or self.session}
        return self.client.post("/gradio_api/queue/join", json=job)

    def listen(self, session: str = "") -> tuple[int, Sequence[Heard]]:
        """Every event up to the end of the stream, and the size of the answer's head."""
        began = time.monotonic()
        heard: list[Heard] = []
        asked = {"session_hash": session or self.session}
        with self.client.stream("GET", "/gradio_api/queue/data", params=asked) as stream:
            head = sum(len(name) + len(value) for name, value in stream.headers.raw)
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    event = json.loads(line.removeprefix("data:"))
                    heard.append(Heard(time.monotonic() - began, len(line), event))
                    if event["msg"] == "close_stream":
                        break
        return head, heard

    def fight(self, prompt: str = "What shall I make?") -> Overheard:
        """Play a battle on the Battle page to its end."""
        send = self.function("send")
        session = uuid4().hex
        self.join(send["id"], [prompt], session).raise_for_status()
        head, events = self.listen(session)
        return Overheard(self._battle(send, events), head, events)

    def vote(self, battle: str, winner: str = "model_a", session: str = "") -> str:
        """Vote on the Battle page, without criteria; what the page is told."""
        function = self.function(f"vote-{winner}")
        return self.call(function["id"], [battle, *[None] * (len(function["inputs"]) - 1)], session)

    def battle_of(self, lines: Iterable[str]) -> str:
        """The battle's id, read from a stream of events no further than to where it stands."""
        events = (json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:"))
        return self._battle(self.function("send"), (Heard(0, 0, event) for event in events))

    def _battle(self, send: Mapping[str, Any], events: Iterable[Heard]) -> str:
        place = send["outputs"].index(self.function("vote-model_a")["inputs"][0])
        for heard in events:
            data = heard.event.get("output", {}).get("data") or []
            if len(data) > place and (said := changed_text(data[place])):
                return said
        return ""


def changed_text(output: object) -> str:
    """The text that a part of the page is set to; empty where the event leaves it as it is."""
    if isinstance(output, dict):
        output = output.get("value", "")
    if isinstance(output, list) and output and output[0][0] == "replace":
        return changed_text(output[0][2])
    return output if isinstance(output, str) else ""
