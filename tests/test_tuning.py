"""Jobs at both platforms: sent once, followed to their end, whatever happens on the way."""

from typing import Any

import pytest

from arena.errors import TuningError
from arena.finetune import store
from tests.scripted_openai_tuning import BASE
from tests.scripted_vertex_tuning import BASE as GEMINI
from tests.tuning_fixtures import Workshop, workshop, write_training_file
from tests.tuning_scripts import JobScript, Mishap, Trouble

__all__ = ["workshop"]



def test_a_preference_job_at_openai_is_sent_and_followed_to_its_model(workshop: Workshop) -> None:
    file = write_training_file(workshop.folder, validation=("What then?", "And then?"))
    job = workshop.finish(workshop.job(file=file, name="better"))

    assert (job.outcome, job.status, job.trained_tokens) == ("succeeded", "succeeded", 1234)
    assert job.result_model == f"ft:{BASE}:scripted:better:{str(job.platform_job)[-6:]}"
    assert [one["step"] for one in job.checkpoints] == [40, 80]
    (sent,) = workshop.openai.jobs.values()
    assert sent.request["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    assert workshop.openai.contents[sent.request["training_file"]] == file.read_bytes()
    assert len(workshop.openai.contents[sent.request["validation_file"]].splitlines()) == 2
    messages = [event.message for event in store.events_of(workshop.database, job.id)]
    assert messages == ["The job is validating_files.", "The job is queued.", "The job is running.", "The job is succeeded."]


def test_a_preference_job_at_vertex_goes_through_cloud_storage_and_its_drops_lead_to_battles(workshop: Workshop) -> None:
    workshop.vertex.job_script = JobScript(workshop.vertex.job_script.statuses, dropped={3: "too long", 12: "unsafe"})
    job = workshop.finish(workshop.job("vertex"))

    assert (job.outcome, job.status, job.trained_tokens) == ("succeeded", "JOB_STATE_SUCCEEDED", 1234)
    assert job.dropped == [
        {"line": 3, "reason": "too long", "battle": "battle-3"},
        {"line": 12, "reason": "unsafe", "battle": "battle-12"},
    ]
    (sent,) = workshop.vertex.jobs.values()
    spec = sent.request["preferenceOptimizationSpec"]
    assert spec["hyperParameters"] == {"beta": 0.1}
    assert spec["trainingDatasetUri"].startswith("gs://votes/arena/coaia-arena-")
    assert job.result_model == f"{sent.id.split('/tuningJobs')[0]}/endpoints/81"
    assert [one["step"] for one in job.checkpoints] == [40, 80]
