"""Tuning jobs: a file and a base model, what would be sent and what it costs, a confirmation, and the jobs so far."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from arena.errors import ArenaError, ConfigError
from arena.finetune import Plan, Wish
from arena.finetune.hyperparameters import AUTO, LABELS, hyperparameters_of
from arena.finetune.plan import FORMATS, in_dollars
from arena.finetune.platform import Method, PlatformName
from arena.preferences.shelf import Shelved, shelved_files
from arena.roster import PLATFORM_NAMES
from arena.ui.context import PageContext
from arena.ui.data_files import FORMAT_NAMES
from arena.ui.html import fragment, render
from arena.ui.wiring import LISTENING

_LEAD = (
    "A job sends one file to its platform, which trains a model on it. What is “auto” the platform chooses. Nothing is "
    "sent before you have seen the plan and confirmed it."
)
_NOTHING_KNOWN = "-"
_STATES = {"succeeded": "Succeeded", "failed": "Failed", "cancelled": "Cancelled", "not_sent": "Not sent"}
_BADGES = {"succeeded": "kept", "failed": "missed", "not_sent": "missed"}


def state_of(job: Any) -> str:  # noqa: ANN401 - a TuningJob, in templates too
    """How a job stands, in a few words."""
    if job.outcome is not None:
        return _STATES[job.outcome]
    status = (job.status or ("is being sent" if job.platform_file else "waits to be sent")).replace("_", " ")
    return f"{status[0].upper()}{status[1:]}" + (", cancelling" if job.cancel_requested else "")


def badge_of(job: Any) -> str:  # noqa: ANN401 - as above
    """The colour of its state."""
    return _BADGES.get(job.outcome or "", "open")


class TuningSection:
    """The section and its handlers."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]]) -> None:
        self._context = context
        self._locked = locked
        self._title = fragment(elem_id="data-tuning-title")
        with gr.Column(visible=False, elem_id="tuning-form") as self._form:
            with gr.Row(elem_classes=["data-form"]):
                self._file = gr.Dropdown(
                    [], label="File", elem_classes=["choice"], filterable=False, interactive=True, min_width=260
                )
                self._base = gr.Dropdown(
                    [], label="Base model", elem_classes=["choice"], filterable=False, interactive=True, min_width=240
                )
                self._name = gr.Textbox(label="Name (optional)", max_lines=1, min_width=160)
            with gr.Row(elem_classes=["data-form", "data-settings"]):
                self._settings = {label: gr.Textbox(AUTO, label=label, max_lines=1, min_width=110) for label in LABELS}
            self._see = gr.Button("Show the plan", elem_id="show-plan", size="sm", min_width=140)
        self.known = gr.Textbox(visible=False)
        """The files that can be chosen."""
        self._plan = fragment(elem_id="data-plan")
        self._ready = gr.Textbox(visible=False)
        self._send = gr.Button("Send it", visible=False, variant="primary", elem_id="send-job", size="sm")
        self._body = fragment(elem_id="data-jobs")
        self.components: list[Any] = [
            *(self._title, self._form, self._file, self._base, self._name, *self._settings.values(), self._see),
            *(self.known, self._plan, self._ready, self._send, self._body),
        ]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the buttons, the base models to the file, and the hyperparameters to both."""
        wish = [self._file, self._base, self._name, *self._settings.values()]
        self._file.input(self._offer_bases, [self._file], outputs, **LISTENING)
        self._base.input(self._offer_settings, [self._file, self._base], outputs, **LISTENING)
        self._see.click(self._show_plan, wish, outputs, **LISTENING)
        self._send.click(self._start, [self._ready, *wish], outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {
            self._title: "",
            self._form: gr.update(visible=False),
            self._file: gr.update(choices=[], value=None),
            self._base: gr.update(choices=[], value=None),
            self._body: "",
            self.known: "",
            **self._nothing_planned(),
        }

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """All of it, the newest file chosen."""
        title = render("data_title.html", anchor="tuning", title="Tuning jobs", lead=_LEAD)
        return {self._title: title, **await self.renew({**asked, "known": _NOTHING_KNOWN})}

    async def renew(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The jobs; and where files were made since those that are `known`, the newest is chosen."""
        files = await self._files()
        jobs = await self._context.database.run(self._context.tuning.jobs)
        body = render(
            "data_jobs.html", jobs=jobs, files=files, platforms=PLATFORM_NAMES, state_of=state_of, badge_of=badge_of
        )
        names = " ".join(one.path.name for one in files)
        if asked.get("known", names) == names:
            return {self._body: body}
        choices = [(_told(one), one.path.name) for one in files]
        chosen = choices[0][1] if choices else None
        return {
            self._body: body,
            self.known: names,
            self._form: gr.update(visible=bool(choices)),
            self._file: gr.update(choices=choices, value=chosen),
            **await self._bases(chosen),
            **self._nothing_planned(),
        }

    async def _offer_bases(self, file: str | None, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        return {**await self._bases(file), **self._nothing_planned()}

    async def _offer_settings(self, file: str | None, base: str | None, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        return {**await self._hyperparameters(await self._named(file), base), **self._nothing_planned()}

    async def _show_plan(
        self, request: gr.Request, file: str | None, base: str | None, name: str, *settings: str
    ) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        try:
            plan = await self._planned(file, base, name, settings)
        except ArenaError as error:
            return self._say(str(error))
        cost = "" if plan.cost is None else f", {in_dollars(plan.cost)}"
        send = gr.update(visible=not plan.problems, value=f"Send it to {plan.platform_name}{cost}")
        return {
            self._plan: render("data_plan.html", plan=plan),
            self._ready: plan.mark,
            self._send: send,
        }

    async def _start(
        self, request: gr.Request, ready: str, file: str | None, base: str | None, name: str, *settings: str
    ) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        try:
            plan = await self._planned(file, base, name, settings)
            if plan.mark != ready:
                return self._say("What would be sent has changed since: look at the plan again.")
            job = await self._context.database.run(self._context.tuning.start, plan)
        except ArenaError as error:
            return self._say(str(error))
        said = f"Job {job.id[:8]} is on its way to {plan.platform_name}. It is followed here, also after a restart."
        return {**await self.renew({}), **self._say(said, kind="done")}

    async def _planned(self, file: str | None, base: str | None, name: str, settings: Sequence[str]) -> Plan:
        """The plan of a file that the page lists: no path is taken from the browser."""
        shelved = await self._named(file)
        if shelved is None:
            raise ConfigError("Choose a file that is listed here, or make one first.")
        platform, method = _training_of(shelved)
        written = dict(zip(LABELS, settings, strict=True))
        chosen = {one.name: written[one.label] for one in hyperparameters_of(platform, method)}
        wish = Wish(platform, shelved.path, base or None, name.strip() or None, chosen)
        return await self._context.database.run(self._context.tuning.plan, wish)

    async def _files(self) -> Sequence[Shelved]:
        """The files that a platform can be sent."""
        sent = {name for formats in FORMATS.values() for name in formats}
        files = await self._context.database.run(shelved_files, self._context.settings)
        return [one for one in files if one.manifest.format in sent and one.manifest.split == "train"]

    async def _named(self, file: str | None) -> Shelved | None:
        return next((one for one in await self._files() if one.path.name == file), None)

    async def _bases(self, file: str | None) -> dict[Any, Any]:
        """The base models that fit a file, and what may be chosen about a run with the first of them."""
        shelved = await self._named(file)
        fitting = await self._context.database.run(self._fitting, shelved) if shelved else []
        base = fitting[0][1] if fitting else None
        return {self._base: gr.update(choices=fitting, value=base), **await self._hyperparameters(shelved, base)}

    async def _hyperparameters(self, shelved: Shelved | None, base: str | None) -> dict[Any, Any]:
        """The fields that a file's platform has for its method, filled with what the configuration says."""
        values = await self._context.database.run(self._configured, shelved, base) if shelved else {}
        return {
            field: gr.update(visible=label in values, value=values.get(label, AUTO))
            for label, field in self._settings.items()
        }

    def _configured(self, shelved: Shelved, base: str | None) -> Mapping[str, str]:
        platform, method = _training_of(shelved)
        try:
            configured = self._context.tuning.configured(platform, base or "")
        except ArenaError:  # the plan tells what is wrong with the file
            configured = {}
        return {one.label: str(configured.get(one.name, AUTO)) for one in hyperparameters_of(platform, method)}

    def _fitting(self, shelved: Shelved) -> list[tuple[str, str]]:
        desk = self._context.tuning
        platform, method = _training_of(shelved)
        try:
            models = desk.config.platform(platform).models
        except ArenaError:  # as above
            models = {}
        jobs = {job.id: job for job in desk.jobs()}
        bases = [(name, name) for name, entry in models.items() if method in entry.methods]
        tuned = [
            (f"{model.id}, further", model.id) for model in desk.models() if jobs[model.job_id].platform == platform
        ]
        return [*bases, *tuned]

    def _say(self, sentence: str, kind: str = "refused") -> dict[Any, Any]:
        return {**self._nothing_planned(), self._plan: render("notice.html", text=sentence, kind=kind)}

    def _nothing_planned(self) -> dict[Any, Any]:
        return {self._plan: "", self._ready: "", self._send: gr.update(visible=False)}


def _training_of(file: Shelved) -> tuple[PlatformName, Method]:
    """Who trains on a file that can be sent, and what for."""
    name = file.manifest.format
    return next((platform, formats[name]) for platform, formats in FORMATS.items() if name in formats)


def _told(file: Shelved) -> str:
    manifest = file.manifest
    lines = "1 line" if manifest.lines == 1 else f"{manifest.lines:,} lines"
    return f"{FORMAT_NAMES[manifest.format].partition(',')[0]}, {lines}, {file.made_at:%-d %b %H:%M}"
