"""Imports: FastChat's logs with all their traps and the public vote tables, each vote once."""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from arena.counts import read_counts, rebuild_counts
from arena.database import Database
from arena.errors import ConfigError
from arena.imports import ImportReport, detect_format, import_votes
from arena.imports.fastchat import read_fastchat
from arena.imports.foreign import Skipped
from arena.leaderboard import Leaderboard
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Conversation,
    ImportedVote,
    Mode,
    ModelRevision,
    Prompt,
    Seat,
    Side,
    Vote,
    Winner,
)
from tests.arena_facts import add_models, add_vote

Line = dict[str, Any]
SECRET = "a secret of this test"


def said(*turns: tuple[str, str | None], roles: tuple[str, str] = ("user", "assistant")) -> list[list[Any]]:
    return [[role, text] for turn in turns for role, text in zip(roles, turn, strict=True)]


def state(model: str, conversation: str, messages: list[list[Any]], offset: int = 0) -> Line:
    return {
        "template_name": "one_shot" if offset else "chatgpt",
        "system_message": "",
        "roles": [messages[0][0], messages[1][0]],
        "messages": messages,
        "offset": offset,
        "conv_id": conversation,
        "model_name": model,
    }


def fastchat_vote(kind: str = "leftvote", *, ids: str = "1", **changes: Any) -> Line:
    """A vote on one turn between gull-7b and tern-7b, as FastChat writes it."""
    line = {
        "tstamp": 1_700_000_000.25,
        "type": kind,
        "models": ["", ""],
        "states": [
            state("gull-7b", f"left{ids}", said(("Where do gulls sleep?", "On calm water, or on roofs."))),
            state("tern-7b", f"right{ids}", said(("Where do gulls sleep?", "They do not sleep."), roles=("H", "G"))),
        ],
        "ip": "203.0.113.9",
    }
    return {**line, **changes}


def with_left(key: str, value: object) -> Line:
    """A vote whose left conversation has one key changed."""
    line = fastchat_vote()
    line["states"] = deepcopy(line["states"])
    line["states"][0][key] = value
    return line


def answered(text: object) -> Line:
    """A vote whose left answer is `text`."""
    return with_left("messages", [["user", "Where do gulls sleep?"], ["assistant", text]])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "2023-11-14-conv.json"


def write(path: Path, *lines: Line | str) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def imported(database: Database, *paths: Path) -> ImportReport:
    return import_votes(database, paths, secret=SECRET)


def outcome(database: Database, *paths: Path) -> Mapping[str, object]:
    return imported(database, *paths).as_json()


def stored_votes(database: Database) -> Sequence[Vote]:
    with database.read() as session:
        return session.scalars(select(Vote).order_by(Vote.sequence)).all()


def test_the_four_votes_of_a_log_are_rated(any_database: Database, log: Path) -> None:
    kinds = ("leftvote", "rightvote", "tievote", "bothbad_vote")
    write(log, *(fastchat_vote(kind, ids=kind) for kind in kinds))

    report = outcome(any_database, log)

    assert report == {"read": 4, "imported": 4, "rated": 4, "unrated": {}, "skipped": {}}
    assert [vote.winner for vote in stored_votes(any_database)] == list(Winner)
    counts = read_counts(any_database, ["imported"])
    assert (counts.wins.tolist(), counts.ties[0, 1], counts.both_bad[0, 1]) == ([[0, 1], [1, 0]], 1, 1)
    assert rebuild_counts(any_database) == 4
    assert read_counts(any_database, ["imported"]).wins.tolist() == counts.wins.tolist()


