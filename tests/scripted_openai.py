"""A local server that speaks OpenAI's chat completions, streamed, as told by a script for each model.

By hand: `python -m tests.scripted_openai --port 9001`, then point a roster entry's `api_base` at http://127.0.0.1:9001/v1.
"""

import itertools
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.scripting import (
    Exchange,
    Recorded,
    Script,
    ScriptedServer,
    begin_badly,
    end_badly,
    parser_by_hand,
    serve_by_hand,
    stream_pieces,
)

_ERROR_TYPES = {401: "invalid_request_error", 404: "invalid_request_error", 429: "requests", 500: "server_error"}
_ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}

_MODERATION_CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)


class ScriptedOpenAI(ScriptedServer):
    """OpenAI's protocol; `url` is what a roster's `api_base` or OPENAI_BASE_URL takes."""

    _ids = itertools.count(1)

    @property
    def url(self) -> str:
        """The base URL, ending in /v1."""
        return f"{self.origin}/v1"

    def model_of(self, path: str, body: Mapping[str, Any]) -> str:
        """The `model` of the body."""
        return str(body.get("model", ""))

    async def answer(self, exchange: Exchange) -> None:
        """Chat completions, and the list of models."""
        path = exchange.request.path.partition("?")[0]
        if path == "/v1/models":
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "script"} for name in self.scripts]
            exchange.respond(200, {"object": "list", "data": models})
        elif path.startswith("/v1/models/"):
            self._describe(exchange, urllib.parse.unquote(path.removeprefix("/v1/models/")))
        elif path == "/v1/moderations":
            self.note_request(exchange.request)
            await self._moderate(exchange)
        elif path == "/v1/chat/completions":
            self.note_request(exchange.request)
            await self._complete(exchange)
        else:
            self.note_request(exchange.request)
            exchange.respond(404, openai_error(404, f"Invalid URL ({exchange.request.method} {path})"))

    def _describe(self, exchange: Exchange, model: str) -> None:
        """`models.retrieve`: free, and refused with 401 or 404 like the model's own requests."""
        script = self.script_for(replace(exchange.request, model=model))
        if script is None or script.fault in (401, 404):
            status = 401 if script is not None and script.fault == 401 else 404
            exchange.respond(status, openai_error(status, f"The model '{model}' cannot be retrieved."))
        else:
            description = {"id": model, "object": "model", "created": 0, "owned_by": "script"}
            exchange.respond(200, {**description, "shutdown_date": script.shutdown_date})

    async def _moderate(self, exchange: Exchange) -> None:
        """Object on the grounds that the script's text lists, as `violence, hate/threatening`; to nothing if empty."""
        script = self.script_for(exchange.request)
        if script is None or isinstance(script.fault, int):
            status = 404 if script is None or not isinstance(script.fault, int) else script.fault
            exchange.respond(status, openai_error(status, "The moderation is not there."))
            return
        if await begin_badly(exchange, script, _whole):
            return
        grounds = {name for name in str(script.text).split(", ") if name}
        found = {name: name in grounds for name in _MODERATION_CATEGORIES}
        scores = {name: 0.99 if name in grounds else 0.01 for name in found}
        inputs = {name: ["text"] for name in found}
        result = {
            "flagged": bool(grounds),
            "categories": found,
            "category_scores": scores,
            "category_applied_input_types": inputs,
        }
        exchange.respond(200, {"id": "modr-1", "model": exchange.request.model, "results": [result]})

    async def _complete(self, exchange: Exchange) -> None:
        request = exchange.request
        script = self.script_for(request)
        if script is None:
            exchange.respond(404, openai_error(404, f"The model `{request.model}` does not exist."))
            return
        refused = next((name for name in script.refuses if name in request.body), None)
        if refused:
            message = f"Unsupported parameter: '{refused}' is not supported with this model."
            exchange.respond(400, openai_error(400, message, refused))
        elif isinstance(script.fault, int):
            headers = {"x-request-id": f"req_scripted{next(self._ids)}"}
            if script.retry_after_s is not None:
                headers["retry-after"] = f"{script.retry_after_s:g}"
            exchange.respond(script.fault, openai_error(script.fault, script.message), headers)
        else:
            await self.tell(exchange, self._tell(exchange, script))

    async def _tell(self, exchange: Exchange, script: Script) -> bool:
        """Stream the answer; `True` if it went out whole."""
        if await begin_badly(exchange, script, _whole):
            return False
        number = next(self._ids)
        prompt = latest_prompt(exchange.request)
        pieces = script.pieces(prompt)
        exchange.open_stream({"x-request-id": f"req_scripted{number}"})

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            return _chunk(number, exchange.request.model, [choice])

        exchange.event(chunk({"role": "assistant", "content": "", "refusal": None}))
        if script.reasoning:
            exchange.event(chunk({"reasoning_content": script.reasoning}))
        error = json.dumps(openai_error(500, script.message or "The server had an error")).encode()
        if not await stream_pieces(exchange, script, pieces, lambda piece: chunk({"content": piece}), error):
            return False
        exchange.event(chunk({}, script.finish or "stop"))
        if await end_badly(exchange, script.fault):
            return True
        if script.usage and exchange.request.body.get("stream_options", {}).get("include_usage"):
            exchange.event(_chunk(number, exchange.request.model, [], usage_of(prompt, pieces, script)))
        exchange.event(b"[DONE]")
        exchange.close_stream()
        return True


