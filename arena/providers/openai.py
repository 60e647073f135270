"""OpenAI, and every server that speaks its chat completions: vLLM, Ollama, llama.cpp, hosted third parties."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import date
from typing import TYPE_CHECKING, Any

import orjson

from arena.errors import FailureKind, ProviderError
from arena.providers.background import in_daemon_thread
from arena.providers.base import Deadlines, Event, Gathering, JsonSchema, Message, Readiness, Sampling
from arena.providers.failures import failure, kind_of_status, redacted, retry_after
from arena.providers.openai_events import Completion, ServerSentEvents
from arena.roster import OPENAI_BASE_URL, ModelEntry

if TYPE_CHECKING:
    import openai

    from arena.providers.answer_bodies import AnswerBody

_DROPPABLE = ("stream_options", "temperature", "top_p", "response_format")
"""Parameters without which a request still means the same, or nearly so: a model that refuses one is asked without."""

_BLOCKED_CODES = {"content_filter", "content_policy_violation"}


class OpenAIProvider:
    """A `Provider` for OpenAI's protocol; one connection pool for each server and key."""

    def __init__(self, deadlines: Deadlines, gathering: Gathering | None = None) -> None:
        """`deadlines` bound what the pump does not see: connecting, and the free request of `prepare`."""
        self._deadlines = deadlines
        self._gathering = gathering or Gathering()
        self._clients: dict[tuple[str, str], openai.AsyncOpenAI] = {}
        self._connecting = asyncio.Lock()
        self._refused: dict[str, set[str]] = {}

    async def prepare(self, model: ModelEntry) -> Readiness:
        """See `Provider.prepare`: asks for the model's description, which costs nothing.

        Servers other than OpenAI's own often do not describe models: any answer of theirs but 401 means ready.
        """
        client = await self._client(model)
        import httpx2
        import openai

        try:
            async with asyncio.timeout(self._deadlines.first_token_s):
                described = await client.models.with_raw_response.retrieve(model.model_name)
        except (TimeoutError, openai.APIConnectionError, httpx2.InvalidURL):
            return Readiness(False, _unreachable(model))
        except openai.AuthenticationError:
            return Readiness(False, f"{_server(model)} refused the API key; {_where_the_key_is(model)}.")
        except openai.NotFoundError:
            if model.platform == "openai":
                reason = f"OpenAI has no model {model.model_name} for this key: retired, or of another organisation."
                return Readiness(False, reason, retired=True)
        except openai.OpenAIError:
            pass  # a server that answers at all may well answer a battle
        else:
            return Readiness(True, shuts_down_on=_announced_shutdown(described.content))
        return Readiness(True)

    async def stream(
        self, model: ModelEntry, messages: Sequence[Message], sampling: Sampling, schema: JsonSchema | None = None
    ) -> AsyncIterator[Event]:
        """See `Provider.stream`."""
        client = await self._client(model)
        import httpx2
        import openai

        request = _request(model, messages, sampling) | _format(schema)
        while True:
            without = {name: value for name, value in request.items() if name not in self._refused.get(model.id, ())}
            try:
                async with aclosing(_answer(client, without, self._gathering)) as events:
                    async for event in events:
                        yield event
            except openai.BadRequestError as error:
                if not self._learn_refusal(model, error, without):
                    raise _failure(error, model) from error
            except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
                raise _failure(error, model) from error
            else:
                return

    def deployment(self, model: ModelEntry) -> str | None:
        """See `Provider.deployment`: a name means itself here."""
        del model
        return None

    async def aclose(self) -> None:
        """Close every connection pool."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()

    async def _client(self, model: ModelEntry) -> "openai.AsyncOpenAI":
        """The client of the model's server and key, made when first needed."""
        place = (model.api_base or OPENAI_BASE_URL, _key(model) or "none")
        async with self._connecting:
            if place not in self._clients:
                self._clients[place] = await in_daemon_thread(lambda: _connect(*place, self._deadlines))
            return self._clients[place]

    def _learn_refusal(self, model: ModelEntry, error: "openai.BadRequestError", request: dict[str, Any]) -> bool:
        """Remember which parameter a 400 names; `True` if the request may be sent again without it."""
        said = f"{error.param} {error.message} {error.body}"
        refused = {name for name in _DROPPABLE if name in request and name in said}
        self._refused.setdefault(model.id, set()).update(refused)
        return bool(refused)


