"""`python -m arena campaign …`: what each command prints, and its exit status."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from arena.campaigns.arrivals import Arrivals
from arena.campaigns.judging import Judging
from arena.cli import main
from arena.config import load_settings
from arena.database import open_database
from arena.leaderboard import Leaderboard
from arena.tables import Winner
from arena.voters import VoterIdentity

Run = Callable[..., tuple[int, str, str]]
CREATE = ("create", "--name", "Spring review", "--challenges", "--limit", "1", "--voters", "2")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: str) -> tuple[int, str, str]:
        status = main(["campaign", *arguments, "--demo", "--data", str(tmp_path / "data")])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run_command


@pytest.mark.slow
def test_a_campaign_from_its_making_to_its_end(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No campaigns yet" in run("status")[1]
    made = run(*CREATE)
    assert made[0] == 0
    assert "1 prompt, 3 models, 3 items, 6 votes asked for, 3 answers to be had" in made[1]
    assert "/campaign?id=spring-review" in made[1]

    filled = run("fill", "spring-review", "--budget-tokens", "50000")
    assert filled[0] == 0
    assert filled[1].startswith("3 answers stored, 0 missing")
    assert filled[2] == ""

    settings = load_settings(data_dir=tmp_path / "data", demo=True)
    database = open_database(settings.resolved_database_url)
    judging = Judging(database=database, leaderboard=Leaderboard(database), arrivals=Arrivals(per_minute=20), demo=True)
    view = asyncio.run(judging.next("spring-review", VoterIdentity("anna")))
    assert view.battle is not None
    asyncio.run(judging.vote(view.battle.battle_id, VoterIdentity("anna"), Winner.TIE))
    database.close()

    status = json.loads(run("status", "spring-review", "--json")[1])
    assert status["votes"] == {"given": 1, "asked": 6, "repeats": 0, "voters": 1}
    assert status["budget"]["tokens"] == 50000
    assert "being judged" in run("status")[1]
    assert "by 1 voter, counted on the leaderboard" in run("status", "spring-review")[1]
    assert "see the names now" in run("end", "spring-review")[1]
    assert run("fill", "spring-review")[0] == 2
    assert run("reopen", "spring-review") == (0, "spring-review is open.\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("status", "summer"), "There is no campaign 'summer' yet."),
        ((*CREATE, "--between", "demo-inspiration"), "at least two different models"),
        ((*CREATE, "--between", "demo-inspiration", "gpt-9"), "gpt-9 is neither in the roster nor"),
        ((*CREATE, "--pairs-per-prompt", "2"), "only for pairs that are drawn"),
        ((*CREATE, "--repeats", "2"), "from 0 to 1"),
        ((*CREATE, "--id", "Spring!"), "small letters, digits and hyphens"),
        (("create", "--name", "x", "--prompts", "none.yaml"), "cannot be read as text"),
        (("fill", "summer", "--at-once", "0"), "--at-once must be from 1 to 64"),
    ],
)
def test_wrong_use_is_one_sentence_and_stores_nothing(arguments: tuple[str, ...], sentence: str, run: Run) -> None:
    status, out, told = run(*arguments)

    assert status == 2
    assert sentence in told
    assert out == ""
    assert "Traceback" not in told
    assert "No campaigns yet" in run("status")[1]


def test_answers_from_elsewhere_fill_a_campaign_as_asking_would(run: Run, tmp_path: Path) -> None:
    run(
        "create", "--name", "x", "--challenges", "--limit", "1", "--between", "demo-inspiration", "demo-problem-solving"
    )
    file = tmp_path / "answers.jsonl"
    file.write_text('{"prompt": "nowhere", "model": "demo-inspiration", "answer": "Fly."}\nnot JSON\n')

    status, out, told = run("import-answers", "x", str(file))

    assert status == 1
    assert out == "read 2, imported 0, skipped 1\n  skipped 1: no such prompt in this campaign\n"
    assert f"{file}:2:" in told