def test_a_vote_is_kept_with_its_whole_battle(any_database: Database, log: Path) -> None:
    turns = [("Where do gulls sleep?", "On water."), ("And terns?", "On sand.")]
    others = [("Where do gulls sleep?", "Nowhere."), ("And terns?", "On the wing.")]
    states = [state("gull-7b", "l", said(*turns)), state("tern-7b", "r", said(*others))]
    write(log, fastchat_vote("rightvote", states=states))

    imported(any_database, log)

    with any_database.read() as session:
        battle = session.scalars(select(Battle)).one()
        vote = session.get_one(Vote, battle.id)
        assert (battle.mode, battle.state, battle.turn) == (Mode.IMPORTED, BattleState.VOTED, 2)
        assert (vote.turn, vote.created_at) == (2, datetime.fromtimestamp(1_700_000_000.25, UTC))
        prompts = session.scalars(select(Prompt.text).order_by(Prompt.turn)).all()
        assert prompts == ["Where do gulls sleep?", "And terns?"]
        columns = select(Seat.side, Seat.turn, Answer.text, ModelRevision.model_id)
        shown = columns.select_from(Seat).join(Answer).join(ModelRevision)
        assert sorted(tuple(row) for row in session.execute(shown)) == [
            (Side.A, 1, "On water.", "gull-7b"),
            (Side.A, 2, "On sand.", "gull-7b"),
            (Side.B, 1, "Nowhere.", "tern-7b"),
            (Side.B, 2, "On the wing.", "tern-7b"),
        ]
        revision = session.get_one(ModelRevision, battle.revision_a)
        assert (revision.platform, revision.api_name) == ("imported", "gull-7b")
        assert session.scalars(select(ImportedVote)).one().source == log.name


def test_importing_again_imports_nothing(any_database: Database, log: Path, tmp_path: Path) -> None:
    write(log, *(fastchat_vote(ids=str(n)) for n in range(5)))
    imported(any_database, log)
    standings = Leaderboard(any_database).standings().as_json()

    again = outcome(any_database, log)
    longer = write(tmp_path / "copy.json", *(fastchat_vote(ids=str(n)) for n in range(6)))

    assert again == {"read": 5, "imported": 0, "rated": 0, "unrated": {}, "skipped": {"already imported": 5}}
    assert Leaderboard(any_database).standings().as_json() == standings
    assert imported(any_database, longer).imported == 1


def test_a_second_vote_on_the_same_two_conversations_does_not_count(database: Database, log: Path) -> None:
    first, second = fastchat_vote(), fastchat_vote("rightvote", tstamp=1_700_000_100.0)
    swapped = fastchat_vote(states=list(reversed(first["states"])))
    write(log, first, second, swapped)

    report = imported(database, log)

    assert (report.imported, report.skipped) == (1, {"a second vote on the same conversations": 2})
    assert [vote.winner for vote in stored_votes(database)] == [Winner.MODEL_A]


def test_messages_before_the_offset_are_not_the_conversation(database: Database, log: Path) -> None:
    invented = said(("Any ideas for a rainy day?", "Build a den."))
    real = said(("Where do gulls sleep?", "On calm water."))
    line = fastchat_vote()
    line["states"][0] = state("gull-7b", "left", invented + real, offset=2)
    write(log, line)

    assert imported(database, log).imported == 1

    with database.read() as session:
        assert session.scalars(select(Prompt.text)).all() == ["Where do gulls sleep?"]
        assert set(session.scalars(select(Answer.text))) == {"On calm water.", "They do not sleep."}


def test_votes_on_named_models_are_kept_and_never_rated(database: Database, log: Path) -> None:
    write(log, fastchat_vote(models=["gull-7b", "tern-7b"]))

    report = outcome(database, log)

    assert report == {
        "read": 1,
        "imported": 1,
        "rated": 0,
        "unrated": {"the models were named": 1},
        "skipped": {},
    }
    (vote,) = stored_votes(database)
    assert (vote.rated, vote.state_reason) == (False, "the models were named")
    assert read_counts(database, ["imported"]).votes == 0


def test_an_answer_that_names_its_maker_is_kept_and_not_rated(database: Database, log: Path) -> None:
    leaks = answered("I am a language model made by OpenAI, and gulls sleep on roofs.")
    write(log, leaks)

    report = imported(database, log)

    assert report.unrated == {"an answer gave away who wrote it": 1}
    with database.read() as session:
        findings = [found for found in session.scalars(select(Answer.identity_findings)) if found]
    assert findings


def test_an_answer_that_merely_mentions_a_company_or_a_palm_is_rated(database: Database, log: Path) -> None:
    write(log, answered("A palm-sized bird, says Google; llamas and bards disagree."))

    assert imported(database, log).unrated == {}