async def _answer(client: "openai.AsyncOpenAI", request: dict[str, Any], gathering: Gathering) -> AsyncGenerator[Event]:
    """Send the request and read its answer; raises the SDK's and its transport's own errors."""
    from arena.providers.answer_bodies import AnswerBody, deltas_of

    body, events = AnswerBody(), ServerSentEvents()
    try:
        completion = Completion(request_id=await _send(client, request, body))
        async with aclosing(deltas_of(body, events, completion, gathering)) as deltas:
            async for delta in deltas:
                yield delta
    finally:
        body.close()
    if completion.finish_reason is not None:
        yield completion.finish()
    elif not events.seen:
        raise ProviderError(FailureKind.MALFORMED, f"not a stream of events but {redacted(body.content_type)}")


async def _send(client: "openai.AsyncOpenAI", request: dict[str, Any], body: "AnswerBody") -> str | None:
    """Ask for a completion, which comes into `body`; returns the request's id, where the server gave it one.

    By the SDK's `post`: its `create` looks up each of forty parameters in its types, which takes as long as sending.
    """
    import httpx2

    from arena.providers.answer_bodies import wanting

    with wanting(body):
        told = await client.post("/chat/completions", cast_to=httpx2.Response, body=request)
    return told.headers.get("x-request-id")


def _request(model: ModelEntry, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """The parameters of a chat completion."""
    said = [{"role": message.role, "content": message.content} for message in messages]
    if model.system_prompt:
        said.insert(0, {"role": "system", "content": model.system_prompt})
    usual_limit = "max_completion_tokens" if model.platform == "openai" else "max_tokens"
    return {
        "model": model.model_name,
        "messages": said,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        str(model.options.get("token_limit_parameter", usual_limit)): sampling.max_new_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _format(schema: JsonSchema | None) -> dict[str, Any]:
    """The parameter that asks for JSON of a shape."""
    if schema is None:
        return {}
    shape = {"name": "answer", "strict": True, "schema": dict(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": shape}}


def _connect(base_url: str, api_key: str, deadlines: Deadlines) -> "openai.AsyncOpenAI":
    """A client that never retries by itself and whose own deadlines stay behind the arena's."""
    import httpx2
    import openai

    from arena.providers.openai_transport import OpenAITransport

    # A silent stream is the pump's to end.
    timeout = openai.Timeout(None, connect=deadlines.first_token_s)
    # Without compression: small pieces gain nothing by it, and each would have to be unpacked.
    transport = httpx2.AsyncClient(
        transport=OpenAITransport(deadlines.first_token_s), headers={"accept-encoding": "identity"}
    )
    # Both are always passed: left out, they would come from the environment, and OpenAI's key go to a third party.
    return openai.AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, timeout=timeout, http_client=transport)


def _key(model: ModelEntry) -> str:
    return model.api_key.get_secret_value().strip() if model.api_key else ""


def _failure(error: Exception, model: ModelEntry) -> ProviderError:
    """The arena's error for one of the SDK's or its transport's."""
    import openai

    if isinstance(error, openai.APIStatusError):
        kind = FailureKind.BLOCKED if error.code in _BLOCKED_CODES else kind_of_status(error.status_code)
        said = f"{error.status_code} {error.code or ''} {error.message}"
        wait_s = retry_after(error.response.headers)
        return failure(kind, said, _key(model), request_id=error.request_id, retry_after_s=wait_s)
    if isinstance(error, openai.APIConnectionError) or not isinstance(error, openai.OpenAIError):
        cause = error.__cause__ or error
        return failure(FailureKind.CONNECTION, f"{type(cause).__name__}: {cause}", _key(model))
    return failure(FailureKind.MALFORMED, f"{type(error).__name__}: {error}", _key(model))


def _server(model: ModelEntry) -> str:
    """What an operator calls the server."""
    return "OpenAI" if model.platform == "openai" else f"The server at {model.api_base}"


def _unreachable(model: ModelEntry) -> str:
    if model.platform == "openai":
        return "OpenAI cannot be reached: check this machine's way to the network."
    return f"No server answers at {model.api_base}: start it, or correct api_base."


def _where_the_key_is(model: ModelEntry) -> str:
    return "check OPENAI_API_KEY" if model.platform == "openai" else "check api_key of this entry"


def _announced_shutdown(description: bytes) -> date | None:
    """The shutdown date in a model's description, where there is one that can be read."""
    try:
        return date.fromisoformat(orjson.loads(description)["shutdown_date"][:10])
    except (ValueError, KeyError, TypeError):
        return None
