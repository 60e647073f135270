"""A local server that speaks Vertex AI's tuning jobs beside its answers; files come from a scripted Cloud Storage.

By hand: `python -m tests.scripted_vertex_tuning --port 9004 --storage-port 9005 --credentials vertex.json`, then
GOOGLE_APPLICATION_CREDENTIALS=vertex.json, and in ARENA_TUNING_FILE under vertex `project_id: scripted-project`,
`bucket: votes`, `api_base: http://127.0.0.1:9004` and `storage_base: http://127.0.0.1:9005`.
"""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.scripted_openai import pleasant_answer
from tests.scripted_storage import ScriptedStorage
from tests.scripted_vertex import ScriptedVertex, vertex_error
from tests.scripting import Exchange, Script, parser_by_hand, serve_by_hand
from tests.tuning_rules import refuse_vertex
from tests.tuning_scripts import JobScript, Mishap, ScriptedJob, Troubles

GOES_WELL = JobScript(("JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"))
BASE = "gemini-2.5-flash"
PROJECT = "scripted-project"
BUCKET = "votes"
_JOBS = re.compile(r"^/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+)/tuningJobs(?:/([^/:]+))?(?::(\w+))?$")
_ALLOWED = {"hyperParameters", "trainingDatasetUri", "validationDatasetUri", "exportLastCheckpointOnly"}


