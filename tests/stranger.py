"""Somebody with a script: speaks the page's own protocol to a running arena, and sends whatever they like."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx


@dataclass
class Stranger:
    """One visitor without a browser; the cookie is kept as a browser would."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    session: str = field(default_factory=lambda: uuid4().hex)

    def __enter__(self) -> Self:
        self.client = httpx.Client(base_url=self.url, timeout=30, headers=self.headers)
        while self.client.get("/readyz").status_code != 200:
            pass
        self.client.get("/")
        self.config: dict[str, Any] = json.loads(self.client.get("/config").text)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def function(self, elem_id: str, event: str = "click") -> int:
        """The number of the function behind a component's event; the first one where pages share the id."""
        ids = [c["id"] for c in self.config["components"] if c["props"].get("elem_id") == elem_id]
        return next(
            int(d["id"])
            for d in self.config["dependencies"]
            for part in ids
            if [part, event] in map(list, d["targets"])
        )

    def inputs(self, number: int) -> int:
        """How many values a function takes."""
        return next(len(d["inputs"]) for d in self.config["dependencies"] if d["id"] == number)

    def at_once(self, number: int, data: Sequence[Any]) -> str:
        """What a function answers that needs no queue."""
        body = {"data": list(data), "fn_index": number, "session_hash": self.session}
        return self.client.post("/gradio_api/run/predict", json=body).text

    def in_queue(self, number: int, data: Sequence[Any]) -> str:
        """Everything that a function answers through the queue."""
        session = uuid4().hex
        body = {"data": list(data), "fn_index": number, "session_hash": session}
        joined = self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return joined.text
        return joined.text + self.client.get("/gradio_api/queue/data", params={"session_hash": session}).text

    def tell(self, number: int, data: Sequence[Any]) -> tuple[str, str]:
        """What a function answers at once, and through the queue."""
        return self.at_once(number, data), self.in_queue(number, data)

    def fight(self, prompt: Any) -> str:
        """Play a battle on the Battle page; everything that was sent for it."""
        return self.in_queue(self.function("send"), [prompt])

    def vote(self, battle: Any, winner: str = "model_a") -> str:
        """Vote on the Battle page, with no criterion rated."""
        number = self.function(f"vote-{winner}")
        unrated = [None] * (self.inputs(number) - 1)
        return self.at_once(number, [battle, *unrated])
