"""The management commands, as an operator types them after `python -m arena`."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from arena.cli import main
from arena.config import SHIPPED_DIR
from arena.database import Database
from arena.tables import Winner
from arena.terminal import Progress
from tests.arena_facts import add_models, add_vote
from tests.databases import database_of, environment_of
from tests.scripted_openai import ScriptedOpenAI
from tests.scripting import Fault, Script

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SHIPPED_DIR), "NO_PROXY": "127.0.0.1"}
COMMANDS = (["check"], ["leaderboard"], ["votes", "export"], ["votes", "import"], ["rebuild-counts"])


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command inside this process."""

    def command(*arguments: str) -> Done:
        try:
            status = main(arguments)
        except SystemExit as exit_status:
            status = int(exit_status.code or 0)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return command


def in_a_process(*arguments: str) -> Done:
    """Run a command as an operator does."""
    done = subprocess.run(
        [sys.executable, "-m", "arena", *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def llm() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI({"heron": Script(text="ready"), "wren": Script(text="ready", reasoning="hm")}) as server:
        yield server


def write_roster(path: Path, llm: ScriptedOpenAI, *models: str, **keys: str) -> Path:
    entries = {
        name: {"api_type": "openai", "api_base": llm.url, "model_name": name, "display_name": name.title(), **keys}
        for name in models
    }
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(command: Sequence[str], run: Run) -> None:
    told = run(*command, "--help")

    assert told.status == 0
    assert f"example: python -m arena {' '.join(command)}" in " ".join(told.out.split())


def test_help_imports_nothing_that_takes_long() -> None:
    slow = ("numpy", "sqlalchemy", "pydantic", "choix", "openai", "google.genai", "gradio")
    probe = f"""
        import sys
        from arena.cli import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        sys.stderr.write(",".join(name for name in {slow!r} if name in sys.modules))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(probe)], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "see python -m arena --help"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["leaderboard", "--by", "colour"], "choose from 'model', 'platform', 'version'"),
        (["leaderboard", "--json", "--csv"], "not allowed with"),
        (["votes", "import"], "required: FILE"),
        (["votes", "import", "nowhere.json"], "nowhere.json: cannot be read"),
        (["check", "--models", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["leaderboard", "--database", "mysql://x/y"], "must be sqlite:///FILE or postgresql"),
        (["votes", "export", "--demo"], "never exported"),
        (["votes", "export", "--out", "no/such/folder/votes.csv"], "cannot be written"),
        (["votes", "export", "--out", f"{__file__}/votes.csv"], "cannot be written (Not a directory)"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(arguments: Sequence[str], told: str, run: Run) -> None:
    done = run(*arguments)

    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_process_ends_with_the_status_and_without_a_traceback() -> None:
    done = in_a_process("votes", "import", "nowhere.json")

    assert done == Done(2, "", "nowhere.json: cannot be read (No such file or directory).\n")


def test_an_empty_roster_is_an_unusable_configuration(tmp_path: Path, run: Run) -> None:
    (tmp_path / "models.yaml").write_text("# none yet\n", encoding="utf-8")

    assert run("check") == Done(2, "", "models.yaml: has no models; add at least two.\n")


def test_check_tells_each_models_state_and_time_to_first_token(llm: ScriptedOpenAI, tmp_path: Path, run: Run) -> None:
    roster = write_roster(tmp_path / "models.yaml", llm, "heron", "wren")

    done = run("check", "--models", str(roster))

    assert done.status == 0
    heading, heron, wren = done.out.splitlines()
    assert heading.split("  ")[0] == "Model"
    assert re.fullmatch(r"heron +Local server +\d+\.\d\d s +ready", heron)
    assert re.fullmatch(r"wren +Local server +\d+\.\d\d s +ready", wren)
    assert done.err == ""


def test_check_says_what_to_do_about_a_model_that_does_not_answer(
    llm: ScriptedOpenAI, tmp_path: Path, run: Run
) -> None:
    roster = write_roster(tmp_path / "models.yaml", llm, "heron", "swift", "ibis", "owl", "crow", api_key="secret-key")
    llm.scripts["ibis"] = Script(fault=401)
    llm.scripts["owl"] = Script(fault=429, message="slow down")
    llm.scripts["crow"] = Script(fault=Fault.CUT)

    done = run("check", "--json", "--models", str(roster))

    answer = json.loads(done.out)
    assert (done.status, answer["ready"]) == (1, False)
    told = {model["model"]: model for model in answer["models"]}
    assert told["heron"]["ready"] is True
    assert told["heron"]["first_token_ms"] > 0
    assert "correct model_name" in told["swift"]["reason"]
    assert "check api_key" in told["ibis"]["reason"]
    assert "rate limit" in told["owl"]["reason"]
    assert "stream was cut" in told["crow"]["reason"]
    assert told["owl"]["first_token_ms"] is None
    assert "secret-key" not in done.out + done.err


def test_check_asks_each_model_once(llm: ScriptedOpenAI, tmp_path: Path, run: Run) -> None:
    roster = write_roster(tmp_path / "models.yaml", llm, "heron", "wren")

    run("check", "--models", str(roster))

    assert sorted(request.model for request in llm.requests) == ["heron", "wren"]


def test_check_of_the_shipped_roster_without_keys_names_what_is_missing(run: Run) -> None:
    done = run("check", "--models", str(SHIPPED_DIR / "models.yaml"))

    assert done.status == 1
    assert "OPENAI_API_KEY is not set" in done.out
    assert done.out.count("Vertex AI") == 3


def test_check_of_the_demonstration_needs_no_roster(run: Run) -> None:
    done = run("check", "--demo")

    assert done.status == 0
    assert done.out.count("ready") == 3


@pytest.fixture
def votes(database: Database) -> Database:
    """Two models of different platforms with four votes; the process's default database."""
    (heron,) = add_models(database, "heron", version="2")
    (wren,) = add_models(database, "wren", platform="vertex")
    for winner in Winner:
        add_vote(database, heron, wren, winner)
    add_vote(database, heron, wren, Winner.MODEL_A)
    add_models(database, "ibis")
    return database


def test_the_leaderboard_prints_what_the_page_shows(votes: Database, tmp_path: Path, run: Run) -> None:
    printed = run("leaderboard").out.splitlines()

    assert re.split(r"  +", printed[0]) == ["Rank", "Model", "Platform", "Rating", "95% CI", "Votes", "Win rate"]
    assert re.fullmatch(r"1-2 +Heron +OpenAI +1\d\d\d +\d+ to \d+ \(preliminary\) +5 +60%", printed[1])
    assert re.fullmatch(r"– +Ibis +OpenAI +unrated +0", printed[3])
    assert printed[-1] == "5 votes by 1 voter"


def test_the_leaderboard_by_a_criterion_shows_one_version_of_the_rubric(votes: Database, run: Run) -> None:
    heron, wren = add_models(votes, "kite", "dove")
    for version, winner in (("coaia-1", "model_a"), ("coaia-0", "model_b")):
        criteria = {"natural-advancement": winner}
        add_vote(votes, heron, wren, Winner.TIE, criteria=criteria, rubric_version=version)

    def best(criterion: str) -> str:
        answer = json.loads(run("leaderboard", "--json", "--criterion", criterion).out)
        assert answer["computed_from"]["votes"] == 1
        return str(answer["standings"][0]["model"])

    assert best("natural-advancement") == "kite"
    assert best("natural-advancement@coaia-0") == "dove"
    refused = run("leaderboard", "--criterion", "beauty")
    assert refused.status == 2
    assert refused.err.startswith("There is no criterion 'beauty'; accepted are structural-tension, desired-outcomes")


def test_the_leaderboard_as_json_and_csv_and_by_platform(votes: Database, tmp_path: Path, run: Run) -> None:
    answer = json.loads(run("leaderboard", "--json", "--by", "platform").out)
    table = list(csv.DictReader(io.StringIO(run("leaderboard", "--csv").out)))

    assert answer["computed_from"] == {"votes": 5, "people": 1, "sequence": 5}
    assert [row["display_name"] for row in answer["standings"]] == ["OpenAI", "Vertex AI"]
    assert [row["model"] for row in table] == ["heron", "wren", "ibis"]
    assert (table[0]["version"], table[0]["wins"], table[2]["rating"]) == ("2", "2", "")


def test_votes_travel_from_one_arena_to_another_and_are_counted_once(votes: Database, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "2026-01-31-conv.json"
    exported = run("votes", "export", "--format", "fastchat", "--out", str(log), "--data", "data")
    assert (exported.status, exported.out) == (0, "")
    assert exported.err == f"Wrote 5 votes to {log}.\n"

    elsewhere = ("--data", "elsewhere", "--database", database_of(tmp_path / "elsewhere"))
    first = run("votes", "import", str(log), *elsewhere)
    again = run("votes", "import", str(log), *elsewhere, "--json")
    own = run("votes", "import", str(log), "--data", "data")

    assert (first.status, first.out) == (0, "read 5, imported 5, skipped 0\n")
    assert json.loads(again.out)["skipped"] == {"already imported": 5}
    assert own.out == "read 5, imported 0, skipped 5\n  skipped 5: this arena's own vote\n"
    assert "5 votes by 1 voter" in run("leaderboard", *elsewhere).out


@pytest.mark.sqlite
def test_an_export_that_fails_leaves_the_old_file_alone(votes: Database, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "votes.csv"
    out.write_text("the old file", encoding="utf-8")
    votes.close()
    with (tmp_path / "data" / "arena.db").open("r+b") as file:
        file.write(b"no database any more")

    assert run("votes", "export", "--out", str(out), "--data", "data").status != 0

    assert out.read_text(encoding="utf-8") == "the old file"
    assert list(tmp_path.glob(".*.part")) == []


def test_rebuilding_the_counts_says_how_many_votes_were_counted(votes: Database, tmp_path: Path, run: Run) -> None:
    counted, moments = run("rebuild-counts").out.splitlines()
    assert counted == "5 votes counted"
    assert moments.endswith("of the ratings' history worked out")


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, run: Run) -> None:
    table = tmp_path / "votes.csv"
    table.write_text("model_a,model_b,winner\n" + "gull,tern,tie\n" * 3000, encoding="utf-8")
    run("votes", "import", str(table), "--data", "data")

    command = f"{sys.executable} -m arena votes export --format jsonl --data data | head -1"
    environment = {**ENVIRONMENT, **environment_of(tmp_path / "data")}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["winner"] == "tie"
    assert done.stderr == ""


def test_progress_is_shown_on_a_terminal_after_two_seconds_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 2.5, 2.55, 3.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    keyboard, screen = pty.openpty()
    with os.fdopen(screen, "w") as terminal:
        bar = Progress("Importing", terminal)
        for share in (0.1, 0.5, 0.52, 1.0):
            bar(share)
        bar.clear()
        shown = ""
        while "100%" not in shown or not shown.endswith("\r\x1b[K"):  # a terminal hands on what it has so far
            shown += os.read(keyboard, 10_000).decode()
    os.close(keyboard)

    assert re.findall(r"(\d+)%", shown) == ["50", "100"]
    assert shown.endswith("\r\x1b[K")


def test_progress_is_silent_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 5.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments, 9.0))
    pipe = io.StringIO()

    bar = Progress("Importing", pipe)
    bar(0.5)
    bar.clear()

    assert pipe.getvalue() == ""
