"""Somebody with a script against the whole arena: what they reach, what they are told, what is counted and logged."""

import io
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from sqlalchemy import event, select

from arena.logs import PrintedLines, start_log
from arena.monitoring import Monitor
from arena.refusals import Refusals
from arena.tables import Battle, Vote
from tests.scripted_visitor import ScriptedVisitor
from tests.scripting import Script
from tests.ui_fixtures import NAMES, Site, arena_site, shared_site, site

__all__ = ["shared_site", "site"]
SECRET_FILE = "the content of a file that nobody may read"


def newest_battle(site: Site) -> str:
    """The id of the battle that was started last."""
    with site.parts.database.read() as session:
        return session.scalars(select(Battle.id).order_by(Battle.created_at.desc())).first() or ""


def refused(site: Site, reason: str) -> int:
    return site.parts.refusals.by_reason().get(reason, 0)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that an arena logs at its most talkative, as JSON lines."""
    root, arena, stderr = logging.getLogger(), logging.getLogger("arena"), sys.stderr
    before = root.handlers[:], root.level, arena.level
    stream = io.StringIO()
    start_log(logging.StreamHandler(stream), "debug", "json")
    yield stream
    sys.stderr = stderr
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    arena.setLevel(before[2])


def test_another_ones_battle_takes_no_vote_and_a_vote_is_not_replayed(site: Site, log: io.StringIO) -> None:
    with ScriptedVisitor(site.url) as anna, ScriptedVisitor(site.url) as ben:
        anna.fight("Whose is this?")
        battle = newest_battle(site)
        before = {reason: refused(site, reason) for reason in ("not_yours", "voted_already")}

        for forged in (battle, "0" * 32, "../../etc/passwd", "x' OR 1=1 --", battle.upper(), ""):
            assert "is not yours" in ben.vote(forged)
        assert "Quartz Nine" in anna.vote(battle)
        for winner in ("model_a", "model_b", "tie"):
            assert "has its vote already" in anna.vote(battle, winner)

    assert refused(site, "not_yours") - before["not_yours"] == 6
    assert refused(site, "voted_already") - before["voted_already"] == 3
    with site.parts.database.read() as session:
        assert session.get_one(Vote, battle).winner == "model_a"
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [line for line in lines if line["logger"] == "arena.refusals"]
    assert {line["message"].split(" (")[0] for line in told} == {"refused: not_yours", "refused: voted_already"}
    assert {line["battle"] for line in told} == {battle}
    assert "etc/passwd" not in log.getvalue()


def test_a_forged_vote_is_refused_and_counted_on_every_page_that_has_votes(site: Site) -> None:
    before = refused(site, "not_yours")
    with ScriptedVisitor(site.url) as stranger:
        buttons = {part["id"] for part in stranger.config["components"] if part["props"].get("elem_id") == "vote-tie"}
        votes = [d for d in stranger.config["dependencies"] if buttons & {target for target, _ in d["targets"]}]
        assert len(votes) == 3  # Battle, Side by side, Campaign
        for function in votes:
            for forged in ("0" * 32, None, 7, ["0" * 32]):
                told = stranger.call(function, [forged, *[None] * (len(function["inputs"]) - 1)])
                assert not any(name in told for name in NAMES.values())
            assert refused(site, "not_yours") > before
            before = refused(site, "not_yours")


def test_the_operator_reads_how_much_was_refused_and_why(site: Site) -> None:
    with ScriptedVisitor(site.url) as stranger:
        stranger.client.get("/gradio_api/file=/etc/passwd")
        stranger.client.post("/gradio_api/queue/join", json={}, headers={"Origin": "https://evil.example"})
        stranger.client.post("/login", data={"password": "guess"})
        assert stranger.client.post("/login", data={"password": "open, please"}).status_code == 303
        figures = stranger.client.get("/metrics").text

    for reason in ("no_such_address", "other_site", "wrong_password"):
        assert re.search(rf'arena_refused_calls_total{{reason="{reason}"}} [1-9]', figures)


def test_no_file_is_read_and_no_address_fetched_for_a_stranger(site: Site, tmp_path: Path) -> None:
    """Gradio turns some JSON objects into files: it must do so neither from this machine nor from any other."""
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET_FILE)
    meta = {"_type": "gradio.FileData"}
    baits = [
        {"path": str(secret), "meta": meta},
        {"path": site.llm.origin + "/bait", "url": site.llm.origin + "/bait", "meta": meta},
        {"path": "bait", "url": f"file://{secret}", "meta": meta},
        [{"role": "user", "content": {"path": str(secret), "meta": meta}}],
    ]
    with ScriptedVisitor(site.url) as stranger:
        asked = len(site.llm.requests)
        send = stranger.function("send")
        for bait in baits:
            for told in (*stranger.tell(send, [bait]), *stranger.tell(send, [[[bait]]]), stranger.vote(bait)):
                assert SECRET_FILE not in told
                assert not re.search(r"gradio/\w{20,}", told)  # where Gradio would keep a copy
                assert "Traceback" not in told

    assert [request.path for request in site.llm.requests[asked:] if "bait" in request.path] == []
    assert refused(site, "no_plain_values") == len(baits) * 5


def test_an_error_tells_a_visitor_nothing_and_the_log_nothing_of_the_visitor(
    site: Site, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """The database fails under a battle: the statement holds the prompt, the traceback the machine's folders."""

    def fail(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("INSERT INTO prompts"):
            _connection.connection.execute("INSERT INTO no_such_table VALUES (1)")  # type: ignore[attr-defined]

    event.listen(site.parts.database.engine, "before_cursor_execute", fail)
    try:
        with ScriptedVisitor(site.url) as stranger:
            told = stranger.fight("a prompt to keep private")
    finally:
        event.remove(site.parts.database.engine, "before_cursor_execute", fail)

    for secret in ("no_such_table", "sqlite", "Traceback", "site-packages", "arena/", str(Path.home())):
        assert secret not in told
    everything = log.getvalue() + "".join(capfd.readouterr())
    assert "keep private" not in everything


def test_whoever_provokes_the_same_error_again_and_again_does_not_fill_the_log(
    site: Site, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Monitor) -> None:
        raise OSError("a mistake of ours")

    monkeypatch.setattr(Monitor, "health", broken)
    before = refused(site, "mistake")
    with ScriptedVisitor(site.url) as stranger:
        for _ in range(20):
            assert stranger.client.get("/healthz").text == "Internal Server Error"
            stranger.client.get("/", headers={"Connection": "Upgrade", "Upgrade": "websocket"})

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["message"].split(" in ")[0] for line in lines if line["level"] == "error"] == ["An unexpected OSError"]
    assert refused(site, "mistake") == before + 20
    assert [line for line in lines if line["logger"].startswith("uvicorn")] == []


