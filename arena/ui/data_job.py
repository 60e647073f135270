"""One tuning job: its facts, its events, what was left out, its end; and its models, ready to join the roster."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from arena.errors import ArenaError
from arena.finetune import Registration
from arena.finetune.hyperparameters import in_words
from arena.finetune.plan import in_dollars
from arena.roster import PLATFORM_NAMES, ModelEntry
from arena.tables import TunedModel, TuningJob
from arena.ui.context import PageContext
from arena.ui.data_tuning import badge_of, state_of
from arena.ui.html import fragment, render
from arena.ui.wiring import LISTENING

_FINAL = "final"
_NUMBER = re.compile(r"\d+")


def results_of(job: TuningJob, registered: Sequence[TunedModel]) -> list[tuple[str, str]]:
    """What came of a job and is not in the roster yet, as choices."""
    if job.outcome != "succeeded":
        return []
    taken = {model.step for model in registered if model.job_id == job.id}
    found = [("The finished model", _FINAL)] if job.result_model and None not in taken else []
    steps = [one["step"] for one in job.checkpoints if one["step"] not in taken]
    return [*found, *((f"The checkpoint of step {step}", str(step)) for step in steps)]


def suggest(job: TuningJob, entries: Sequence[ModelEntry]) -> Registration:
    """Id, family, version and parent for a job's model: the next version after the latest of its line.

    The line is the one of the model that was tuned further; else of the platform's models that have a family.
    """
    known = {entry.id: entry for entry in entries}
    parent = known.get(job.parent or "") or _newest(
        [entry for entry in entries if entry.platform == job.platform and entry.family]
    )
    family = parent.family if parent is not None and parent.family else f"coaia-{job.platform}"
    line = [entry for entry in entries if entry.family == family]
    parent = parent or _newest(line)
    versions = [_number(entry) for entry in line]
    version = max(versions, default=0) + 1
    while f"{family}-v{version}" in known:
        version += 1
    return Registration(f"{family}-v{version}", family, str(version), parent.id if parent is not None else None)


def _newest(entries: Sequence[ModelEntry]) -> ModelEntry | None:
    return max(entries, key=_number, default=None)


def _number(entry: ModelEntry) -> int:
    found = _NUMBER.findall(str(entry.version or ""))
    return int(found[0]) if found else 0


class JobSection:
    """The section and its handlers."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]]) -> None:
        self._context = context
        self._locked = locked
        self._body = fragment(elem_id="data-job")
        self._cancel = gr.Button("Cancel the job", visible=False, elem_id="cancel-job", size="sm")
        self._said = fragment(elem_id="data-job-said")
        with gr.Column(visible=False, elem_classes=["data-desk"], elem_id="add-to-roster") as self._form:
            self._title = fragment(elem_id="data-register-title")
            with gr.Row():
                self._result = gr.Dropdown(
                    [], label="Model", elem_classes=["choice"], filterable=False, interactive=True, min_width=220
                )
                self._id = gr.Textbox(label="Id", max_lines=1, min_width=220)
            with gr.Row():
                self._family = gr.Textbox(label="Family", max_lines=1, min_width=160)
                self._version = gr.Textbox(label="Version", max_lines=1, min_width=100)
                self._parent = gr.Dropdown(
                    [], label="Compared with", elem_classes=["choice"], filterable=False, interactive=True,
                    min_width=200,
                )  # fmt: skip
            self._add = gr.Button("Add to the roster", variant="primary", elem_id="register-model", size="sm")
        self.components: list[Any] = [
            *(self._body, self._cancel, self._said, self._form, self._title, self._result, self._id),
            *(self._family, self._version, self._parent, self._add),
        ]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the buttons."""
        given = [self._result, self._id, self._family, self._version, self._parent]
        self._cancel.click(self._end, None, outputs, **LISTENING)
        self._add.click(self._register, given, outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {
            self._body: "",
            self._cancel: gr.update(visible=False),
            self._said: "",
            self._form: gr.update(visible=False),
            self._title: "",
            self._parent: gr.update(choices=[], value=None),
            self._result: gr.update(choices=[], value=None),
            **dict.fromkeys((self._id, self._family, self._version), ""),
        }

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The job, and the form filled in where it has a model to offer."""
        job = await self._found(asked["job"])
        if job is None:
            return {self._body: render("data_no_job.html")}
        return {**await self._told(job), **await self._offered(job)}

    async def renew(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The job; once it has a model to offer, the form too, and after that what was written there stays."""
        job = await self._found(asked["job"])
        if job is None:
            return {}
        updates = await self._told(job)
        registered = await self._context.database.run(self._context.tuning.models)
        offers = results_of(job, registered)
        return {**updates, self._form: gr.update(visible=bool(offers))}

    async def _found(self, beginning: str) -> TuningJob | None:
        try:
            return await self._context.database.run(self._context.tuning.job, beginning)
        except ArenaError:
            return None

    async def _told(self, job: TuningJob) -> dict[Any, Any]:
        desk = self._context.tuning
        events = await self._context.database.run(desk.events, job.id)
        models = [model for model in await self._context.database.run(desk.models) if model.job_id == job.id]
        html = render(
            "data_job.html",
            job=job,
            platform=PLATFORM_NAMES[job.platform],
            state=state_of(job),
            badge=badge_of(job),
            events=events[::-1],
            models=models,
            cost=None if job.estimated_cost is None else in_dollars(job.estimated_cost),
            settings=in_words(job.platform, job.method, job.hyperparameters),
        )
        return {self._body: html, self._cancel: gr.update(visible=job.ended_at is None and not job.cancel_requested)}

    async def _offered(self, job: TuningJob) -> dict[Any, Any]:
        """The form, filled in."""
        registered = await self._context.database.run(self._context.tuning.models)
        offers = results_of(job, registered)
        entries = [status.model for status in self._context.fleet.statuses() if status.model.role == "battle"]
        wish = suggest(job, entries)
        parents = [("Nobody", ""), *((entry.display_name or entry.id, entry.id) for entry in entries)]
        return {
            self._form: gr.update(visible=bool(offers)),
            self._title: render("data_title.html", anchor="register", title="Add to the roster", lead=_LEAD),
            self._result: gr.update(choices=offers, value=offers[0][1] if offers else None),
            self._id: wish.model_id,
            self._family: wish.family or "",
            self._version: wish.version or "",
            self._parent: gr.update(choices=parents, value=wish.parent or ""),
        }

    async def _end(self, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        try:
            job = await self._context.database.run(self._context.tuning.job, _job_of(request))
            job = await self._context.database.run(self._context.tuning.cancel, job.id)
        except ArenaError as error:
            return self._say(str(error))
        return {**await self._told(job), **self._say("The platform is asked to end the job.", kind="done")}

    async def _register(
        self,
        result: str | None,
        model_id: str,
        family: str,
        version: str,
        parent: str | None,
        request: gr.Request,
    ) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        step = int(result) if result and result.isdecimal() else None
        wish = Registration(
            model_id.strip(), family.strip() or None, version.strip() or None, parent or None, step=step
        )
        try:
            job = await self._context.database.run(self._context.tuning.job, _job_of(request))
            await self._context.database.run(self._context.tuning.register, job, wish)
        except ArenaError as error:
            return self._say(str(error))
        await self._context.tuning.take_in()
        said = f"{wish.model_id} is in the roster: it is drawn for battles as soon as it has answered once."
        return {**await self._told(job), **await self._offered(job), **self._say(said, kind="done")}

    def _say(self, sentence: str, kind: str = "refused") -> dict[Any, Any]:
        return {self._said: render("notice.html", text=sentence, kind=kind)}


_LEAD = (
    "The model becomes a version of its line. It is drawn for battles, and the lineage tells whether it beats the one "
    "before."
)


def _job_of(request: gr.Request) -> str:
    return str(request.query_params.get("job", ""))[:100]