def latest_prompt(request: Recorded) -> str:
    """The text of the last message."""
    messages = request.body.get("messages") or [{"content": ""}]
    return str(messages[-1]["content"])


def usage_of(prompt: str, pieces: list[str], script: Script) -> dict[str, int]:
    """The token counts that the server claims: a word of the prompt is a token, and so is a piece of the answer."""
    asked = len(prompt.split())
    answered = len(pieces) if script.claimed_tokens is None else script.claimed_tokens
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _chunk(number: int, model: str, choices: list[Any], usage: Mapping[str, int] | None = None) -> bytes:
    body: dict[str, Any] = {
        "id": f"chatcmpl-scripted{number}",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": model,
        "choices": choices,
    }
    if usage is not None:
        body["usage"] = usage
    return json.dumps(body).encode()


def _whole(request: Recorded, script: Script) -> dict[str, Any]:
    """The answer as it is given to whoever asks for no stream."""
    message = {"role": "assistant", "content": "".join(script.pieces(latest_prompt(request)))}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {
        "id": "chatcmpl-whole",
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": choices,
    }


def openai_error(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    text = message or f"Scripted status {status}."
    return {"error": {"message": text, "type": kind, "param": param, "code": _ERROR_CODES.get(status)}}


def main() -> None:
    """Serve every model name with a pleasant answer at a real pace."""
    arguments = parser_by_hand(__doc__, 9001).parse_args()
    script = Script(text=pleasant_answer, first_delay_s=0.4, chunk_delay_s=0.016)
    server = ScriptedOpenAI(default=script, host=arguments.host, port=arguments.port)
    serve_by_hand(server, f"OpenAI's protocol on http://{arguments.host}:{arguments.port}/v1, any model name")


def pleasant_answer(prompt: str) -> str:
    """Some paragraphs of Markdown about the prompt, for trying things by hand."""
    return (
        f"You asked: *{prompt[:200]}*\n\n### Where you are\n\nThere is a picture of what you want, and there is what "
        "you have today. Keep both in view.\n\n- Write down the result as if it existed.\n- Look at the present "
        "without judging it.\n- Choose one step that moves the second towards the first.\n\n"
        "```python\nprint('one step')\n```\n\nThen look again tomorrow, with $d = |goal - today|$ a little smaller."
    )


if __name__ == "__main__":
    main()
