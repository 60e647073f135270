"""Jobs at both platforms: sent once, followed to their end, whatever happens on the way."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.genai import types
from openai.types.fine_tuning.dpo_hyperparameters_param import DpoHyperparametersParam
from openai.types.fine_tuning.supervised_hyperparameters_param import SupervisedHyperparametersParam

from arena.database import Database
from arena.errors import ConfigError, TuningError
from arena.finetune import store
from arena.finetune.configuration import BaseModelEntry
from arena.finetune.hyperparameters import choose_hyperparameters, hyperparameters_of
from arena.finetune.plan import Wish, make_plan, preflight
from arena.finetune.platform import Dropped, Method, PlatformName
from arena.tables import now
from tests.scripted_openai_tuning import BASE
from tests.scripted_vertex_tuning import BASE as GEMINI
from tests.scripting import Script
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
    assert messages == [
        "The job is validating_files.",
        "The job is queued.",
        "The job is running.",
        "The job is succeeded.",
    ]


def test_a_preference_job_at_vertex_goes_through_cloud_storage_and_its_drops_lead_to_battles(
    workshop: Workshop,
) -> None:
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


@pytest.mark.parametrize("platform", ["openai", "vertex"])
def test_a_job_whose_creation_was_cut_off_is_found_again_and_never_sent_twice(
    workshop: Workshop, platform: str
) -> None:
    jobs: Any = workshop.openai.jobs if platform == "openai" else workshop.vertex.jobs
    troubles = workshop.openai.troubles if platform == "openai" else workshop.vertex.troubles
    troubles.add("jobs.create" if platform == "openai" else "create", Trouble(Mishap.DONE_THEN_CUT))
    job = workshop.job(platform)

    unclear = workshop.sender().advance(job.id)
    assert unclear.platform_job is None
    assert "no usable answer" in str(unclear.trouble)

    # Another process takes over, as after a restart.
    assert workshop.finish(job, workshop.sender("the next process")).outcome == "succeeded"
    assert len(jobs) == 1


def test_a_server_error_at_creation_never_starts_a_second_job(workshop: Workshop) -> None:
    workshop.openai.troubles.add("jobs.create", Trouble(500, "The server had an error."))
    job = workshop.job()

    patient = workshop.sender(first_wait_s=60)
    waiting = patient.advance(job.id)
    assert "OpenAI failed on its side (500: The server had an error.)" in str(waiting.trouble)
    again = patient.advance(job.id)
    assert again.trouble == "The platform did not confirm the job; it is looked for there, not started again."
    ended = workshop.finish(job)

    assert (ended.outcome, ended.platform_job) == ("not_sent", None)
    assert ended.reason == "The platform never confirmed the job and lists none: tune again to send it anew."
    assert workshop.openai.counts["jobs.create"] == 1


def test_a_restart_between_upload_and_start_uploads_nothing_again(workshop: Workshop) -> None:
    workshop.openai.troubles.add("jobs.list", Trouble(Mishap.CUT))
    workshop.vertex.troubles.add("list", Trouble(Mishap.CUT))
    for platform in ("openai", "vertex"):
        job = workshop.job(platform)
        assert workshop.sender().advance(job.id).platform_job is None
        # What the upload returned was lost, too.
        store.note(workshop.database, job.id, platform_file=None)
        assert workshop.finish(job, workshop.sender("the next process")).outcome == "succeeded"

    assert workshop.openai.counts["files.create"] == 1
    assert len(workshop.storage.uploads) == 1
    assert (len(workshop.openai.jobs), len(workshop.vertex.jobs)) == (1, 1)


def test_the_same_plan_is_refused_until_it_has_failed(workshop: Workshop) -> None:
    workshop.openai.job_script = JobScript(("running", "failed"), failure="The job failed due to an internal error.")
    job = workshop.job()
    with pytest.raises(TuningError, match=r"Exactly this was sent already: job .* is on its way"):
        workshop.job()

    failed = workshop.finish(job)
    assert (failed.outcome, failed.reason) == ("failed", "The job failed due to an internal error.")
    second = workshop.finish(workshop.job())
    assert len(workshop.openai.jobs) == 2
    assert second.platform_job != failed.platform_job


def test_an_orphan_of_the_same_plan_is_adopted(workshop: Workshop) -> None:
    """The database was restored from a backup made before the job was started."""
    first = workshop.finish(workshop.job())
    with workshop.database.write() as session:
        stored = session.merge(first)
        stored.platform_job, stored.outcome = None, "not_sent"

    adopted = workshop.finish(workshop.job())
    assert adopted.platform_job == first.platform_job
    assert len(workshop.openai.jobs) == 1


@pytest.mark.parametrize(
    ("platform", "operation", "trouble", "told"),
    [
        ("openai", "files.create", Trouble(400, "Invalid file."), "OpenAI refused: Invalid file."),
        (
            "openai",
            "jobs.create",
            Trouble(429, "You exceeded your quota.", "insufficient_quota"),
            "OpenAI's quota is used up; add credit or raise the limit: You exceeded your quota.",
        ),
        (
            "openai",
            "jobs.create",
            Trouble(401, "Incorrect API key."),
            "OpenAI refused the API key: check OPENAI_API_KEY. It said: Incorrect API key.",
        ),
        ("vertex", "create", Trouble(400, "Bad dataset."), "Vertex AI refused: Bad dataset."),
        (
            "vertex",
            "create",
            Trouble(403, "No access."),
            "Google does not allow it: give the account the roles Vertex AI User, and for the bucket "
            "Storage Object User. It said: No access.",
        ),
    ],
)
def test_a_lasting_refusal_ends_the_job_in_one_sentence(
    workshop: Workshop, platform: str, operation: str, trouble: Trouble, told: str
) -> None:
    server = workshop.openai if platform == "openai" else workshop.vertex
    server.troubles.add(operation, trouble)
    ended = workshop.sender().advance(workshop.job(platform).id)

    assert (ended.outcome, ended.reason) == ("not_sent", told)
    assert not server.jobs


@pytest.mark.parametrize("platform", ["openai", "vertex"])
def test_a_quota_that_will_be_free_again_is_told_and_waited_for(workshop: Workshop, platform: str) -> None:
    server = workshop.openai if platform == "openai" else workshop.vertex
    server.troubles.add("jobs.create" if platform == "openai" else "create", Trouble(429, "Too many running jobs."))
    job = workshop.sender().advance(workshop.job(platform).id)

    assert "takes no more for now" in str(job.trouble)
    assert "Too many running jobs." in str(job.trouble)
    assert workshop.finish(job).outcome == "succeeded"
    assert len(server.jobs) == 1


@pytest.mark.parametrize(("platform", "word"), [("openai", "dreaming"), ("vertex", "JOB_STATE_DREAMING")])
def test_a_status_that_nobody_knows_is_shown_as_it_is_and_followed_on(
    workshop: Workshop, platform: str, word: str
) -> None:
    server = workshop.openai if platform == "openai" else workshop.vertex
    server.job_script = JobScript((word, *server.job_script.statuses[-1:]))
    job = workshop.sender().advance(workshop.job(platform).id)

    assert (job.status, job.outcome, job.trouble) == (word, None, None)
    assert workshop.finish(job).outcome == "succeeded"


def test_a_refusal_after_the_start_never_gives_a_job_up_that_may_run(workshop: Workshop) -> None:
    workshop.openai.troubles.add("jobs.create", Trouble(Mishap.DONE_THEN_CUT))
    unclear = workshop.sender().advance(workshop.job().id)
    workshop.openai.troubles.add("jobs.list", Trouble(401, "Key revoked."))
    workshop.openai.troubles.add("jobs.retrieve", Trouble(401, "Key revoked."))

    for started in (False, True):
        waiting = workshop.sender().advance(unclear.id)
        assert (waiting.outcome, waiting.platform_job is not None) == (None, started)
        assert "Key revoked." in str(waiting.trouble)
    assert workshop.finish(unclear).outcome == "succeeded"


def test_a_failed_vertex_job_tells_the_platforms_words(workshop: Workshop) -> None:
    workshop.vertex.job_script = JobScript(
        ("JOB_STATE_RUNNING", "JOB_STATE_FAILED"), failure="Dataset validation failed."
    )
    job = workshop.finish(workshop.job("vertex"))

    assert (job.outcome, job.status, job.reason) == ("failed", "JOB_STATE_FAILED", "Dataset validation failed.")


def test_trouble_while_following_is_told_and_outlived(workshop: Workshop) -> None:
    job = workshop.sender().advance(workshop.job().id)
    workshop.openai.troubles.add("jobs.retrieve", Trouble(500), Trouble(401, "Key revoked."))

    assert "failed on its side" in str(workshop.sender().advance(job.id).trouble)
    assert "Key revoked." in str(workshop.sender().advance(job.id).trouble)
    assert workshop.finish(job).outcome == "succeeded"


@pytest.mark.parametrize("platform", ["openai", "vertex"])
def test_a_running_job_is_cancelled_at_its_platform(workshop: Workshop, platform: str) -> None:
    job = workshop.sender().advance(workshop.job(platform).id)
    store.request_cancel(workshop.database, job.id)

    assert workshop.finish(job).outcome == "cancelled"
    with pytest.raises(TuningError, match="has ended already: cancelled"):
        store.request_cancel(workshop.database, job.id)


def test_a_job_cancelled_before_its_start_sends_nothing(workshop: Workshop) -> None:
    job = workshop.job()
    store.request_cancel(workshop.database, job.id)

    assert workshop.finish(job).outcome == "cancelled"
    assert workshop.openai.counts == {}


def test_only_one_process_does_a_jobs_next_step(workshop: Workshop) -> None:
    job = workshop.job()
    assert store.hold(workshop.database, job.id, "another process")

    assert workshop.sender().advance(job.id).platform_file is None
    assert workshop.openai.counts == {}
    store.release(workshop.database, job.id, "another process")
    assert workshop.sender().advance(job.id).platform_file is not None


def test_a_file_that_has_changed_since_is_not_sent(workshop: Workshop) -> None:
    job = workshop.job()
    (workshop.folder / "openai.jsonl").write_text("something else\n", encoding="utf-8")

    ended = workshop.sender().advance(job.id)
    assert ended.outcome == "not_sent"
    assert "has changed since it was to be sent" in str(ended.reason)


def test_a_plan_tells_what_it_sends_and_what_it_costs(workshop: Workshop) -> None:
    plan = workshop.plan(hyperparameters={"n_epochs": 2})

    assert (plan.base_model, plan.method, plan.training.lines) == (BASE, "preference", 12)
    assert (plan.trained_tokens, plan.epochs_assumed) == (2_000, False)
    assert plan.cost == pytest.approx(0.01)
    assert plan.problems == []
    assert workshop.plan().epochs_assumed


def test_without_a_price_there_is_no_number_and_with_one_its_source_is_told(workshop: Workshop) -> None:
    plan = workshop.plan(hyperparameters={"n_epochs": 4})
    assert plan.cost_in_words == "about $0.02 at $5 per million trained tokens"
    assert "does not say where it has it from, of no known date; the platform's own list holds" in plan.price_source

    config, wish = workshop.platforms.config, Wish("openai", plan.file)
    dated = {"prices_from": "the price list", "prices_as_of": date(2026, 11, 23)}
    priced = config.model_copy(update={"openai": config.openai.model_copy(update=dated)})
    assert "is from the price list, as of 2026-11-23" in make_plan(priced, wish).price_source

    free = config.openai.model_copy(update={"models": {BASE: BaseModelEntry()}})
    unknown = make_plan(config.model_copy(update={"openai": free}), wish)
    assert (unknown.cost, unknown.price_source) == (None, "")
    assert unknown.cost_in_words == "not known: the configuration has no price for this model"


def test_hyperparameters_are_those_of_the_sdks_types() -> None:
    def names(platform: PlatformName, method: Method) -> set[str]:
        return {one.name for one in hyperparameters_of(platform, method)}

    assert names("openai", "preference") == set(DpoHyperparametersParam.__annotations__)
    assert names("openai", "supervised") == set(SupervisedHyperparametersParam.__annotations__)
    assert names("vertex", "preference") == set(types.PreferenceOptimizationHyperParameters.model_fields)


def test_what_is_chosen_goes_over_the_configuration_and_auto_leaves_it_to_the_platform(workshop: Workshop) -> None:
    job = workshop.job("vertex", hyperparameters={"adapter_size": "4", "epoch_count": " 2 ", "beta": "auto"})
    workshop.finish(job)

    (sent,) = workshop.vertex.jobs.values()
    chosen = {"adapterSize": "ADAPTER_SIZE_FOUR", "epochCount": 2}
    assert sent.request["preferenceOptimizationSpec"]["hyperParameters"] == chosen
    settings = "epochs 2, beta auto, learning rate multiplier auto, adapter size 4"
    assert workshop.plan("vertex", hyperparameters=job.hyperparameters | {"beta": None}).settings == settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epoch_count", "2.5", "Epochs must be a whole number from 1 on, or auto, not “2.5”."),
        ("epoch_count", 0, "Epochs must be a whole number from 1 on, or auto, not “0”."),
        ("beta", "0,1", "Beta must be a number above 0, such as 0.1, or auto, not “0,1”."),
        ("beta", "nan", "Beta must be a number above 0"),
        ("learning_rate_multiplier", -1, "Learning rate multiplier must be a number above 0"),
        ("adapter_size", 3, "Adapter size must be 1, 2, 4, 8 or 16, or auto, not “3”."),
        ("batch_size", 4, "batch_size: no hyperparameter of preference tuning at Vertex AI; accepted are adapter_size"),
    ],
)
def test_a_value_that_is_none_is_told_in_a_sentence(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_hyperparameters("vertex", "preference", {}, {name: value})

    assert str(refused.value).startswith(said)


def test_a_file_below_the_platforms_least_is_no_job(workshop: Workshop) -> None:
    plan = workshop.plan(file=write_training_file(workshop.folder, questions=("One?", "Two?")))

    assert plan.problems == ["It has too few lines."]
    with pytest.raises(TuningError, match="It has too few lines"):
        store.add_job(workshop.database, plan)


def test_the_preferred_answers_are_a_supervised_job_without_beta(workshop: Workshop) -> None:
    job = workshop.finish(workshop.job(file=write_training_file(workshop.folder, "sft")))

    (sent,) = workshop.openai.jobs.values()
    assert job.outcome == "succeeded"
    assert sent.request["method"] == {"type": "supervised", "supervised": {"hyperparameters": {}}}


def test_a_preflight_tells_of_a_missing_base_model_its_end_and_refused_jobs(workshop: Workshop) -> None:
    plan = workshop.plan()
    soon = datetime.now(UTC).date() + timedelta(days=20)
    workshop.openai.scripts[BASE] = Script(shutdown_date=soon.isoformat())
    told = preflight(plan, workshop.platforms("openai"))
    assert (told.problems, told.shuts_down_on) == ([], soon)
    assert f"shuts down on {soon}, in 20 days" in told.warnings[0]

    workshop.openai.scripts[BASE] = Script(shutdown_date="2026-01-01")
    assert preflight(plan, workshop.platforms("openai")).problems == [f"{BASE} was shut down on 2026-01-01."]

    workshop.openai.troubles.add("jobs.list", Trouble(403, "Fine-tuning is closed for new organisations."))
    refused = preflight(plan, workshop.platforms("openai")).problems
    assert any("takes no tuning jobs with this key" in problem and "is closed" in problem for problem in refused)

    del workshop.openai.scripts[BASE]
    del workshop.vertex.scripts[GEMINI]
    for platform in ("openai", "vertex"):
        missing = preflight(workshop.plan(platform), workshop.platforms(platform)).problems
        assert "cannot be had" in missing[0]


def test_jobs_are_held_by_one_process_on_every_database(workshop: Workshop, any_database: Database) -> None:
    job = store.add_job(any_database, workshop.plan())
    moment = now()
    assert store.due_jobs(any_database, moment) == [job.id]

    assert store.hold(any_database, job.id, "one")
    assert store.hold(any_database, job.id, "one")
    assert not store.hold(any_database, job.id, "other")
    assert store.due_jobs(any_database, moment) == []
    due = store.next_due(any_database)
    assert due is not None
    assert due > moment + timedelta(minutes=1)

    store.note(any_database, job.id, held_until=moment - timedelta(seconds=1))
    assert store.hold(any_database, job.id, "other")
    store.release(any_database, job.id, "other")
    dropped = store.mapped_back(any_database, job.id, [Dropped(2, "too long")])
    assert dropped == [{"line": 2, "reason": "too long", "battle": "battle-2"}]
    store.note(any_database, job.id, ended_at=now(), outcome="failed")
    assert not store.hold(any_database, job.id, "one")
    assert store.next_due(any_database) is None
