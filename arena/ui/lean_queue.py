"""Gradio's queue of events, which here starts an event when it comes instead of looking for one again and again."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gradio import route_utils
from gradio.block_function import BlockFunction
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.routes import App
from gradio.server_messages import ProcessCompletedMessage, ProcessGeneratingMessage, ProcessStartsMessage
from gradio.utils import set_task_name

from arena.ui.gradio_errors import answer_to
from arena.ui.lean_sessions import empty_mailbox, is_gone

_LOOK_FOR_THE_END_S = 1.0


class LeanQueue(Queue):
    """Gives each event a task of its own at once, where there is room; the others follow as room comes.

    Gradio's looks for new events, and for progress bars to tell of, hundreds of times a second. That kept an idle
    arena's processor awake, and an event waited for the next look.
    """

    def __init__(self, queue: Queue, tell_mistake: Callable[[BaseException], None]) -> None:
        """A queue with the settings of one that Gradio made and that has not started.

        `tell_mistake` hears of errors in handlers that nobody expected.
        """
        self._tell_mistake = tell_mistake
        super().__init__(
            live_updates=queue.live_updates,
            concurrency_count=queue.max_thread_count,
            update_intervals=queue.update_intervals,
            max_size=queue.max_size,
            blocks=queue.blocks,
            default_concurrency_limit=queue.default_concurrency_limit,
        )

    async def push(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as Gradio's
        """Take an event, and start what can start."""
        taken = await super().push(*args, **kwargs)
        self._start_events()
        return taken

    async def start_processing(self) -> None:
        """Wait for the end, then stop what runs."""
        try:
            while not self.stopped:
                await asyncio.sleep(_LOOK_FOR_THE_END_S)
        finally:
            self.stopped = True
            self._cancel_asyncio_tasks()  # type: ignore[no-untyped-call]

    async def start_progress_updates(self) -> None:
        """Do nothing: no event of the arena has a progress bar of Gradio's."""

    async def process_events(self, events: list[Event], batch: bool, begin_time: float, fn: BlockFunction) -> None:
        """Run an event to its end, and tell its page.

        Gradio's own also keeps figures of every event, for which it starts a thread each time, and knows batches and
        streams that are sent; the arena has none of these.
        """
        del batch
        (event,) = events
        try:
            if event.alive:
                self.send_message(event, ProcessStartsMessage())
                await self._run(event, fn)
        finally:
            blocks = self._app.get_blocks()
            self._free(events, begin_time, fn)
            blocks._drop_run_streams(event.session_hash, self._app.iterators.get(event._id))
            await self.reset_iterators(event._id)
            self.event_ids_to_events.pop(event._id, None)
            if is_gone(blocks, event.session_hash):  # the last words of an event that ended with its page
                empty_mailbox(blocks, event.session_hash)

    async def _run(self, event: Event, fn: BlockFunction) -> None:
        body = event.data
        if body is None:
            raise ValueError("an event without data")
        body.event_id, body.request = event._id, event.request
        try:
            while event.alive:
                answer = await self._answer(event, body, fn)
                if not answer.get("is_generating"):
                    self.send_message(event, ProcessCompletedMessage(output=answer, success=True))
                    return
                self.send_message(event, ProcessGeneratingMessage(output=answer, success=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, the page is answered
            told = answer_to(error, self._tell_mistake, self._app.get_blocks().show_error)
            title = str(told.get("title", "Error"))
            self.send_message(event, ProcessCompletedMessage(output=told, title=title, success=False))

    async def _answer(self, event: Event, body: PredictBodyInternal, fn: BlockFunction) -> dict[str, Any]:
        asked = route_utils.compile_gr_request(body, fn, event.username, None)
        answer: dict[str, Any] = await route_utils.call_process_api(self._app, body, asked, fn, "")
        return answer

    def _start_events(self) -> None:
        while not self.stopped and None in self.active_jobs and (found := self.get_events()):
            self._start(*found)

    def _start(self, events: list[Event], batch: bool, concurrency_id: str) -> None:
        first, began = events[0], time.time()
        self.active_jobs[self.active_jobs.index(None)] = events
        queue = self.event_queue_per_concurrency_id[concurrency_id]
        queue.current_concurrency += 1
        queue.start_times_per_fn[first.fn].add(began)
        self.event_analytics.clear()  # what Gradio noted of the event: nobody reads it
        task = asyncio.create_task(self.process_events(events, batch, began, first.fn))
        set_task_name(task, first.session_hash, first.fn._id, first._id, batch)
        self._asyncio_tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._asyncio_tasks.discard(task)
        self._start_events()

    def _free(self, events: list[Event], began: float, fn: BlockFunction) -> None:
        """Give the event's place to others."""
        self.active_jobs[self.active_jobs.index(events)] = None
        queue = self.event_queue_per_concurrency_id[events[0].concurrency_id]
        queue.current_concurrency -= 1
        queue.start_times_per_fn[fn].discard(began)
        if not queue.start_times_per_fn[fn]:
            del queue.start_times_per_fn[fn]

    @property
    def _app(self) -> App:
        if self.server_app is None:
            raise RuntimeError("the pages are not mounted")
        return self.server_app
