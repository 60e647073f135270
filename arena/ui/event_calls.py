"""The addresses to which a page sends its events: Gradio's own protocol, without a second application behind the first.

Gradio's routes for the same are reached through a second application with its own layers, routes and checks, which took
longer than a vote. Who may call and what may be sent was settled by the gate before.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from gradio import route_utils
from gradio.block_function import BlockFunction
from gradio.data_classes import PredictBodyInternal
from gradio.routes import App, ORJSONResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from arena.ui.gradio_errors import answer_to
from arena.ui.lean import LeanBlocks

JOIN, CALL = "/gradio_api/queue/join", "/gradio_api/run/predict"
HEAR = "/gradio_api/call/leaderboard/{event_id}"

_REFUSED = {"queue_full": 503, "validator_error": 422, "error": 400}
_UNREADABLE = "The event cannot be read: reload the page."


class EventCalls:
    """Takes a page's events, and puts them in the queue or answers them at once."""

    def __init__(self, blocks: LeanBlocks) -> None:
        self._blocks = blocks
        self.app: App | None = None
        """Gradio's application, once the pages are mounted."""

    async def join(self, request: Request) -> Response:
        """Put an event in the queue; its page hears of it in its stream of events."""
        body = await _read(request)
        if body is None or body.session_hash is None or self._function(body) is None:
            return _refusal(400, _UNREADABLE)
        queue = self._blocks._queue
        if queue.server_app is None:
            queue.set_server_app(self._mounted)
        if queue.stopped:
            return _refusal(503, "The arena is about to stop: please come back in a minute.")
        joined, event_id, state = await queue.push(body=body, request=request, username=None)
        return ORJSONResponse({"event_id": event_id}) if joined else _refusal(_REFUSED[state], event_id)

    async def call(self, request: Request) -> Response:
        """Answer an event that has no queue."""
        body = await _read(request)
        function = self._function(body) if body is not None else None
        if body is None or function is None:
            return _refusal(400, _UNREADABLE)
        if function.queue:
            return _refusal(404, "This event has a queue: join it.")
        app, blocks = self._mounted, self._blocks
        asked = route_utils.compile_gr_request(body, function, None, request)
        try:
            return ORJSONResponse(await route_utils.call_process_api(app, body, asked, function, ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, the page is answered
            return ORJSONResponse(answer_to(error, blocks.tell_mistake, blocks.show_error), 500)

    @property
    def _mounted(self) -> App:
        if self.app is None:
            raise RuntimeError("the pages are not mounted")
        return self.app

    def _function(self, body: PredictBodyInternal) -> BlockFunction | None:
        try:
            return route_utils.get_fn(self._blocks, None, body) if body.fn_index is not None else None
        except KeyError:
            return None


class CalledEvents:
    """Pure ASGI: tells a program of the call that it made, as Gradio does; of any other there is nothing to hear.

    Gradio cuts the connection where it knows no such event. And it takes the name of a page's connection for one, whose
    messages it would tell to whoever knows the name.
    """

    def __init__(self, blocks: LeanBlocks, gradio: Callable[[], ASGIApp | None]) -> None:
        """`gradio` gives Gradio's application, once the pages are mounted."""
        self._blocks = blocks
        self._gradio = gradio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one program's request."""
        gradio = self._gradio()
        if gradio is not None and self._is_called(scope["path_params"]["event_id"]):
            await gradio(scope, receive, send)
        else:
            sentence = "There is no such call, or it was answered before: call again."
            await PlainTextResponse(sentence, 404)(scope, receive, send)

    def _is_called(self, event_id: str) -> bool:
        """Whether it was called without a page, and nobody has heard its answer: its connection then has its name."""
        queue = self._blocks._queue
        called = event_id in queue.pending_event_ids_session.get(event_id, ())
        return called and event_id in queue.pending_messages_per_session


async def _read(request: Request) -> PredictBodyInternal | None:
    """The event that was sent; `None` where it is none."""
    try:
        sent = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    if not isinstance(sent, dict) or not isinstance(sent.get("data"), list):
        return None
    return PredictBodyInternal(
        session_hash=_text(sent, "session_hash"),
        data=sent["data"],
        fn_index=_number(sent, "fn_index"),
        trigger_id=_number(sent, "trigger_id"),
        request=request,
    )


def _text(sent: Mapping[str, Any], name: str) -> str | None:
    value = sent.get(name)
    return value if isinstance(value, str) else None


def _number(sent: Mapping[str, Any], name: str) -> int | None:
    value = sent.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refusal(status: int, detail: object) -> Response:
    return ORJSONResponse({"detail": detail}, status)