def test_a_model_that_names_itself_by_its_id_in_the_log_is_found(database: Database, log: Path) -> None:
    write(log, answered("I am gull-7b and I sleep on roofs."))

    assert imported(database, log).unrated == {"an answer gave away who wrote it": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"type": "chat", "tstamp": 1.0, "model": "gull-7b", "state": {}}, "not a vote (chat)"),
        ({"type": "upvote", "tstamp": 1.0}, "not a vote (upvote)"),
        (fastchat_vote("lefvote"), "unknown type 'lefvote'"),
        ('{"tstamp": 1700000000.1, "type": "leftvote", "mod', "not a whole JSON line"),
        ("[1, 2]", "not a FastChat record"),
        ('{"tstamp": 1}', "not a FastChat record"),
        (fastchat_vote(models=None), "the models' names are missing"),
        (fastchat_vote(models=[None, None]), "the models' names are missing"),
        (fastchat_vote(models=["gull-7b"]), "the models' names are missing"),
        (fastchat_vote(models=["gull-7b", ""]), "one model is named and the other is not"),
        (
            fastchat_vote(models=["### Model A: gull-7b", "### Model B: tern-7b"]),
            "voted after the models were revealed",
        ),
        (
            fastchat_vote(models=["<h3>Model A: gull-7b</h3>\n", "<h3>Model B: tern-7b</h3>\n"]),
            "voted after the models were revealed",
        ),
        (
            fastchat_vote(models=["tern-7b", "gull-7b"]),
            "the models shown and the models that answered are not the same",
        ),
        (with_left("model_name", "tern-7b"), "both sides are the same model"),
        (with_left("model_name", None), "a conversation has no model_name"),
        (with_left("conv_id", ""), "a conversation has no conv_id"),
        (fastchat_vote(states=None), "the conversations are missing"),
        (fastchat_vote(states=[None, None]), "the conversations are missing"),
        (fastchat_vote(tstamp=None), "the time is missing"),
        (fastchat_vote(tstamp=1e300), "the time is impossible"),
        (with_left("messages", None), "a conversation is malformed"),
        (with_left("messages", ["Hello"]), "a conversation is malformed"),
        (with_left("messages", []), "a conversation is empty"),
        (with_left("offset", 2), "a conversation is empty"),
        (with_left("messages", said(("Where do terns sleep?", "There."))), "the two sides were asked different things"),
        (with_left("messages", [["user", "Where do gulls sleep?"]]), "an answer is missing"),
        (answered(None), "an answer is missing"),
        (answered(" \n"), "an answer is empty"),
        (answered("On calm water, or▌"), "an answer was cut while it was written"),
        (
            answered("**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**"),
            "an answer is an error message",
        ),
        (answered("**API REQUEST ERROR** Reason: The response was blocked."), "an answer is an error message"),
        (answered("Gulls sleep\n\n(error_code: 50004, peer gone)"), "an answer is an error message"),
        (
            answered("$MODERATION$ YOUR INPUT VIOLATES OUR CONTENT MODERATION GUIDELINES."),
            "an answer was removed by moderation",
        ),
        (
            with_left("messages", said(("YOUR INPUT VIOLATES OUR CONTENT MODERATION GUIDELINES.", "Sorry."))),
            "a prompt was removed by moderation",
        ),
        (with_left("messages", said(("", "What?"))), "a prompt is empty"),
    ],
)
def test_a_line_that_is_no_good_vote_is_skipped_with_its_reason(
    database: Database, log: Path, line: Line | str, reason: str
) -> None:
    write(log, fastchat_vote(ids="good"), line)

    report = imported(database, log)

    assert (report.read, report.imported, dict(report.skipped)) == (2, 1, {reason: 1})


def test_an_honest_answer_about_errors_is_kept(database: Database, log: Path) -> None:
    write(log, answered("A network error due to high traffic is what gulls cause; see (error_code: 7) in the manual."))

    assert imported(database, log).imported == 1


