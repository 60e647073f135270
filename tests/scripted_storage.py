"""A local server that speaks as much of Cloud Storage's JSON API as uploading a file takes, whole or resumable.

By hand it comes with Vertex AI: `python -m tests.scripted_vertex_tuning --help`.
"""

import email.parser
import email.policy
import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from tests.scripting import Exchange, ScriptedServer
from tests.tuning_scripts import Mishap, Trouble, Troubles


class ScriptedStorage(ScriptedServer):
    """Buckets with objects; who may come in is decided by `admits`."""

    def __init__(self, *buckets: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.buckets = set(buckets)
        self.objects: dict[str, bytes] = {}
        """`gs://bucket/name` -> content."""
        self.uploads: list[str] = []
        """The addresses written, in order."""
        self.troubles = Troubles()
        """By operation: `upload`."""
        self.admits: Callable[[str], bool] = lambda authorization: True
        self._sessions: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """What `storage_base` takes."""
        return self.origin

    def model_of(self, path: str, body: Mapping[str, Any]) -> str:
        """No request names a model."""
        del path, body
        return ""

    def parse_body(self, raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """The object's name and content, from whichever kind of upload."""
        kind = headers.get("content-type", "")
        if kind.startswith("multipart/related"):
            whole = f"Content-Type: {kind}\r\n\r\n".encode() + raw
            facts, content = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(whole).iter_parts()
            told = json.loads(facts.get_payload(decode=True))  # type: ignore[arg-type]
            return {"name": told["name"], "content": content.get_payload(decode=True)}
        return json.loads(raw) if kind.startswith("application/json; ") else {"content": raw}

    async def answer(self, exchange: Exchange) -> None:
        """Uploads only."""
        request = exchange.request
        path, _, text = request.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text))
        if not self.admits(request.authorization):
            exchange.respond(401, _error(401, "Invalid Credentials"))
            return
        trouble = self.troubles.take("upload")
        if trouble is not None and trouble.what is not Mishap.DONE_THEN_CUT:
            self._fail(exchange, trouble)
            return
        bucket = path.removeprefix("/upload/storage/v1/b/").removesuffix("/o")
        if bucket not in self.buckets:
            exchange.respond(404, _error(404, "The specified bucket does not exist."))
        elif query.get("upload_id"):
            session = self._sessions.pop(query["upload_id"])
            self._store(exchange, bucket, session["name"], request.body["content"], query)
        elif query["uploadType"] == "resumable":
            self._begin(exchange, path, text, request.body)
        else:
            self._store(exchange, bucket, request.body["name"], request.body["content"], query)
        if trouble is not None:
            exchange.drop()

    def _fail(self, exchange: Exchange, trouble: Trouble) -> None:
        if isinstance(trouble.what, int):
            exchange.respond(trouble.what, _error(trouble.what, trouble.message))
        else:
            exchange.drop()

    def _begin(self, exchange: Exchange, path: str, query: str, body: dict[str, Any]) -> None:
        number = f"upload{len(self._sessions) + 1}"
        self._sessions[number] = body
        exchange.respond(200, {}, {"location": f"{self.origin}{path}?{query}&upload_id={number}"})

    def _store(self, exchange: Exchange, bucket: str, name: str, content: bytes, query: Mapping[str, str]) -> None:
        address = f"gs://{bucket}/{name}"
        if query.get("ifGenerationMatch") == "0" and address in self.objects:
            exchange.respond(412, _error(412, "At least one of the pre-conditions you specified did not hold."))
            return
        self.objects[address] = content
        self.note(lambda: self.uploads.append(address))
        size = str(len(content))
        exchange.respond(
            200, {"kind": "storage#object", "name": name, "bucket": bucket, "size": size, "generation": "1"}
        )


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "errors": [{"message": message, "reason": "scripted"}]}}