def test_what_a_page_that_is_out_of_date_sends_is_not_in_the_log(
    site: Site, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its prompt comes where a choice is expected, or with too few values: Gradio would print it."""
    before = refused(site, "mistake")
    with ScriptedVisitor(site.url) as stranger:
        function = stranger.function("vote-model_a")
        told = [stranger.hear(function, ["marker of a prompt"])]
        assert refused(site, "mistake") == before + 1
        told += [stranger.call(function, ["marker of a prompt"])]
        assert refused(site, "mistake") == before + 2
        told += stranger.tell(function, ["marker of a prompt"] * 99)
        radios = [d for d in stranger.config["dependencies"] if len(d["inputs"]) > 1]
        told += [stranger.call(d, ["marker of a prompt"] * len(d["inputs"])) for d in radios]

    everything = log.getvalue() + "".join(capfd.readouterr())
    assert "An unexpected ValueError" in everything
    assert "marker of a prompt" not in everything
    assert not any(secret in str(told) for secret in ("Traceback", "site-packages", "arena/"))


def test_the_log_knows_battles_but_no_prompt_no_answer_no_key_and_no_address(
    tmp_path: Path, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """A battle with failures whose messages repeat the prompt and the key, over a proxy that tells the address."""
    key, address = "sk-marker-of-a-key-4711", "203.0.113.77"
    prompt = "marker of a prompt: my neighbour's name is Quillfeather"
    models = {model: {"api_key": key} for model in NAMES}
    with arena_site(tmp_path, models=models, forwarded_hops=1, log_level="debug") as site:
        site.script(Script(fault=500, message=f"Cannot answer '{prompt}' for {key}"), "velvet-77")
        site.script(Script(text="marker of an answer " * 20), "quartz-9000")
        with ScriptedVisitor(site.url, headers={"X-Forwarded-For": address}) as stranger:
            stranger.fight(prompt)
            battle = newest_battle(site)
            stranger.vote(battle)
            cookie = stranger.client.cookies["arena_voter"]

    logged = log.getvalue()
    lines = [json.loads(line) for line in logged.splitlines()]
    failures = [line for line in lines if line["logger"] == "arena.fleet" and "server_error" in line["message"]]
    assert failures
    assert {line["battle"] for line in failures} == {battle}
    assert all("Cannot answer '…" in line["message"] for line in failures)
    everything = logged + "".join(capfd.readouterr())
    for secret in ("Quillfeather", "marker of a prompt", "marker of an answer", key, address, cookie):
        assert secret not in everything


def test_a_line_of_the_log_is_one_json_object_also_for_what_libraries_print(log: io.StringIO) -> None:
    logging.getLogger("arena").info("two\nlines", extra={"battle": "b" * 32})
    with redirect_stderr(PrintedLines(logging.getLogger("stderr"))):
        try:
            raise ValueError("unexpected")
        except ValueError:
            traceback.print_exc()

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert lines[0]["message"] == "two\nlines"
    assert lines[0]["battle"] == "b" * 32
    assert lines[-1]["logger"] == "stderr"
    assert lines[-1]["message"] == "ValueError: unexpected"


def test_a_refusal_that_comes_often_is_told_seldom(log: io.StringIO) -> None:
    now = [100.0]
    refusals = Refusals(clock=lambda: now[0])
    for _ in range(50):
        refusals.count("not_yours", "no id\nof a battle")
    now[0] += 10
    refusals.count("not_yours", ["no text"])

    assert refusals.by_reason() == {"not_yours": 51}
    messages = [json.loads(line)["message"] for line in log.getvalue().splitlines()]
    assert messages == [
        "refused: not_yours (1 times since this was last said)",
        "refused: not_yours (50 times since this was last said)",
    ]