class ScriptedVertexTuning(ScriptedVertex):
    """Vertex AI with preference tuning; base models are the published models among the scripts."""

    def __init__(self, storage: ScriptedStorage, scripts: Mapping[str, Any] | None = None, **keys: Any) -> None:
        super().__init__(scripts or {BASE: Script("A plain answer.")}, **keys)
        self.storage = storage
        storage.admits = self.admits
        self.job_script = GOES_WELL
        """How the jobs go that are created from now on."""
        self.troubles = Troubles()
        """By operation: `create`, `list`, `get`, `cancel`."""
        self.jobs: dict[str, ScriptedJob] = {}
        self.counts: dict[str, int] = {}
        self._numbers = itertools.count(1)

    async def answer(self, exchange: Exchange) -> None:
        """Jobs and published models; everything else as `ScriptedVertex`."""
        request = exchange.request
        path = request.path.partition("?")[0]
        job = _JOBS.match(path)
        published = re.search(r"/(publishers/google/models/([^/:]+))$", path)
        if not (job or published) or not self.admits(request.authorization):
            await super().answer(exchange)
            return
        if published:
            known = published[2] in self.scripts
            body = {"name": published[1], "versionId": "default"}
            exchange.respond(
                200 if known else 404, body if known else vertex_error(404, "Publisher Model is not found.")
            )
            return
        assert job
        operation = job[3] or ("get" if job[2] else "create" if request.method == "POST" else "list")
        self.note(lambda: self.counts.update({operation: self.counts.get(operation, 0) + 1}))
        trouble = self.troubles.take(operation)
        if trouble is not None and isinstance(trouble.what, int):
            exchange.respond(trouble.what, vertex_error(trouble.what, trouble.message))
        elif trouble is not None and trouble.what is Mishap.CUT:
            exchange.drop()
        else:
            status, answer = self._do(operation, job[1], job[0].partition("projects/")[2], request.body)
            if trouble is not None:
                exchange.drop()
            else:
                exchange.respond(status, answer)

    def _do(self, operation: str, place: str, rest: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "create":
            return self._create(place, body)
        if operation == "list":
            return 200, {"tuningJobs": [self._told(job) for job in reversed(self.jobs.values())]}
        name = f"projects/{rest}".partition(":")[0]
        if name not in self.jobs:
            return 404, vertex_error(404, f"TuningJob {name} is not found.")
        job = self.jobs[name]
        if operation == "cancel":
            job.cancelled = True
            return 200, {}
        told = self._told(job)
        job.looks += 1
        return 200, told

    def _create(self, place: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        specs = [key for key in body if key.endswith("Spec")]
        if specs != ["preferenceOptimizationSpec"]:
            return 400, vertex_error(400, f"Exactly one tuning spec is expected, not {specs}.")
        base = body.get("baseModel") or body.get("preTunedModel", {}).get("tunedModelName", "")
        if base not in self.scripts:
            return 400, vertex_error(400, f"Base model {base} is not supported.")
        spec = body["preferenceOptimizationSpec"]
        if unknown := set(spec) - _ALLOWED:
            return 400, vertex_error(400, f"Unknown fields {sorted(unknown)}.")
        contents = []
        for key in ("trainingDatasetUri", "validationDatasetUri"):
            if key in spec and spec[key] not in self.storage.objects:
                return 400, vertex_error(400, f"{spec[key]} cannot be read.")
            contents.append(self.storage.objects[spec[key]] if key in spec else None)
        training, validation = contents
        if wrong := refuse_vertex(training or b"", validation):
            return 400, vertex_error(400, wrong)
        name = f"{place}/tuningJobs/{next(self._numbers)}"
        job = ScriptedJob(name, body, self.job_script)
        self.note(lambda: self.jobs.update({name: job}))
        return 200, self._told(job)

    def _told(self, job: ScriptedJob) -> dict[str, Any]:
        state = "JOB_STATE_CANCELLED" if job.cancelled else job.status
        told: dict[str, Any] = {
            "name": job.id,
            "state": state,
            "baseModel": job.request.get("baseModel"),
            "labels": job.request.get("labels", {}),
            "tunedModelDisplayName": job.request.get("tunedModelDisplayName"),
            "createTime": "2026-01-02T03:04:05Z",
            "updateTime": f"2026-01-02T03:05:{job.looks:02}Z",
        }
        if state == "JOB_STATE_FAILED":
            told["error"] = {"code": 9, "message": job.script.failure}
        if state == "JOB_STATE_SUCCEEDED":
            told |= {
                "tunedModel": self._tuned(job),
                "tuningDataStats": {"preferenceOptimizationDataStats": _stats(job)},
            }
        return told

    def _tuned(self, job: ScriptedJob) -> dict[str, Any]:
        place, number = job.id.split("/tuningJobs/")
        model, endpoint = f"{place}/models/7{number}", f"{place}/endpoints/8{number}"
        checkpoints = []
        for at, step in enumerate(job.script.steps, start=1):
            saved = f"{place}/endpoints/8{number}{step}"
            self.scripts.setdefault(saved, Script(f"An answer of step {step}."))
            checkpoints.append({"checkpointId": str(at), "epoch": str(at), "step": str(step), "endpoint": saved})
        self.scripts.setdefault(endpoint, Script("A tuned answer: first see what you want."))
        self.scripts.setdefault(f"{model}@1", Script("A tuned answer: first see what you want."))
        return {"model": f"{model}@1", "endpoint": endpoint, "checkpoints": checkpoints}


def _stats(job: ScriptedJob) -> dict[str, Any]:
    """Numbers as Google's JSON writes 64 bit integers: as text."""
    return {
        "tuningDatasetExampleCount": "12",
        "totalBillableTokenCount": str(job.script.tokens),
        "droppedExampleIndices": [str(line) for line in job.script.dropped],
        "droppedExampleReasons": list(job.script.dropped.values()),
    }


def main() -> None:
    """Take files and jobs; each look at a job brings it one status further."""
    parser = parser_by_hand(__doc__, 9004)
    parser.add_argument("--storage-port", type=int, default=9005)
    parser.add_argument("--credentials", type=Path, default=Path("scripted-vertex-credentials.json"))
    arguments = parser.parse_args()
    script = Script(text=pleasant_answer, first_delay_s=0.5, chunk_delay_s=0.02)
    storage = ScriptedStorage(BUCKET, host=arguments.host, port=arguments.storage_port)
    with storage:
        server = ScriptedVertexTuning(storage, {BASE: script}, default=script, host=arguments.host, port=arguments.port)
        server.write_credentials(arguments.credentials)
        serve_by_hand(server, f"Vertex AI with tuning on {server.url}, Cloud Storage on {storage.url}")


if __name__ == "__main__":
    main()
