"""A local server that speaks the Hugging Face Hub's protocol for datasets: create, commit, large files, list, download.

By hand: `python -m tests.scripted_hub`, then `HF_ENDPOINT=<its address> HF_TOKEN=right python app.py`.
"""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "right"
"""The only token that this hub takes."""
SMALL = 1_000
"""Files from this size on go through large file storage, in bytes."""


@dataclass(slots=True)
class ScriptedHub:
    """What the hub holds and what it does wrong."""

    url: str = ""
    repos: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    status: int | None = None
    """Every request is answered with it."""
    failing: str | None = None
    """Requests whose path holds this are refused."""
    losing: bool = False
    """Large files lose their last byte."""


@contextmanager
def scripted_hub() -> Iterator[ScriptedHub]:
    """Serve until the end of the block."""
    hub = ScriptedHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: ScriptedHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Create, ask how to upload, commit."""
        path, body = urlsplit(self.path).path, self._body()
        if not self._admitted():
            return
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["size"] >= SMALL else "regular", "shouldIgnore": False}
                for f in files
            ]
            self._json({"files": modes})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._json({"transfer": "basic", "objects": [self._place(o) for o in json.loads(body)["objects"]]})
        elif "/commit/" in path:
            repo = path.removeprefix("/api/datasets/").partition("/commit/")[0]
            self._commit(repo, [json.loads(line) for line in body.splitlines() if line])
        elif "/paths-info/" in path:
            asked = parse_qs(body.decode())["paths"]
            self._json([self._entry(path) for path in asked if path in self.hub.files])
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_PUT(self) -> None:
        """Take a large file."""
        content = self._body()
        if self.hub.failing is not None and self.hub.failing in self.path:
            self._answer(HTTPStatus.FORBIDDEN)
            return
        self.hub.large[self.path.rsplit("/", 1)[1]] = content
        self._answer(HTTPStatus.OK)

    def do_HEAD(self) -> None:
        """Tell what a download would give."""
        self._resolve(with_body=False)

    def do_GET(self) -> None:
        """List a folder, or download."""
        path = unquote(urlsplit(self.path).path)
        if "/tree/" not in path:
            self._resolve(with_body=True)
        elif self._admitted():
            repo, _, folder = path.removeprefix("/api/datasets/").partition("/tree/main/")
            found = [self._entry(name) for name in sorted(self.hub.files) if name.startswith(f"{folder}/")]
            if repo not in self.hub.repos:
                self._answer(HTTPStatus.NOT_FOUND, {"X-Error-Code": "RepoNotFound"})
            elif not found:
                self._answer(HTTPStatus.NOT_FOUND, {"X-Error-Code": "EntryNotFound"})
            else:
                self._json(found)

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        known = repo in self.hub.repos
        self.hub.repos.add(repo)
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(repo)
        status = HTTPStatus.CONFLICT if known else HTTPStatus.OK
        self._json({"url": f"{self.hub.url}/datasets/{repo}"}, status)

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        upload = {"href": f"{self.hub.url}/large/{wanted['oid']}", "header": {}}
        return {"oid": wanted["oid"], "size": wanted["size"], "actions": {"upload": upload}}

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.hub.large[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                self.hub.files[value["path"]] = content[:-1] if self.hub.losing else content
        self.hub.commits += 1
        commit = f"{self.hub.commits:040x}"
        self._json(
            {"success": True, "commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{commit}", "commitOid": commit}
        )

    def _entry(self, path: str) -> dict[str, Any]:
        content = self.hub.files[path]
        return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def _resolve(self, *, with_body: bool) -> None:
        if not self._admitted():
            return
        path = unquote(urlsplit(self.path).path).partition("/resolve/main/")[2]
        content = self.hub.files.get(path)
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND, {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": f"{self.hub.commits:040x}"}
        self._answer(HTTPStatus.OK, headers, content, with_body=with_body)

    def _admitted(self) -> bool:
        if self.hub.status is not None:
            self._answer(HTTPStatus(self.hub.status))
        elif self.hub.failing is not None and self.hub.failing in unquote(self.path):
            self._answer(HTTPStatus.FORBIDDEN)
        elif self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(HTTPStatus.UNAUTHORIZED)
        else:
            return True
        return False

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _json(self, content: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _answer(
        self, status: HTTPStatus, headers: dict[str, str] | None = None, body: bytes = b"", *, with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


if __name__ == "__main__":
    with scripted_hub() as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
