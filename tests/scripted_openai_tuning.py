"""A local server that speaks OpenAI's files and fine-tuning jobs beside its chat completions.

It holds uploaded files to the published rules, and a job that succeeds leaves a model that answers. By hand:
`python -m tests.scripted_openai_tuning --port 9003`, then OPENAI_BASE_URL=http://127.0.0.1:9003/v1 OPENAI_API_KEY=any.
"""

import email.parser
import email.policy
import itertools
import urllib.parse
from collections.abc import Mapping
from typing import Any

from tests.scripted_openai import ScriptedOpenAI, openai_error, pleasant_answer
from tests.scripting import Exchange, Script, parser_by_hand, serve_by_hand
from tests.tuning_rules import refuse_openai
from tests.tuning_scripts import JobScript, Mishap, ScriptedJob, Trouble, Troubles

GOES_WELL = JobScript(("validating_files", "queued", "running", "succeeded"))
BASE = "gpt-4.1-mini-2025-04-14"
KEY = "sk-scripted-tuning"


class ScriptedOpenAITuning(ScriptedOpenAI):
    """OpenAI with tuning; base models are the scripted models."""

    def __init__(self, scripts: Mapping[str, Any] | None = None, **keys: Any) -> None:
        super().__init__(scripts or {BASE: Script("A plain answer.")}, **keys)
        self.job_script = GOES_WELL
        """How the jobs go that are created from now on."""
        self.troubles = Troubles()
        """By operation: `files.create`, `files.list`, `jobs.create`, `jobs.list`, `jobs.retrieve`, `jobs.cancel`."""
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.jobs: dict[str, ScriptedJob] = {}
        self.counts: dict[str, int] = {}
        """Requests by operation, those that met trouble too."""
        self._numbers = itertools.count(1)

    def parse_body(self, raw: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """JSON, or an upload's form."""
        kind = headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return super().parse_body(raw, headers)
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
            f"Content-Type: {kind}\r\n\r\n".encode() + raw
        )
        form: dict[str, Any] = {}
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            form[str(name)] = content.decode() if name != "file" else content  # type: ignore[union-attr]
            if name == "file":
                form["filename"] = part.get_filename()
        return form

    async def answer(self, exchange: Exchange) -> None:
        """Files and jobs; everything else as `ScriptedOpenAI`."""
        path, _, query = exchange.request.path.partition("?")
        parts = path.removeprefix("/v1/").split("/")
        if parts[0] != "files" and parts[:2] != ["fine_tuning", "jobs"]:
            await super().answer(exchange)
            return
        if exchange.request.authorization != f"Bearer {KEY}":
            exchange.respond(401, openai_error(401, "Incorrect API key provided."))
            return
        operation = _operation(exchange.request.method, parts)
        self.note(lambda: self.counts.update({operation: self.counts.get(operation, 0) + 1}))
        trouble = self.troubles.take(operation)
        if trouble is not None and not self._lets_through(exchange, trouble):
            return
        status, body = self._do(operation, parts, dict(urllib.parse.parse_qsl(query)), exchange.request.body)
        if trouble is not None:
            exchange.drop()
        else:
            exchange.respond(status, body)

    def _lets_through(self, exchange: Exchange, trouble: Trouble) -> bool:
        """Whether the request is carried out all the same."""
        if isinstance(trouble.what, int):
            body = openai_error(trouble.what, trouble.message)
            if trouble.code:
                body["error"]["code"] = trouble.code
            exchange.respond(trouble.what, body)
        elif trouble.what is Mishap.CUT:
            exchange.drop()
        return trouble.what is Mishap.DONE_THEN_CUT

    def _do(self, operation: str, parts: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        match operation:
            case "files.create":
                return 200, self._upload(body)
            case "files.list":
                return 200, _listed(list(self.files.values()))
            case "jobs.create":
                return self._create(body)
            case "jobs.list":
                mark = query.get("metadata[arena_mark]")
                found = [job for job in self.jobs.values() if mark in (None, job.request["metadata"]["arena_mark"])]
                return 200, _listed([self._told(job) for job in reversed(found)])
        if parts[2] not in self.jobs:
            return 404, openai_error(404, f"Could not find fine tune: {parts[2]}")
        return 200, self._of_job(operation, self.jobs[parts[2]])

    def _of_job(self, operation: str, job: ScriptedJob) -> dict[str, Any]:
        match operation:
            case "jobs.events":
                return _listed(self._events(job))
            case "jobs.checkpoints":
                return _listed(self._checkpoints(job))
            case "jobs.cancel":
                job.cancelled = True
        told = self._told(job)
        if operation == "jobs.retrieve":
            job.looks += 1
        return told

    def _upload(self, form: dict[str, Any]) -> dict[str, Any]:
        name = f"file-scripted{next(self._numbers)}"
        made = {"id": name, "object": "file", "created_at": 1, "filename": form["filename"], "purpose": form["purpose"]}
        made |= {"bytes": len(form["file"]), "status": "processed"}
        self.contents[name] = form["file"]
        self.note(lambda: self.files.update({name: made}))
        return made

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["model"] not in self.scripts:
            return 404, openai_error(404, f"The model '{body['model']}' does not exist or cannot be fine-tuned.")
        method = body["method"]["type"]
        if set(body["method"]) != {"type", method}:
            return 400, openai_error(400, f"method must have the key {method} and no other.")
        for key in ("training_file", "validation_file"):
            if key not in body:
                continue
            if body[key] not in self.contents:
                return 400, openai_error(400, f"invalid {key}: {body[key]}")
            if wrong := refuse_openai(self.contents[body[key]], method, training=key == "training_file"):
                return 400, openai_error(400, wrong)
        job = ScriptedJob(f"ftjob-scripted{next(self._numbers)}", body, self.job_script)
        self.note(lambda: self.jobs.update({job.id: job}))
        return 200, self._told(job)

    def _told(self, job: ScriptedJob) -> dict[str, Any]:
        status = "cancelled" if job.cancelled else job.status
        done = status == "succeeded"
        name = f"ft:{job.request['model']}:scripted:{job.request.get('suffix')}:{job.id[-6:]}"
        if done and name not in self.scripts:
            self.scripts[name] = Script("A tuned answer: first see what you want.")
            for step in job.script.steps:
                self.scripts[f"{name}:ckpt-step-{step}"] = Script(f"An answer of step {step}.")
        error = {"code": "job_failed", "message": job.script.failure, "param": None} if status == "failed" else {}
        return {
            "id": job.id,
            "object": "fine_tuning.job",
            "created_at": 1_760_000_000,
            "finished_at": None,
            "error": error,
            "fine_tuned_model": name if done else None,
            "hyperparameters": {"n_epochs": "auto"},
            "method": job.request["method"],
            "metadata": job.request.get("metadata"),
            "model": job.request["model"],
            "organization_id": "org-scripted",
            "result_files": [],
            "seed": 1,
            "status": status,
            "trained_tokens": job.script.tokens if done else None,
            "training_file": job.request["training_file"],
            "validation_file": job.request.get("validation_file"),
        }

    def _events(self, job: ScriptedJob) -> list[dict[str, Any]]:
        seen = job.script.statuses[: max(job.looks, 1)]
        return [
            {
                "id": f"ftevent-{job.id}-{number}",
                "object": "fine_tuning.job.event",
                "created_at": 1_760_000_000 + number,
                "level": "info",
                "message": f"The job is {status}.",
                "type": "message",
            }
            for number, status in reversed(list(enumerate(seen)))
        ]

    def _checkpoints(self, job: ScriptedJob) -> list[dict[str, Any]]:
        name = self._told(job)["fine_tuned_model"]
        return [
            {
                "id": f"ftckpt-{job.id}-{step}",
                "object": "fine_tuning.job.checkpoint",
                "created_at": 1_760_000_000 + step,
                "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{step}",
                "fine_tuning_job_id": job.id,
                "metrics": {"step": step, "train_loss": 0.5},
                "step_number": step,
            }
            for step in reversed(job.script.steps if name else ())
        ]


def _operation(method: str, parts: list[str]) -> str:
    if parts[0] == "files":
        return "files.create" if method == "POST" else "files.list"
    if len(parts) == 4:
        return f"jobs.{parts[3]}"
    if len(parts) == 3:
        return "jobs.retrieve"
    return "jobs.create" if method == "POST" else "jobs.list"


def _listed(data: list[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": False}


def main() -> None:
    """Take files and jobs; each look at a job brings it one status further."""
    arguments = parser_by_hand(__doc__, 9003).parse_args()
    script = Script(text=pleasant_answer, first_delay_s=0.4, chunk_delay_s=0.016)
    server = ScriptedOpenAITuning({BASE: script}, default=script, host=arguments.host, port=arguments.port)
    serve_by_hand(server, f"OpenAI with tuning on http://{arguments.host}:{arguments.port}/v1; the key is {KEY}")


if __name__ == "__main__":
    main()
