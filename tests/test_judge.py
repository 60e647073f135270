"""A judge model scores pairs of answers over real sockets: cached, bounded by a budget, resumable, apart from votes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from arena.campaigns.arrivals import Arrivals
from arena.campaigns.judging import Judging
from arena.cli import main
from arena.config import SHIPPED_DIR
from arena.database import Database
from arena.leaderboard import Leaderboard
from arena.tables import Battle, JudgeVerdict, ModelRevision, PairCount, Vote, Winner
from arena.voters import VoterIdentity
from tests.campaign_facts import add_campaign
from tests.databases import environment_of
from tests.judge_facts import add_pairs, good_one, material_in, prefers, says, write_judged_arena
from tests.scripted_openai import ScriptedOpenAI, latest_prompt
from tests.scripting import Behaviour, Fault, Recorded, Script

Judge = Callable[..., int]


@pytest.fixture
def llm() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI({"owl": Script(text=prefers(good_one))}) as server:
        yield server


@pytest.fixture
def roster(tmp_path: Path, llm: ScriptedOpenAI) -> Path:
    return write_judged_arena(tmp_path / "data", llm)


@pytest.fixture
def judge(roster: Path) -> Judge:
    """Run `judge` inside this process; a second try comes at once."""
    return lambda *arguments: main(["judge", "--yes", "--models", str(roster), *arguments])


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    from arena.judge import asking

    monkeypatch.setattr(asking, "FIRST_WAIT_S", 0.01)


def stored(database: Database) -> Sequence[JudgeVerdict]:
    with database.read() as session:
        return session.scalars(select(JudgeVerdict).order_by(JudgeVerdict.pair, JudgeVerdict.swapped)).all()


def votes(database: Database) -> Sequence[Vote]:
    with database.read() as session:
        return session.scalars(select(Vote)).all()


def start(roster: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Begin to judge in another process, one question at a time."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SHIPPED_DIR), "NO_PROXY": "127.0.0.1"}
    environment |= environment_of(folder / "data")
    command = [sys.executable, "-m", "arena", "judge", "--yes", "--at-once", "1"]
    command += ["--models", str(roster), "--data", str(folder / "data")]

    def hear_interrupts() -> None:
        """Also where the tests run in a shell's background, whose programs are told to ignore them."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=pipe, stderr=pipe, preexec_fn=hear_interrupts)


def in_turn(*scripts: Script) -> Behaviour:
    """A script for each question in its turn; the last one stays."""
    left = list(scripts)
    return lambda request: left.pop(0) if len(left) > 1 and request.method == "POST" else left[0]


def test_each_pair_is_asked_in_both_orders_with_the_rubric_and_the_form_and_never_twice(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 2)

    assert judge() == 0
    assert judge() == 0

    assert "Nothing is left to ask." in capsys.readouterr().out
    shown = [material_in(latest_prompt(request)) for request in llm.requests]
    good, poor = "A good answer {}.", "A poor answer {}."
    expected = [tuple(text.format(n) for text in order) for n in range(2) for order in ((good, poor), (poor, good))]
    assert sorted(shown) == sorted(expected)
    body = llm.requests[0].body
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["reason", "criteria", "overall"]
    assert "Which answer is clearer?" in latest_prompt(llm.requests[0])
    rows = stored(database)
    assert {(row.winner, row.criteria["clarity"]) for row in rows} == {
        (Winner.MODEL_A, "model_a"),
        (Winner.MODEL_B, "model_b"),
    }
    assert all(row.cost_usd == pytest.approx(row.input_tokens / 1e6 + row.output_tokens / 1e5) for row in rows)


def test_a_judge_moves_no_count_no_vote_and_no_row_of_the_leaderboard(judge: Judge, database: Database) -> None:
    def state() -> tuple[object, ...]:
        with database.read() as session:
            tables = [session.execute(select(table.__table__)).all() for table in (PairCount, Vote, ModelRevision)]
        answer = Leaderboard(database).refresh().as_json()
        answer.pop("computed_at", None)
        return (*tables, answer)

    add_pairs(database, 3)
    before = state()

    assert judge() == 0

    assert len(stored(database)) == 6
    assert state() == before


