"""A visitor with a script instead of a browser: speaks the page's protocol, sends whatever it likes and notes all that
it receives, and when.

Blocking; as many as wanted may play side by side in threads.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx

Function = Mapping[str, Any]
"""A function of a page, as the configuration that Gradio gives to everybody tells of it."""
UNCHANGED = {"__type__": "update"}
GIVEN: Mapping[str, Any] = {"radio": "exclude", "textbox": "exclude anna", "checkboxgroup": []}
"""What a stranger gives to the functions of a page, by the kind of the part that they read."""


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

    def __contains__(self, text: str) -> bool:
        """Whether this was sent in it."""
        return any(text in json.dumps(heard.event, ensure_ascii=False) for heard in self.events)


def function_of(config: Mapping[str, Any], elem_id: str, event: str = "click") -> Function:
    """The function behind a component's event; the first one where pages share the id."""
    ids = [part["id"] for part in config["components"] if part["props"].get("elem_id") == elem_id]
    return next(d for d in config["dependencies"] for part in ids if [part, event] in map(list, d["targets"]))


@dataclass
class ScriptedVisitor:
    """One visitor; the cookie is kept as a browser keeps it."""

    url: str
    config: dict[str, Any] = field(default_factory=dict)
    """The page's configuration; read from the arena where none is given."""
    session: str = field(default_factory=lambda: uuid4().hex)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request."""

    def __enter__(self) -> Self:
        self.client = httpx.Client(base_url=self.url, timeout=60, verify=False, headers=self.headers)
        while self.client.get("/readyz").status_code != 200:
            time.sleep(0.01)
        self.client.get("/").raise_for_status()
        self.config = self.config or self.client.get("/config").raise_for_status().json()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def function(self, elem_id: str, event: str = "click") -> Function:
        """The function behind a component's event."""
        return function_of(self.config, elem_id, event)

    def functions_on(self, page: str) -> dict[int, list[Any]]:
        """The functions that write to a page, with something for each of their inputs (`GIVEN`)."""
        on_page = set(self.config["page"][page]["components"])
        kinds = {part["id"]: part["type"] for part in self.config["components"]}
        return {
            d["id"]: [GIVEN.get(kinds[part]) for part in d["inputs"]]
            for d in self.config["dependencies"]
            if d["backend_fn"] and on_page & set(d["outputs"])
        }

    def panes(self) -> list[int]:
        """Where the two panes stand among the outputs of the Battle page."""
        kinds = {c["id"]: c["type"] for c in self.config["components"]}
        return [place for place, part in enumerate(self.function("send")["outputs"]) if kinds[part] == "chatbot"]

    def call(self, function: int | Function, data: Sequence[Any], session: str = "") -> str:
        """What a function answers that is called directly, without the queue."""
        return self.client.post("/gradio_api/run/predict", json=self._job(function, data, session)).text

    def join(self, function: int | Function, data: Sequence[Any], session: str = "") -> httpx.Response:
        """Ask a function through the queue; what it says comes with `listen`."""
        return self.client.post("/gradio_api/queue/join", json=self._job(function, data, session))

    def hear(self, function: int | Function, data: Sequence[Any]) -> str:
        """Everything that a function answers through the queue, or the refusal to let it."""
        session = uuid4().hex
        joined = self.join(function, data, session)
        if joined.status_code != 200:
            return joined.text
        return self.client.get("/gradio_api/queue/data", params={"session_hash": session}).text

    def tell(self, function: int | Function, data: Sequence[Any]) -> tuple[str, str]:
        """What a function answers directly, and through the queue."""
        return self.call(function, data), self.hear(function, data)

    def _job(self, function: int | Function, data: Sequence[Any], session: str) -> dict[str, Any]:
        number = function if isinstance(function, int) else function["id"]
        return {"data": list(data), "fn_index": number, "session_hash": session or self.session}

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
        self.join(send, [prompt], session).raise_for_status()
        head, events = self.listen(session)
        return Overheard(self._battle(send, events), head, events)

    def vote(self, battle: object, winner: str = "model_a", session: str = "") -> str:
        """Vote on the Battle page, without criteria; what the page is told. `battle` may be anything."""
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
