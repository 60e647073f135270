"""A local server that speaks Vertex AI's REST as google-genai calls it, and the token endpoint of a service account.

Scripts are named as a roster names models: `projects/P/locations/L/models/ID` (answered at the endpoint that it is
deployed to, refused at its own resource), `projects/P/locations/L/endpoints/ID`, or a published model's short name.

By hand: `python -m tests.scripted_vertex --port 9002 --credentials /tmp/vertex.json`, then set
GOOGLE_APPLICATION_CREDENTIALS to that file and give roster entries `api_base: http://127.0.0.1:9002`.
"""

import base64
import itertools
import json
import re
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.scripted_openai import pleasant_answer, usage_of
from tests.scripting import (
    Behaviour,
    Exchange,
    Fault,
    Recorded,
    Script,
    ScriptedServer,
    begin_badly,
    end_badly,
    parser_by_hand,
    serve_by_hand,
    stream_pieces,
)

CLIENT_EMAIL = "arena@scripted-project.iam.gserviceaccount.com"
_GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MODEL = re.compile(r"^(projects/[^/]+/locations/[^/]+)/models/([^/@]+)")
_PUBLISHED = re.compile(r"(?:^|/)publishers/google/models/([^/]+)$")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class ScriptedVertex(ScriptedServer):
    """Vertex AI's protocol; `url` is what a roster entry's `api_base` takes."""

    def __init__(
        self,
        scripts: Mapping[str, Behaviour] | None = None,
        *,
        default: Behaviour | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Every scripted model resource is deployed to an endpoint of its own; see `deploy` and `undeploy`."""
        super().__init__(scripts, default=default, seed=seed, host=host, port=port)
        self.token_fault: Fault | int | None = None
        """What the token endpoint does: an HTTP status, STALL_HEADERS until `release("token")`, DROP_AT_ONCE, HTML."""
        self.token_lifetime_s = 3600
        self.tears_events = False
        """Events come in chunks of three bytes, with Windows' line ends and with what else an event may hold."""
        self.token_requests: list[dict[str, Any]] = []
        """The claims of each assertion that was presented and verified."""
        self.lookups: list[str] = []
        """The model resources whose deployment was asked for, in order."""
        self._ids = itertools.count(1)
        self._tokens: set[str] = set()
        self._deployed: dict[str, str] = {}
        for name in self.scripts:
            if _MODEL.match(name):
                self.deploy(name)

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        return self.origin

    # ── what tests do ───────────────────────────────────────────────────────────────────────────────────────────────

    def deploy(self, model: str, endpoint_id: str | None = None) -> str:
        """Deploy a model resource to an endpoint, instead of where it was; returns the endpoint's name."""
        match = _MODEL.match(model)
        assert match, model
        endpoint = f"{match[1]}/endpoints/{endpoint_id or '9' + match[2]}"
        self._deployed[model] = endpoint
        return endpoint

    def undeploy(self, model: str) -> None:
        """Take a model resource from its endpoint; the resource stays."""
        self._deployed.pop(model, None)

    def revoke_tokens(self) -> None:
        """Refuse every access token given out so far."""
        self._tokens.clear()

    def admits(self, authorization: str) -> bool:
        """Whether an `Authorization` header carries an access token that this server gave out."""
        return authorization.removeprefix("Bearer ") in self._tokens

    def credentials(self) -> dict[str, str]:
        """A service account's key file whose token endpoint is this server."""
        return {
            "type": "service_account",
            "project_id": "scripted-project",
            "private_key_id": "scripted-key",
            "private_key": _private_pem(),
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000001",
            "auth_uri": f"{self.origin}/auth",
            "token_uri": f"{self.origin}/token",
            "universe_domain": "googleapis.com",
        }

    def write_credentials(self, path: Path) -> Path:
        """Write `credentials()` where GOOGLE_APPLICATION_CREDENTIALS may point."""
        path.write_text(json.dumps(self.credentials()), encoding="utf-8")
        return path

    # ── the protocol ────────────────────────────────────────────────────────────────────────────────────────────────

    def parse_body(self, raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """JSON, or the token endpoint's form."""
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(urllib.parse.parse_qsl(raw.decode()))
        return super().parse_body(raw, headers)

    def model_of(self, path: str, body: Mapping[str, Any]) -> str:
        """The name that a roster would use: an endpoint is called by the model resource deployed to it."""
        del body
        resource = _resource_of(path)
        if published := _PUBLISHED.search(resource):
            return published[1]
        return next((model for model, endpoint in self._deployed.items() if endpoint == resource), resource)

    async def answer(self, exchange: Exchange) -> None:
        """Tokens, model resources and streamed answers."""
        request = exchange.request
        path = _path_of(request.path)
        if path == "/token":
            await self._grant(exchange)
        elif not self.admits(request.authorization):
            exchange.respond(401, vertex_error(401, "Request had invalid authentication credentials."))
        elif request.method == "GET":
            self._describe(exchange, _resource_of(path))
        elif path.endswith(":streamGenerateContent") and request.path.endswith("alt=sse"):
            self.note_request(request)
            await self._generate(exchange, _resource_of(path))
        else:
            exchange.respond(404, vertex_error(404, f"{request.method} {path} is not scripted."))

    async def _grant(self, exchange: Exchange) -> None:
        match self.token_fault:
            case int(status):
                exchange.respond(status, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
                return
            case Fault.STALL_HEADERS:
                await exchange.stall("token")
            case Fault.DROP_AT_ONCE:
                exchange.drop()
                return
            case Fault.HTML:
                exchange.respond(200, "<!doctype html><title>Sign in</title>")
                return
        try:
            claims = _verified_claims(exchange.request.body, (_GOOGLE_AUDIENCE, f"{self.origin}/token"))
        except ValueError as error:
            exchange.respond(400, {"error": "invalid_grant", "error_description": str(error)})
            return
        token = f"ya29.scripted-{next(self._ids)}"
        self._tokens.add(token)
        self.note(lambda: self.token_requests.append(claims))
        exchange.respond(200, {"access_token": token, "expires_in": self.token_lifetime_s, "token_type": "Bearer"})

    def _describe(self, exchange: Exchange, resource: str) -> None:
        """`models.get`: the resource with the endpoints that it is deployed to."""
        self.note(lambda: self.lookups.append(resource))
        known = resource in self.scripts or self.default is not None
        if not _MODEL.match(resource) or not known:
            exchange.respond(404, vertex_error(404, f"The Model does not exist: {resource}"))
            return
        if resource not in self.scripts and resource not in self._deployed:
            self.deploy(resource)
        body: dict[str, Any] = {"name": resource, "displayName": "a tuned model", "versionId": "1"}
        if endpoint := self._deployed.get(resource):
            body["deployedModels"] = [{"endpoint": endpoint, "deployedModelId": "4711"}]
        exchange.respond(200, body)

    async def _generate(self, exchange: Exchange, resource: str) -> None:
        request = exchange.request
        if _MODEL.match(resource):
            message = f"{resource} is not supported in the generateContent API; use an endpoint."
            exchange.respond(400, vertex_error(400, message))
            return
        script = self.script_for(request)
        if script is None:
            exchange.respond(404, vertex_error(404, f"Publisher model or endpoint `{resource}` was not found."))
            return
        refused = next((name for name in script.refuses if name in request.body.get("generationConfig", {})), None)
        if refused:
            exchange.respond(400, vertex_error(400, f"Unable to submit request because {refused} is not supported."))
        elif isinstance(script.fault, int):
            headers = {} if script.retry_after_s is None else {"retry-after": f"{script.retry_after_s:g}"}
            exchange.respond(script.fault, vertex_error(script.fault, script.message), headers)
        else:
            await self.tell(exchange, self._tell(exchange, script))

    async def _tell(self, exchange: Exchange, script: Script) -> bool:
        """Stream the answer; `True` if it went out whole. The last piece carries finish reason and usage, as there."""
        if await begin_badly(exchange, script, _whole):
            return False
        if self.tears_events:
            exchange = _Tearing(**vars(exchange))
        response_id = f"resp-scripted{next(self._ids)}"
        prompt = latest_prompt(exchange.request)
        pieces = script.pieces(prompt)
        exchange.open_stream()
        if script.reasoning:
            exchange.event(_encoded(_body(response_id, [{**_part(script.reasoning), "thought": True}])))
        error = _encoded(vertex_error(script.error_code, script.message or "Internal error encountered."))
        told = await stream_pieces(
            exchange, script, pieces, lambda piece: _encoded(_body(response_id, [_part(piece)])), error
        )
        if not told:
            return False
        last = _body(response_id, [], script.finish or "STOP")
        if script.usage:
            counts = usage_of(prompt, pieces, script)
            last["usageMetadata"] = {
                "promptTokenCount": counts["prompt_tokens"],
                "candidatesTokenCount": counts["completion_tokens"],
                "totalTokenCount": counts["total_tokens"],
            }
        exchange.event(_encoded(last))
        if await end_badly(exchange, script.fault):
            return True
        exchange.close_stream()
        return True


@dataclass
class _Tearing(Exchange):
    """Sends each event as no platform does, and as every reader must understand it."""

    def event(self, data: bytes) -> None:
        framed = b": a comment\r\nevent: message\r\nid: 1\r\ndata:" + data + b"\r\n\r\n"
        for start in range(0, len(framed), 3):
            torn = framed[start : start + 3]
            self.send(f"{len(torn):x}\r\n".encode() + torn + b"\r\n")


def latest_prompt(request: Recorded) -> str:
    """The text of the last content."""
    contents = request.body.get("contents") or [{"parts": [{"text": ""}]}]
    return "".join(part.get("text", "") for part in contents[-1]["parts"])


def _path_of(target: str) -> str:
    """The path of a request's target, also where that is a whole address because it came to a proxy."""
    return re.sub(r"^http://[^/]+", "", target).partition("?")[0]


def _resource_of(target: str) -> str:
    """The resource's name in a target: without the version before it and the method behind it."""
    return re.sub(r"^/v1(?:beta1)?/", "", _path_of(target)).partition(":")[0]


def _encoded(body: Mapping[str, Any]) -> bytes:
    """JSON as the platform writes it: characters as they are."""
    return json.dumps(body, ensure_ascii=False).encode()


def _part(text: str) -> dict[str, Any]:
    return {"text": text}


def _whole(request: Recorded, script: Script) -> list[dict[str, Any]]:
    """The answer as it is given to whoever asks for no stream."""
    return [_body("whole", [_part("".join(script.pieces(latest_prompt(request))))], "STOP")]


def _body(response_id: str, parts: list[dict[str, Any]], finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}} if parts else {}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": response_id, "modelVersion": "scripted"}


def vertex_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    text = message or f"Scripted status {status}."
    return {"error": {"code": status, "message": text, "status": _STATUSES.get(status, "UNKNOWN")}}


# ── the service account ─────────────────────────────────────────────────────────────────────────────────────────────


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _private_pem() -> str:
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return _private_key().private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()


def _verified_claims(form: Mapping[str, str], audiences: tuple[str, ...]) -> dict[str, Any]:
    """The claims of a token request; a ValueError where Google would refuse it."""
    if form.get("grant_type") != _GRANT:
        raise ValueError("unsupported grant type")
    head, claims, signature = form.get("assertion", "..").split(".")
    try:
        _private_key().public_key().verify(
            _unbase64(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        raise ValueError("Invalid JWT Signature.") from None
    said: dict[str, Any] = json.loads(_unbase64(claims))
    if said["iss"] != CLIENT_EMAIL or said["aud"] not in audiences or said["exp"] < time.time():
        raise ValueError("Invalid JWT claims.")
    if "cloud-platform" not in said.get("scope", ""):
        raise ValueError("Invalid OAuth scope.")
    return said


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main() -> None:
    """Serve every model and endpoint with a pleasant answer at a real pace."""
    parser = parser_by_hand(__doc__, 9002)
    parser.add_argument("--credentials", type=Path, default=Path("scripted-vertex-credentials.json"))
    arguments = parser.parse_args()
    script = Script(text=pleasant_answer, first_delay_s=0.5, chunk_delay_s=0.02)
    server = ScriptedVertex(default=script, host=arguments.host, port=arguments.port)
    server.write_credentials(arguments.credentials)
    serve_by_hand(
        server, f"Vertex AI on {server.url}, any model; GOOGLE_APPLICATION_CREDENTIALS={arguments.credentials}"
    )


if __name__ == "__main__":
    main()
