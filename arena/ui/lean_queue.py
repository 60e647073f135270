"""Gradio's queue of events, which here starts an event when it comes instead of looking for one again and again."""

import asyncio
import time
from typing import Any

from gradio.queueing import Event, Queue
from gradio.utils import set_task_name

_LOOK_FOR_THE_END_S = 1.0


class LeanQueue(Queue):
    """Gives each event a task of its own at once, where there is room; the others follow as room comes.

    Gradio's looks for new events, and for progress bars to tell of, hundreds of times a second. That kept an idle
    arena's processor awake, and an event waited for the next look.
    """

    def __init__(self, queue: Queue) -> None:
        """A queue with the settings of one that Gradio made and that has not started."""
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

    def _start_events(self) -> None:
        while not self.stopped and None in self.active_jobs and (found := self.get_events()):
            self._start(*found)

    def _start(self, events: list[Event], batch: bool, concurrency_id: str) -> None:
        first, began = events[0], time.time()
        self.active_jobs[self.active_jobs.index(None)] = events
        queue = self.event_queue_per_concurrency_id[concurrency_id]
        queue.current_concurrency += 1
        queue.start_times_per_fn[first.fn].add(began)
        for event in events:
            if (told := self.event_analytics.get(event._id)) is not None:
                told["status"] = "processing"
        task = asyncio.create_task(self.process_events(events, batch, began, first.fn))
        set_task_name(task, first.session_hash, first.fn._id, first._id, batch)
        self._asyncio_tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._asyncio_tasks.discard(task)
        self._start_events()