def test_a_verdict_that_cannot_be_read_is_asked_for_once_more_and_then_told_as_failed(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 1)
    good = Script(text=says("A", "B"))
    llm.scripts["owl"] = in_turn(Script(text="A is clearly better"), good, Script(text='{"overall": "A"}'))

    assert judge("--at-once", "1") == 1

    told = capsys.readouterr().out
    assert "1 verdict, 1 failed, 0 left" in told
    assert "1 failed: The judge's verdict could not be read: the criterion clarity is missing." in told
    assert [message["role"] for message in llm.requests[1].body["messages"]] == ["user", "assistant", "user"]
    assert sorted((row.failure or "", row.attempts) for row in stored(database)) == [("", 2), ("malformed", 2)]

    assert judge() == 1, "a lasting failure is told, and not asked for again"
    assert "1 question failed for good before; --again asks them once more." in capsys.readouterr().err
    assert len(llm.requests) == 4
    llm.scripts["owl"] = good
    assert judge("--again") == 0
    assert [row.failure for row in stored(database)] == [None, None]
    assert sorted(row.attempts for row in stored(database)) == [2, 3]


def test_a_refusal_is_told_and_not_asked_for_again(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 1)
    llm.scripts["owl"] = Script(text="I'm sorry, but I can't help with judging people.")

    assert judge() == 1

    assert "2 failed: The judge declined to judge." in capsys.readouterr().out
    assert [row.failure for row in stored(database)] == ["blocked", "blocked"]
    assert len(llm.requests) == 2


def test_a_rate_limit_is_waited_out_and_a_long_one_ends_the_run_in_order(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 2)
    good = Script(text=prefers(good_one))
    llm.scripts["owl"] = in_turn(Script(fault=429, retry_after_s=0.2), good, Script(fault=429, retry_after_s=3600))

    assert judge("--at-once", "1") == 1

    assert llm.requests[1].arrived_at - llm.requests[0].arrived_at >= 0.2
    told = capsys.readouterr().out
    assert "1 verdict, 0 failed, 3 left" in told
    assert "asks to be left alone for 3,600 seconds" in told
    llm.scripts["owl"] = good
    assert judge() == 0
    assert len(stored(database)) == 4


def test_a_server_that_keeps_failing_ends_the_run_and_its_questions_are_asked_again_the_next_time(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 4)
    llm.scripts["owl"] = Script(fault=503)

    assert judge("--at-once", "1") == 1

    assert "Stopped: 5 questions in a row failed" in capsys.readouterr().out
    assert [row.failure for row in stored(database)] == ["server_error"] * 5
    llm.scripts["owl"] = Script(text=prefers(good_one))
    assert judge() == 0
    assert [row.failure for row in stored(database)] == [None] * 8


def test_a_budget_ends_the_run_before_it_is_passed_and_says_what_is_left(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 5)
    llm.scripts["owl"] = Script(text=says("even"), claimed_tokens=1500)

    assert judge("--budget", "0.06") == 1

    told = capsys.readouterr().out
    spent = sum(row.cost_usd or 0 for row in stored(database))
    assert 0.03 < spent <= 0.06
    assert f"{len(stored(database))} verdicts, 0 failed, {10 - len(stored(database))} left" in told
    assert "The budget does not allow a further request." in told