def test_a_vision_prompt_keeps_its_text_and_names_its_pictures(database: Database, log: Path) -> None:
    prompt = ["What bird is this?", ["0cc175b9c0f1b6a831c399e269772661"]]
    states = [
        state("gull-7b", "l", [["user", prompt], ["assistant", "A gull."]]),
        state("tern-7b", "r", [["user", prompt], ["assistant", "A tern."]]),
    ]
    write(log, fastchat_vote(states=states))

    assert imported(database, log).imported == 1

    with database.read() as session:
        assert session.scalars(select(Prompt.text)).one() == (
            "What bird is this?\n[picture 0cc175b9c0f1b6a831c399e269772661]"
        )


def test_characters_that_a_database_refuses_are_replaced(any_database: Database, log: Path) -> None:
    line = json.dumps(answered("X")).replace('"X"', '"Half an emoji: \\ud83d, and a NUL: \\u0000."')
    write(log, line)

    assert imported(any_database, log).imported == 1

    with any_database.read() as session:
        assert "Half an emoji: ?, and a NUL: \ufffd." in session.scalars(select(Answer.text)).all()


def test_a_line_cut_in_the_middle_of_a_character_is_only_that_line(log: Path) -> None:
    whole = json.dumps(fastchat_vote(), ensure_ascii=False)
    cut = json.dumps(answered("é" * 40), ensure_ascii=False).encode()
    log.write_bytes(whole.encode() + b"\n" + cut[: cut.index("é".encode()) + 1])

    outcomes = [read.outcome for read in read_fastchat(log)]

    assert outcomes[1] == Skipped("not a whole JSON line")
    assert len(outcomes) == 2


def test_addresses_are_never_stored_and_tell_voters_apart(database: Database, log: Path, tmp_path: Path) -> None:
    lines = [fastchat_vote(ids=str(n), ip=f"203.0.113.{n % 2}") for n in range(4)]
    write(log, *lines, fastchat_vote(ids="none", ip=None))
    imported(database, log)

    voters = {vote.voter_id for vote in stored_votes(database)}

    assert len(voters) == 3
    assert all(voter.startswith("imported:") for voter in voters)
    assert b"203.0.113." not in b"".join(path.read_bytes() for path in (tmp_path / "data").glob("arena.db*"))
    assert Leaderboard(database).standings().people == 3


def test_the_same_address_is_another_voter_under_another_secret(database: Database, log: Path, tmp_path: Path) -> None:
    imported(database, write(log, fastchat_vote(ids="1")))
    import_votes(database, [write(tmp_path / "more.json", fastchat_vote(ids="2"))], secret="another")

    assert len({vote.voter_id for vote in stored_votes(database)}) == 2


def test_an_imported_model_is_no_revision_of_the_rosters_namesake(database: Database, log: Path) -> None:
    (own,) = add_models(database, "gull-7b")
    imported(database, write(log, fastchat_vote()))

    with database.read() as session:
        revisions = session.scalars(select(ModelRevision).where(ModelRevision.model_id == "gull-7b")).all()
    assert [(r.number, r.platform) for r in revisions] == [(1, "openai"), (2, "imported")]
    assert revisions[0].id == own


PUBLIC = """model_a,model_b,winner
gull-7b,tern-7b,model_a
gull-7b,tern-7b,model_a
tern-7b,gull-7b,model_b
gull-7b,tern-7b,tie
gull-7b,tern-7b,tie (bothbad)
gull-7b,tern-7b,Tie
gull-7b,tern-7b,modle_a
gull-7b,tern-7b,
gull-7b,gull-7b,tie
,tern-7b,model_b
gull-7b
"""


def test_the_public_layout_is_read_and_misspelt_winners_are_never_ties(any_database: Database, tmp_path: Path) -> None:
    table = tmp_path / "votes.csv"
    table.write_text(PUBLIC, encoding="utf-8")

    report = outcome(any_database, table)

    assert report == {
        "read": 11,
        "imported": 5,
        "rated": 5,
        "unrated": {},
        "skipped": {
            "a model's name is missing": 2,
            "unknown winner 'Tie'": 1,
            "unknown winner 'modle_a'": 1,
            "unknown winner ''": 1,
            "both sides are the same model": 1,
        },
    }
    counts = read_counts(any_database, ["imported"])
    assert sorted(counts.wins.ravel().tolist()) == [0, 0, 0, 3]
    assert (counts.ties[0, 1], counts.both_bad[0, 1]) == (1, 1)
    with any_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Conversation)) == 1


