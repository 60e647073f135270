"""Gemini on Vertex AI: published models, and tuned ones at the endpoints that they are deployed to."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.errors import FailureKind, ProviderError
from arena.providers.base import Deadlines, Event, Gathering, JsonSchema, Message, Readiness, Sampling
from arena.providers.failures import failure, kind_of_status, retry_after
from arena.providers.google_credentials import GoogleCredentials
from arena.providers.vertex_answers import VertexAnswer, contents_of, schema_of
from arena.providers.vertex_clients import Place, VertexClients
from arena.providers.vertex_events import VertexEvents
from arena.roster import ModelEntry

if TYPE_CHECKING:
    from google.genai import errors, types

    from arena.providers.answer_bodies import AnswerBody

_RESOURCE = re.compile(r"^projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/(?P<kind>models|endpoints)/[^/]+$")
_FORMAT = re.compile(r"response_?(?:schema|mime_?type)|\bjson mode\b|\bcontrolled generation\b", re.IGNORECASE)
"""How a refusal names the parameters that ask for JSON."""


@dataclass(slots=True)
class _Request:
    """One request and what was already tried to make it succeed."""

    model: ModelEntry
    target: str
    messages: Sequence[Message]
    sampling: Sampling
    schema: JsonSchema | None = None
    moved: bool = False
    renewed: bool = False


class VertexProvider:
    """A `Provider` for Vertex AI; one client for each project, location and base URL, all with the same credentials."""

    def __init__(
        self, credentials: GoogleCredentials, deadlines: Deadlines, gathering: Gathering | None = None
    ) -> None:
        """`deadlines` bound what the pump does not see: connecting, and the free requests of `prepare`."""
        self._clients = VertexClients(credentials)
        self._deadlines = deadlines
        self._gathering = gathering or Gathering()
        self._endpoints: dict[str, str] = {}
        self._thinks_always: set[str] = set()
        self._takes_no_schema: set[str] = set()

    async def prepare(self, model: ModelEntry) -> Readiness:
        """See `Provider.prepare`: gets a token, and asks where a tuned model is deployed."""
        await self._clients.sdk_loaded()
        try:
            async with asyncio.timeout(self._deadlines.first_token_s):
                await self._clients.at(_place(model, model.model_name))
                await self._resolve(model, again=True)
        except TimeoutError:
            return Readiness(False, "Google did not answer in time: check this machine's way to the network.")
        except ProviderError as error:
            return Readiness(False, _reason(error, model), retired=error.kind is FailureKind.NOT_FOUND)
        return Readiness(True, deployment=self.deployment(model))

    async def stream(
        self, model: ModelEntry, messages: Sequence[Message], sampling: Sampling, schema: JsonSchema | None = None
    ) -> AsyncIterator[Event]:
        """See `Provider.stream`."""
        request = _Request(model, await self._resolve(model), messages, sampling, schema)
        begun = False
        while True:
            try:
                async with aclosing(self._answer(request)) as events:
                    async for event in events:
                        begun = True
                        yield event
            except ProviderError as error:
                if begun or not await self._second_chance(request, error):
                    raise
            else:
                return

    def deployment(self, model: ModelEntry) -> str | None:
        """See `Provider.deployment`: the endpoint of a model resource."""
        return self._endpoints.get(model.model_name)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._clients.aclose()

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, request: _Request) -> AsyncGenerator[Event]:
        """Send one request and read its answer; raises `ProviderError` for whatever goes wrong."""
        from arena.providers.answer_bodies import AnswerBody, deltas_of

        answer, events, body = VertexAnswer(), VertexEvents(), AnswerBody()
        try:
            await self._send(request, body)
            async with aclosing(deltas_of(body, events, answer, self._gathering)) as deltas:
                async for delta in deltas:
                    yield delta
        finally:
            body.close()
        if answer.finish_reason is not None:
            yield answer.finish()

    async def _send(self, request: _Request, body: "AnswerBody") -> None:
        """Have the SDK send a request and judge the platform's first word; an answer is then in `body`."""
        client = await self._clients.at(_place(request.model, request.target))
        import httpx
        from google.genai import errors

        from arena.providers.answer_bodies import wanting

        try:
            with wanting(body):
                stream = await client.aio.models.generate_content_stream(
                    model=request.target, contents=contents_of(request.messages), config=self._config(request)
                )
                async for _ in stream:
                    pass  # nothing comes here: it goes into `body`
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(FailureKind.CONNECTION, f"{type(error).__name__}: {error}") from error
        except errors.APIError as error:
            raise _refusal(error) from error
        except (ValueError, AttributeError, TypeError) as error:
            # A refusal of a shape that the SDK did not expect; its message quotes what came.
            raise failure(FailureKind.MALFORMED, type(error).__name__) from error

    def _config(self, request: _Request) -> "types.GenerateContentConfig":
        from google.genai import types

        model = request.model
        tuned = _RESOURCE.match(request.target) is not None
        budget = model.options.get("thinking_budget", 0 if tuned else None)
        if model.id in self._thinks_always:
            budget = None
        schema = None if model.id in self._takes_no_schema else request.schema
        return types.GenerateContentConfig(
            system_instruction=model.system_prompt or None,
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_output_tokens=request.sampling.max_new_tokens,
            thinking_config=None if budget is None else types.ThinkingConfig(thinking_budget=int(budget)),
            response_mime_type=None if schema is None else "application/json",
            response_schema=None if schema is None else schema_of(schema),
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def _second_chance(self, request: _Request, error: ProviderError) -> bool:
        """Whether to send once more what went to an old endpoint, with an old token, or asked for too much."""
        if error.kind is FailureKind.NOT_FOUND and not request.moved and self.deployment(request.model):
            request.moved = True
            former, request.target = request.target, await self._resolve(request.model, again=True)
            return request.target != former
        if error.kind is FailureKind.UNAUTHORISED and not request.renewed:
            request.renewed = True
            await self._clients.renew_token()
            return True
        if error.kind is FailureKind.BAD_REQUEST and "thinking" in error.detail.lower():
            asked_before = request.model.id not in self._thinks_always
            self._thinks_always.add(request.model.id)
            return asked_before
        if error.kind is FailureKind.BAD_REQUEST and request.schema and _FORMAT.search(error.detail):
            asked_before = request.model.id not in self._takes_no_schema
            self._takes_no_schema.add(request.model.id)
            return asked_before
        return False

    # ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _resolve(self, model: ModelEntry, *, again: bool = False) -> str:
        """What generateContent takes for this model: its name, or a model resource's endpoint (`again`: look it up)."""
        name = model.model_name
        resource = _RESOURCE.match(name)
        if resource is None or resource["kind"] == "endpoints":
            return name
        if again or name not in self._endpoints:
            self._endpoints[name] = await self._look_up(model, resource["location"])
        return self._endpoints[name]

    async def _look_up(self, model: ModelEntry, location: str) -> str:
        """Ask where a model resource is deployed; in its own location if it can be."""
        import httpx
        from google.genai import errors

        client = await self._clients.at(_place(model, model.model_name))
        try:
            found = await client.aio.models.get(model=model.model_name)
        except errors.APIError as error:
            raise _refusal(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure(FailureKind.CONNECTION, f"{type(error).__name__}: {error}") from error
        except (ValueError, AttributeError, TypeError) as error:
            raise failure(FailureKind.MALFORMED, f"not a model's description: {type(error).__name__}") from error
        endpoints = [endpoint.name for endpoint in found.endpoints or [] if endpoint.name]
        near = [name for name in endpoints if f"/locations/{location}/" in name]
        if not endpoints:
            self._endpoints.pop(model.model_name, None)
            raise failure(
                FailureKind.NOT_CONFIGURED,
                f"{model.model_name} is not deployed: deploy it to an endpoint in Vertex AI's Model Registry.",
            )
        return (near or endpoints)[0]


def _place(model: ModelEntry, target: str) -> Place:
    """Project and location are those of the resource that is asked, else the entry's."""
    resource = _RESOURCE.match(target)
    project = resource["project"] if resource else model.project_id or ""
    location = resource["location"] if resource else model.location or ""
    return Place(project, location, model.api_base)


def _refusal(error: "errors.APIError") -> ProviderError:
    """The arena's error for an error status, or for an error that came as an event."""
    status = error.code if isinstance(error.code, int) else 500
    wait_s = retry_after(getattr(error.response, "headers", {}))
    return failure(kind_of_status(status), f"{error.code} {error.status} {error.message}", retry_after_s=wait_s)


def _reason(error: ProviderError, model: ModelEntry) -> str:
    """What the operator reads of a model that cannot be prepared."""
    match error.kind:
        case FailureKind.NOT_CONFIGURED:
            return error.detail
        case FailureKind.UNAUTHORISED:
            return (
                "Google refused the credentials: check GOOGLE_APPLICATION_CREDENTIALS, and that the account has the "
                f"role Vertex AI User in project {model.project_id}."
            )
        case FailureKind.NOT_FOUND:
            return f"Vertex AI has no model {model.model_name} (any more): correct model_name, or give it weight 0."
        case FailureKind.CONNECTION:
            return f"Google cannot be reached: check this machine's way to the network ({error.detail})."
        case _:
            return f"Google gave no usable answer: {error.detail}."
