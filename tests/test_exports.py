"""Exports: every vote with its battle, in three formats, and back again through the importer."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arena.counts import read_counts
from arena.database import Database, open_database
from arena.exports import ExportReport, Format, export_votes
from arena.imports import import_votes
from arena.leaderboard import Leaderboard
from arena.tables import Answer, Conversation, Mode, VoteState, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote
from tests.databases import database_of

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
TURNS = (("Name a bird.", "A heron.", "A wren,\nor two."), ("Another?", 'A "gull".', "None; 日本の鳥."))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Database]:
    """Another arena's database."""
    store = open_database(database_of(tmp_path / "elsewhere"))
    yield store
    store.close()


def exported(database: Database, file_format: Format) -> tuple[str, ExportReport]:
    out = io.StringIO(newline="")
    report = export_votes(database, file_format, out)
    return out.getvalue(), report


def lines(database: Database, file_format: Format) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in exported(database, file_format)[0].splitlines()]


def test_json_lines_hold_the_whole_battle(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren", family="birds")
    battle = add_vote(
        any_database,
        heron,
        wren,
        Winner.MODEL_B,
        turns=TURNS,
        criteria={"clarity": "tie"},
        rubric_version="2",
        voter="anna",
        at=AT,
    )

    (record,) = lines(any_database, "jsonl")

    assert (record["battle_id"], record["mode"], record["winner"]) == (battle, "battle", "model_b")
    assert (record["model_a"], record["model_b"], record["voter"], record["turn"]) == ("heron", "wren", "anna", 2)
    assert (record["rated"], record["anonymous"], record["state"]) == (True, True, "counted")
    assert (record["criteria"], record["rubric_version"]) == ({"clarity": "tie"}, "2")
    assert datetime.fromisoformat(record["voted_at"]) == AT
    assert record["prompts"] == ["Name a bird.", "Another?"]
    side = record["sides"]["b"]
    assert (side["platform"], side["api_name"], side["family"], side["revision"]) == ("openai", "wren", "birds", 1)
    assert [turn["text"] for turn in side["turns"]] == ["A wren,\nor two.", "None; 日本の鳥."]
    assert side["turns"][0]["sampling"]["temperature"] == 0.7


def test_csv_has_a_row_a_vote_and_survives_line_breaks_and_quotes(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.TIE, turns=TURNS)
    add_vote(database, wren, heron, Winner.BOTH_BAD)

    first, second = csv.DictReader(io.StringIO(exported(database, "csv")[0]))

    assert (first["model_a"], first["winner"], second["winner"]) == ("heron", "tie", "both_bad")
    conversation = json.loads(first["conversation_b"])
    assert [message["role"] for message in conversation] == ["user", "assistant"] * 2
    assert conversation[1]["content"] == "A wren,\nor two."
    assert json.loads(first["conversation_a"])[3]["content"] == 'A "gull".'


def test_a_fastchat_line_hides_the_models_of_an_anonymous_battle_only(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A, turns=TURNS, at=AT)
    add_vote(database, heron, wren, Winner.TIE, mode=Mode.SIDE_BY_SIDE, rated=False)

    blind, named = lines(database, "fastchat")

    assert (blind["type"], blind["models"], blind["tstamp"]) == ("leftvote", ["", ""], AT.timestamp())
    assert (named["type"], named["models"]) == ("tievote", ["heron", "wren"])
    left = blind["states"][0]
    assert set(left) == {
        "template_name",
        "system_message",
        "roles",
        "messages",
        "offset",
        "conv_id",
        "model_name",
    }
    assert left["model_name"] == "heron"
    assert left["messages"][:2] == [["user", "Name a bird."], ["assistant", "A heron."]]
    assert left["conv_id"] != blind["states"][1]["conv_id"]


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "fastchat"])
def test_withdrawn_votes_and_demonstration_battles_are_never_written(database: Database, file_format: Format) -> None:
    heron, wren = add_models(database, "heron", "wren")
    (robot,) = add_models(database, "robot", platform="demo")
    withdraw_vote(database, add_vote(database, heron, wren, Winner.MODEL_A))
    add_vote(database, heron, robot, Winner.MODEL_A, rated=False)
    add_vote(database, heron, wren, Winner.MODEL_B)

    text, report = exported(database, file_format)

    assert report.written == 1
    assert report.left_out == {"withdrawn by the voter": 1, "a demonstration model took part": 1}
    assert "robot" not in text


def test_an_excluded_vote_says_so_or_is_left_out(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A, rated=False, state=VoteState.EXCLUDED)

    (record,) = lines(database, "jsonl")

    assert (record["state"], record["rated"]) == ("excluded", False)
    assert exported(database, "fastchat")[1].written == 0


