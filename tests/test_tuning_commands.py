"""`tune` and `jobs`, as an operator types them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from arena.cli import main
from arena.finetune import store
from arena.tables import Winner
from tests.arena_facts import add_models, add_vote
from tests.tuning_fixtures import Workshop, roster_of, workshop, write_training_file
from tests.tuning_scripts import JobScript, Trouble

__all__ = ["workshop"]

THINGS = (
    *("garden", "boat", "choir", "bakery", "library", "kite", "film", "clock", "bridge", "quilt"),
    *("orchard", "violin", "school", "map", "lantern", "novel", "mosaic", "harbour"),
)


@pytest.fixture
def file(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training file, in a folder where commands find the workshop's settings."""
    roster_of(workshop)
    monkeypatch.setenv("ARENA_TUNING_FILE", str(workshop.settings.tuning_file))
    monkeypatch.setenv("ARENA_DATABASE_URL", str(workshop.database.engine.url))
    return write_training_file(workshop.folder)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    status = main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_tune_tells_what_it_would_send_and_sends_nothing_without_a_yes(
    workshop: Workshop, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "tune", "openai", file, "--dry-run", "--set", "n_epochs=2")
    assert (status, err) == (0, "Nothing was sent.\n")
    for told in (
        "12 lines",
        "gpt-4.1-mini-2025-04-14",
        "epochs 2, beta 0.1, learning rate multiplier auto, batch size auto",
        "The price is from the configuration, which does not say where it has it from, of no known date",
        "2,000 trained (2 epochs)",
        "about $0.01",
    ):
        assert told in out

    status, _, err = run(capsys, "tune", "openai", file)
    assert (status, err) == (2, "Nobody is there to be asked: add --yes to send it.\n")
    assert workshop.openai.counts.keys() <= {"jobs.list"}


def test_a_job_is_sent_followed_listed_and_registered(
    workshop: Workshop, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "tune", "openai", file, "--yes", "--json", "--name", "second")
    sent = json.loads(out)
    assert (status, sent["outcome"], sent["platform_job"]) == (0, None, next(iter(workshop.openai.jobs)))

    workshop.finish(workshop.sender().advance(sent["id"]))
    status, out, _ = run(capsys, "jobs", "follow", sent["id"][:6])
    assert (status, out) == (0, f"Job {sent['id']}: succeeded: {_model(workshop)}\n")
    status, out, _ = run(capsys, "jobs")
    assert sent["id"][:8] in out
    assert "succeeded" in out
    status, out, _ = run(capsys, "jobs", "show", sent["id"])
    assert "The job is running." in out
    assert "Step 40" in out
    status, out, _ = run(capsys, "jobs", "register", sent["id"], "--id", "coaia-2", "--parent", "coaia-1")
    assert (status, out.split(":")[0]) == (0, "coaia-2 is in the roster")
    status, out, _ = run(capsys, "check", "--json")
    assert {model["model"]: model["ready"] for model in json.loads(out)["models"]} == {"coaia-1": True, "coaia-2": True}

    status, _, err = run(capsys, "tune", "openai", file, "--yes", "--name", "second")
    assert status == 1
    assert "Exactly this was sent already" in err


def _model(workshop: Workshop) -> str:
    return next(name for name in workshop.openai.scripts if name.startswith("ft:"))


def test_a_job_that_is_refused_or_fails_is_told_and_exits_with_1(
    workshop: Workshop, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.openai.troubles.add("jobs.create", Trouble(400, "Invalid file format."))
    status, out, _ = run(capsys, "tune", "openai", file, "--yes")
    assert (status, out.split(": ", 1)[1]) == (1, "not sent: OpenAI refused: Invalid file format.\n")

    workshop.openai.job_script = JobScript(("failed",), failure="Unsafe outputs.")
    status, out, _ = run(capsys, "tune", "openai", file, "--yes", "--follow")
    assert status == 1
    assert "failed: Unsafe outputs." in out


@pytest.mark.parametrize("platform", ["openai", "vertex"])
@pytest.mark.usefixtures("file")
def test_votes_become_a_file_that_the_platform_takes_and_trains_on(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    hare, tortoise = add_models(workshop.database, "hare", "tortoise")
    for number, thing in enumerate(THINGS):
        answers = (f"First see the {thing} finished, then look at today.", f"List what is wrong with {number} steps.")
        turns = [(f"How do I make a {thing}?", *answers)]
        add_vote(workshop.database, hare, tortoise, Winner.MODEL_A, voter=f"v{number}", turns=turns)
    out, held = workshop.folder / "votes.jsonl", workshop.folder / "held.jsonl"
    status, *_ = run(capsys, "export", "--format", platform, "--out", out, "--validation-out", held)
    assert status == 0

    status, told, _ = run(capsys, "tune", platform, out, "--yes", "--json")
    job = workshop.finish(store.find_job(workshop.database, json.loads(told)["id"]))
    assert (status, job.outcome, job.reason) == (0, "succeeded", None)
    assert len((out.read_text() + held.read_text()).splitlines()) == len(THINGS)


def test_cancel_ends_a_job(workshop: Workshop, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "tune", "openai", file, "--yes", "--json")
    status, out, _ = run(capsys, "jobs", "cancel", json.loads(out)["id"])

    assert (status, out.split(": ", 1)[1]) == (0, "cancelled\n")
    assert next(iter(workshop.openai.jobs.values())).cancelled


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tune", "vertex", "FILE", "--yes"], "is in the format openai; Vertex AI takes vertex"),
        (["tune", "openai", "nowhere.jsonl", "--yes"], "nowhere.jsonl.manifest.json: cannot be read"),
        (["tune", "openai", "FILE", "--base", "gpt-0"], "gpt-0: is no base model of ARENA_TUNING_FILE at OpenAI"),
        (["tune", "openai", "FILE", "--set", "beta"], "--set beta: must be KEY=VALUE"),
        (["tune", "openai", "FILE", "--set", "method=x"], "method: no hyperparameter of preference tuning"),
        (["tune", "openai", "FILE", "--set", "n_epochs=few"], "Epochs must be a whole number from 1 on, or auto"),
        (["tune", "openai", "FILE", "--name", "A B"], "a name has at most 40 lower case letters"),
        (["tune", "openai", "FILE", "--json"], "--json needs --yes or --dry-run"),
        (["tune", "openai", "FILE", "--demo"], "An offline demonstration trains nothing"),
        (["jobs", "show", "nothing"], "No job begins with 'nothing'"),
    ],
)
@pytest.mark.usefixtures("workshop")
def test_wrong_use_is_told_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], said: str
) -> None:
    status, _, err = run(capsys, *(str(file) if one == "FILE" else one for one in arguments))

    assert status in (1, 2)
    assert said in err