def test_equal_rows_are_different_votes_and_the_same_file_under_another_name_is_not(
    database: Database, tmp_path: Path
) -> None:
    first, renamed = tmp_path / "votes.csv", tmp_path / "renamed.csv"
    for path in (first, renamed):
        path.write_text(PUBLIC, encoding="utf-8")

    assert imported(database, first).imported == 5
    assert imported(database, renamed).skipped["already imported"] == 5


def test_rows_with_an_id_are_known_by_it_and_named_rows_stay_unrated(database: Database, tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("question_id,model_a,model_b,winner,anony\nq1,gull,tern,model_a,True\n", encoding="utf-8")
    new.write_text(
        '\ufeffwinner,anony,"model_b",model_a,question_id,note\n'
        'model_a,True,tern,gull,q1,\nmodel_b,False,tern,gull,q2,"two\nlines"\n',
        encoding="utf-8",
    )

    assert imported(database, old).imported == 1
    report = imported(database, new)

    assert (report.imported, dict(report.skipped), dict(report.unrated)) == (
        1,
        {"already imported": 1},
        {"the models were named": 1},
    )


def test_votes_beyond_one_batch_are_all_there_and_progress_reaches_the_end(
    any_database: Database, tmp_path: Path
) -> None:
    table = tmp_path / "votes.csv"
    rows = [f"m{n % 7},m{n % 7 + 1},{('model_a', 'model_b', 'tie')[n % 3]}" for n in range(2500)]
    table.write_text("model_a,model_b,winner\n" + "\n".join(rows), encoding="utf-8")
    shares: list[float] = []

    report = import_votes(any_database, [table], secret=SECRET, progress=shares.append)

    assert report.imported == read_counts(any_database, ["imported"]).votes == 2500
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len({vote.sequence for vote in stored_votes(any_database)}) == 2500


def test_two_imports_at_once_store_each_vote_once(any_database: Database, tmp_path: Path) -> None:
    table = tmp_path / "votes.csv"
    table.write_text("model_a,model_b,winner\n" + "gull,tern,model_a\n" * 1500, encoding="utf-8")
    at_once = threading.Barrier(3)

    def run(_: int) -> ImportReport:
        at_once.wait(10)
        return imported(any_database, table)

    with ThreadPoolExecutor(3) as importers:
        reports = list(importers.map(run, range(3)))

    assert sum(report.imported for report in reports) == 1500
    assert sum(report.skipped["already imported"] for report in reports) == 3000
    assert read_counts(any_database, ["imported"]).wins.sum() == 1500


def test_importing_beside_own_votes_keeps_both(database: Database, log: Path) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A)
    imported(database, write(log, fastchat_vote()))

    assert read_counts(database, ["battle"]).votes == 1
    standings = Leaderboard(database).standings()
    assert (standings.votes, standings.groups) == (2, 2)


def test_the_format_is_told_from_the_content(log: Path, tmp_path: Path) -> None:
    table = tmp_path / "votes.json"
    table.write_text(PUBLIC, encoding="utf-8")

    assert detect_format(write(log, fastchat_vote())) == "fastchat"
    assert detect_format(table) == "lmsys"


@pytest.mark.parametrize(("content", "told"), [("", "neither"), ("left,right,winner\n", "neither"), (None, "cannot")])
def test_a_file_of_no_known_format_is_refused_in_one_sentence(
    database: Database, tmp_path: Path, content: str | None, told: str
) -> None:
    path = tmp_path / "votes.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match=f"votes.txt: {told}"):
        imported(database, path)


def test_a_format_that_is_named_is_believed_and_what_is_missing_is_told(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,winner\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="has no column 'model_b'"):
        import_votes(database, [path], secret=SECRET, file_format="lmsys")