def test_a_shared_history_comes_before_the_turns(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A)
    with database.write() as session:
        conversation = session.query(Conversation).one()
        conversation.history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."}]

    (line,) = lines(database, "fastchat")

    for state in line["states"]:
        assert state["messages"][:3] == [["user", "Hello"], ["assistant", "Good day."], ["user", "Name a bird."]]


def test_more_votes_than_one_portion_come_in_order_and_progress_reaches_the_end(
    database: Database, tmp_path: Path
) -> None:
    table = tmp_path / "votes.csv"
    table.write_text("model_a,model_b,winner\n" + "gull,tern,model_a\n" * 1201, encoding="utf-8")
    import_votes(database, [table], secret="s")
    shares: list[float] = []
    out = io.StringIO()

    report = export_votes(database, "jsonl", out, shares.append)

    sequences = [json.loads(line)["sequence"] for line in out.getvalue().splitlines()]
    assert report.written == len(sequences) == 1201
    assert sequences == sorted(set(sequences))
    assert shares[-1] == 1


def test_an_empty_arena_exports_a_heading_and_nothing_else(database: Database) -> None:
    assert exported(database, "csv")[0].startswith("battle_id,model_a,model_b,winner,")
    assert exported(database, "jsonl") == ("", ExportReport())


def standings_of(database: Database) -> list[tuple[object, ...]]:
    rows = Leaderboard(database).standings().rows
    return [(r.model_id, r.rank, round(r.rating or 0, 6), r.votes, r.wins, r.ties, r.both_bad, r.people) for r in rows]


def fill(database: Database) -> None:
    """Votes of every kind, by two voters, one of them on an answer that gives its writer away."""
    heron, wren, ibis = add_models(database, "heron", "wren", "ibis")
    for winner in Winner:
        add_vote(database, heron, wren, winner, turns=TURNS, voter="anna", at=AT)
        add_vote(database, ibis, heron, winner, voter="ben", at=AT)
    add_vote(database, wren, ibis, Winner.MODEL_A, at=AT)
    add_vote(database, wren, ibis, Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False, at=AT)
    leak = "I am a language model made by OpenAI."
    add_vote(database, wren, ibis, Winner.MODEL_A, rated=False, turns=(("Who are you?", leak, "A bird."),), at=AT)
    with database.write() as session:
        for answer in session.query(Answer).where(Answer.text == leak):
            answer.identity_findings = [leak]


@pytest.mark.parametrize(("file_format", "name"), [("fastchat", "2026-03-01-conv.json"), ("csv", "votes.csv")])
def test_what_is_exported_can_be_imported_elsewhere_with_the_same_standings(
    database: Database, elsewhere: Database, tmp_path: Path, file_format: Format, name: str
) -> None:
    fill(database)
    path = tmp_path / name
    path.write_text(exported(database, file_format)[0], encoding="utf-8")

    report = import_votes(elsewhere, [path], secret="s")

    assert (report.imported, report.unrated.total(), report.skipped) == (11, 2, {})
    ours, theirs = standings_of(database), standings_of(elsewhere)
    if file_format == "csv":  # which has no voters that an importer may tell apart
        ours, theirs = [row[:-1] for row in ours], [row[:-1] for row in theirs]
    assert ours == theirs
    assert import_votes(elsewhere, [path], secret="s").imported == 0


def test_an_imported_log_exported_again_is_the_same_log(
    database: Database, elsewhere: Database, tmp_path: Path
) -> None:
    fill(database)
    path, again = tmp_path / "first-conv.json", tmp_path / "second-conv.json"
    path.write_text(exported(database, "fastchat")[0], encoding="utf-8")
    import_votes(elsewhere, [path], secret="s")
    again.write_text(exported(elsewhere, "fastchat")[0], encoding="utf-8")

    def essence(log: Path) -> list[object]:
        votes = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        said = [[(s["model_name"], s["messages"]) for s in vote["states"]] for vote in votes]
        return [(v["type"], v["models"], v["tstamp"], s) for v, s in zip(votes, said, strict=True)]

    assert essence(again) == essence(path)


@pytest.mark.parametrize(("file_format", "name"), [("fastchat", "2026-03-01-conv.json"), ("csv", "votes.csv")])
def test_an_arenas_own_export_is_not_imported_into_it_again(
    any_database: Database, tmp_path: Path, file_format: Format, name: str
) -> None:
    fill(any_database)
    path = tmp_path / name
    path.write_text(exported(any_database, file_format)[0], encoding="utf-8")
    before = read_counts(any_database, ["battle", "imported"]).votes

    report = import_votes(any_database, [path], secret="s")

    assert (report.imported, dict(report.skipped)) == (0, {"this arena's own vote": 11})
    assert read_counts(any_database, ["battle", "imported"]).votes == before