def test_one_campaign_is_judged_alone_before_anybody_opened_it_and_nothing_again_when_somebody_does(
    judge: Judge, database: Database, llm: ScriptedOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    add_pairs(database, 1, Winner.MODEL_B)
    add_campaign(database, models=("heron", "wren"), prompts=2)
    llm.scripts["owl"] = Script(text=prefers(lambda a, b: "A" if a.startswith("heron") else "B"))
    everything = ("--campaign", "spring", "--scope", "all")

    assert judge("--campaign", "autumn") == 2
    assert judge("--campaign", "spring") == 0
    assert stored(database) == []
    told = capsys.readouterr().err
    assert "There is no campaign autumn" in told
    assert "`--scope all` takes pairs that nobody voted on, too." in told
    assert judge(*everything) == 0
    assert "owl: 4 questions about 2 pairs" in capsys.readouterr().err
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Battle)) == 1, "nobody's battle was made"

    asyncio.run(vote_against_the_heron(database))
    assert judge(*everything) == judge("--campaign", "spring") == 0

    assert capsys.readouterr().out.endswith("Nothing is left to ask.\n" * 2)
    assert len(llm.requests) == 4
    assert main(["judge", "status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    judged = status["judges"][0]
    assert (judged["verdicts"], judged["pairs"], judged["requests"]) == (4, 2, 4)
    differences = status["agreement"][0]["differences"]
    assert {one["battle"] for one in differences} <= {vote.battle_id for vote in votes(database)}
    assert [{one["people"], one["judge"]} for one in differences] == [{"A", "B"}] * 2
    assert main(["judge", "status", "--list"]) == 0
    assert "owl: 2 differences from most people" in capsys.readouterr().out
    assert main(["judge", "status"]) == 0
    assert "Too few pairs to tell whether the judge agrees with people" in capsys.readouterr().out


async def vote_against_the_heron(database: Database) -> None:
    """Open and judge every pair of the campaign, as a voter does."""
    arrivals = Arrivals(per_minute=1000)
    judging = Judging(database=database, leaderboard=Leaderboard(database), arrivals=arrivals, demo=False)
    while (view := await judging.next("spring", VoterIdentity("ben"))).battle is not None:
        heron_is_a = view.battle.turns[0].answers[0].startswith("heron")
        winner = Winner.MODEL_B if heron_is_a else Winner.MODEL_A
        await judging.vote(view.battle.battle_id, VoterIdentity("ben"), winner)


@pytest.mark.slow
def test_an_interrupted_run_says_what_it_did_and_how_to_go_on(
    roster: Path, database: Database, llm: ScriptedOpenAI, tmp_path: Path
) -> None:
    add_pairs(database, 1)
    llm.scripts["owl"] = Script(text=says("A"), fault=Fault.STALL_FIRST)
    with start(roster, tmp_path) as running:
        llm.wait_for(lambda server: server.stalled["owl"] == 1, 60)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()

    assert running.returncode == 130
    assert b"0 verdicts, 0 failed, 2 left" in out
    assert b"Interrupted. What was judged is stored; the same command goes on from there." in err
    assert b"Traceback" not in err


def test_a_budget_without_a_price_and_a_judge_that_is_none_are_refused_in_a_sentence(
    judge: Judge, database: Database, llm: ScriptedOpenAI, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_judged_arena(tmp_path / "data", llm, price=None)

    assert judge("--budget", "1") == 2
    assert judge("--judge", "heron") == 2
    told = capsys.readouterr().err
    assert "owl has no price in the roster" in told
    assert "the entries with `role: judge` are: owl" in told
    assert llm.requests == ()


def test_a_server_that_refuses_the_form_is_asked_in_words_alone(
    judge: Judge, database: Database, llm: ScriptedOpenAI
) -> None:
    add_pairs(database, 2)
    llm.scripts["owl"] = Script(text=lambda prompt: f"```json\n{says('A')}\n```", refuses=("response_format",))

    assert judge("--at-once", "1") == 0

    assert ["response_format" in request.body for request in llm.requests] == [True, False, False, False, False]
    assert len(stored(database)) == 4


def test_tokens_that_the_platform_does_not_tell_are_counted_by_the_bytes(
    judge: Judge, database: Database, llm: ScriptedOpenAI
) -> None:
    add_pairs(database, 1)
    llm.scripts["owl"] = Script(text=says("A"), usage=False)

    assert judge() == 0

    row = stored(database)[0]
    assert row.estimated
    assert row.output_tokens == -(-len(says("A").encode()) // 4)
    assert row.input_tokens == -(-len(latest_prompt(llm.requests[0]).encode()) // 4)


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_asks_nothing_twice(
    judge: Judge, roster: Path, database: Database, llm: ScriptedOpenAI, tmp_path: Path
) -> None:
    add_pairs(database, 3)

    def stalls_on_the_last(request: Recorded) -> Script:
        late = "Question 0?" in latest_prompt(request)  # the newest pairs come first
        return Script(text=prefers(good_one), fault=Fault.STALL_FIRST if late else None)

    llm.scripts["owl"] = stalls_on_the_last
    running = start(roster, tmp_path)
    try:
        llm.wait_for(lambda server: server.stalled["owl"] == 1, 60)
        assert judge() == 2, "two commands at once would ask twice"
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()
    assert len(stored(database)) == 4

    llm.scripts["owl"] = Script(text=prefers(good_one))
    assert judge() == 0

    assert len(stored(database)) == 6
    asked = [json.dumps(request.body["messages"]) for request in llm.requests]
    assert len(asked) == 7
    assert len(set(asked)) == 6, "only what was cut off is asked for again"
