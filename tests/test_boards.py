"""What readers of the leaderboard ask for: views, facets, speeds, history, calibration, files."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from starlette.testclient import TestClient

from arena.board_view import BoardView, read_view
from arena.boards import Boards
from arena.calibration import calibrate
from arena.database import Database
from arena.errors import ArenaError
from arena.first_tokens import FirstTokens
from arena.history import note_standings, read_history, rebuild_history
from arena.leaderboard import Leaderboard
from arena.pair_battles import PER_PAGE, read_matchup
from arena.ratings import fit
from arena.style import StyleControl
from arena.tables import Answer, Battle, Conversation, StandingHistory, Vote, Voter, Winner
from arena.ui.charts import set_apart
from arena.ui.rating_charts import natural_order
from arena.voter_groups import ANONYMOUS, NEWCOMERS, REGULARS, SIGNED_IN, read_voter_groups
from arena.web.downloads import Downloads
from tests.arena_facts import add_models, add_vote

TUESDAY = datetime(2026, 3, 3, 9, 20, tzinfo=UTC)


def boards_of(database: Database) -> Boards:
    return Boards(database, Leaderboard(database), StyleControl(database))


def describe(database: Database, battle: str, **columns: object) -> None:
    """Give a battle's conversation a tag or a language."""
    with database.write() as session:
        conversation = session.get_one(Battle, battle).conversation_id
        session.execute(update(Conversation).where(Conversation.id == conversation).values(**columns))


def speak_after(database: Database, battle: str, milliseconds: Mapping[int, float]) -> None:
    """Say how long each revision's answers in a battle took to begin."""
    with database.write() as session:
        conversation = session.get_one(Battle, battle).conversation_id
        for revision, time in milliseconds.items():
            theirs = (Answer.conversation_id == conversation, Answer.revision_id == revision)
            session.execute(update(Answer).where(*theirs).values(first_token_ms=time))


@pytest.mark.parametrize(
    "view",
    [
        BoardView(),
        BoardView("imported", "version", "clarity", "work & play", "de", 3, "Vertex AI", "coaia-gemini"),
        BoardView(platform="OpenAI", style="equal"),
    ],
)
def test_a_view_survives_its_link(view: BoardView) -> None:
    assert read_view(dict(parse_qsl(view.query))) == view


@pytest.mark.parametrize(
    "query", [{"by": "voter"}, {"scope": "elsewhere"}, {"turns": "-1"}, {"turns": "many"}, {"style": "bold"}]
)
def test_a_link_that_names_no_view_is_refused_in_a_sentence(query: Mapping[str, str]) -> None:
    with pytest.raises(ArenaError, match=r"not from|no number|not for|not “bold”"):
        read_view(query)


def test_a_view_counts_its_votes_and_only_those(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    describe(database, add_vote(database, heron, wren, Winner.MODEL_A), challenge_tags=["work"], language="de")
    add_vote(database, heron, wren, Winner.MODEL_B, turns=[("One?", "a", "b"), ("Two?", "a", "b")])
    boards = boards_of(database)

    facets = boards.facets().votes
    assert facets is not None
    assert (facets.tags, facets.languages, facets.turns) == (["work"], ["de"], [1, 2])
    for view, winner in (
        (BoardView(tag="work"), "heron"),
        (BoardView(turns=2), "wren"),
        (BoardView(language="de"), "heron"),
    ):
        standings = boards.standings(view)
        assert standings.votes == 1
        assert standings.rows[0].model_id == winner
    assert boards.standings(BoardView()).votes == 2
    assert boards.standings(BoardView(tag="money")).votes == 0


def test_ratings_with_style_held_equal_stand_in_the_same_table(database: Database) -> None:
    heron, wren, pike = add_models(database, "heron", "wren", "pike")
    long, short = "A long answer. " * 40, "Brief."
    for winner in [Winner.MODEL_A] * 24 + [Winner.MODEL_B] * 6:
        add_vote(database, heron, wren, winner, turns=[("Why?", long, short)])
        add_vote(database, wren, pike, winner, turns=[("Why?", long, short)])
    add_vote(database, pike, heron, Winner.TIE, turns=[("Why?", short, short)])
    boards = boards_of(database)

    voted, equal = (boards.standings(BoardView(style=style)) for style in ("", "equal"))

    gaps = [rows[0].rating - rows[-1].rating for rows in (voted.rows, equal.rows) if rows[0].rating and rows[-1].rating]
    assert gaps[1] < gaps[0] - 50
    assert [row.rank for row in voted.rows] == ["1", "2", "3"]
    assert {row.rank for row in equal.rows} == {"1-3"}
    assert [(row.model_id, row.votes, row.win_rate) for row in sorted(voted.rows, key=lambda row: row.model_id)] == [
        (row.model_id, row.votes, row.win_rate) for row in sorted(equal.rows, key=lambda row: row.model_id)
    ]
    with pytest.raises(ArenaError, match="choose no votes beside it"):
        read_view({"style": "equal", "tag": "work"})


def test_a_platform_chooses_rows_and_leaves_their_ratings(database: Database) -> None:
    (heron,) = add_models(database, "heron", family="birds")
    (pike,) = add_models(database, "pike", platform="vertex")
    add_vote(database, heron, pike, Winner.MODEL_A)
    rows = boards_of(database).standings(BoardView()).rows
    assert [row.model_id for row in rows if BoardView(platform="Vertex AI").shows(row)] == ["pike"]
    assert [row.model_id for row in rows if BoardView(family="birds").shows(row)] == ["heron"]


def test_the_time_to_the_first_token_moves_with_votes_only(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for time in (300, 500, 900):
        speak_after(database, add_vote(database, heron, wren, Winner.TIE), {heron: time})
    times = FirstTokens(database)
    assert times.read() == {heron: 500}

    running = add_vote(database, heron, wren, Winner.TIE)
    speak_after(database, running, {heron: 9000, wren: 10})
    with database.write() as session:
        session.execute(delete(Vote).where(Vote.battle_id == running))
    assert times.read() == {heron: 500}
    assert FirstTokens(database).read() == {heron: 500}

    speak_after(database, add_vote(database, heron, wren, Winner.TIE), {heron: 900, wren: 200})
    assert times.read() == {heron: 700, wren: 200}


def history_of(database: Database, revision: int) -> Sequence[tuple[datetime, float, int]]:
    return [(m.at, round(m.rating, 6), m.votes) for m in read_history(database, [revision])[revision]]


def test_the_history_worked_out_from_votes_ends_where_the_leaderboard_stands(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for hours, winner in ((0, Winner.MODEL_A), (1, Winner.MODEL_A), (100, Winner.MODEL_B), (101, Winner.MODEL_A)):
        add_vote(database, heron, wren, winner, at=TUESDAY + timedelta(hours=hours))

    shares: list[float] = []
    assert rebuild_history(database, shares.append) == 3
    assert shares == [0.5, 0.75, 1.0]
    told = history_of(database, heron)
    # Of Tuesday the later hour stays, since it is told by the day; of the last two days each hour does.
    assert [(at, votes) for at, _, votes in told] == [
        (TUESDAY.replace(hour=10, minute=0), 2),
        (TUESDAY.replace(hour=13, minute=0) + timedelta(days=4), 3),
        (TUESDAY.replace(hour=14, minute=0) + timedelta(days=4), 4),
    ]
    now = {row.revision_id: row.rating for row in Leaderboard(database).standings().rows}
    assert told[-1][1] == pytest.approx(now[heron], abs=1e-6)
    assert told[0][1] > told[1][1]


def test_a_note_is_taken_after_votes_and_an_hour_keeps_its_last(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    board = Leaderboard(database)
    assert not note_standings(database, board)
    add_vote(database, heron, wren, Winner.MODEL_A, at=TUESDAY)
    assert note_standings(database, board)  # the first note works the past out
    assert [votes for _, _, votes in history_of(database, heron)] == [1]

    add_vote(database, heron, wren, Winner.MODEL_A)
    assert note_standings(database, board)
    assert not note_standings(database, board)
    add_vote(database, heron, wren, Winner.MODEL_A)
    assert note_standings(database, board)
    assert history_of(database, heron)[0][2] == 1
    assert history_of(database, heron)[-1][2] == 3
    with database.read() as session:
        assert session.scalar(select(StandingHistory.votes).order_by(StandingHistory.at.desc()).limit(1)) == 3


def test_calibration_agrees_where_models_win_as_often_as_their_strengths_say() -> None:
    strengths = np.linspace(-1, 1, 6)
    chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    wins = np.rint(4000 * chance).astype(np.int64)
    np.fill_diagonal(wins, 0)
    none = np.zeros_like(wins)

    found = calibrate(fit(wins, none, none))
    assert sum(c.votes for c in found) == 15 * 4000
    assert all(abs(c.observed - c.predicted) < 0.002 and c.predicted >= 0.5 for c in found)

    wins[0, 5], wins[5, 0] = wins[5, 0], wins[0, 5]  # the weakest beats the strongest, which no single number explains
    assert any(not c.low <= c.predicted <= c.high for c in calibrate(fit(wins, none, none)))


def test_voters_fall_into_groups_by_votes_and_by_account(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for _ in range(10):
        add_vote(database, heron, wren, Winner.MODEL_A, voter="regular")
    for number in range(3):
        add_vote(database, heron, wren, Winner.MODEL_B, voter=f"new {number}")
    with database.write() as session:
        session.execute(update(Voter).where(Voter.id == "new 0").values(account="someone"))
    groups = read_voter_groups(database)
    assert {name: (group.votes, group.people) for name, group in groups.items()} == {
        NEWCOMERS: (3, 3),
        REGULARS: (10, 1),
        SIGNED_IN: (1, 1),
        ANONYMOUS: (12, 3),
    }
    assert groups[REGULARS].rows[0].model_id == "heron"
    assert groups[NEWCOMERS].rows[0].model_id == "wren"


def test_the_battles_of_a_cell_stand_by_model_whatever_the_seats(database: Database) -> None:
    heron, wren, owl = add_models(database, "heron", "wren", "owl")
    add_vote(database, wren, heron, Winner.MODEL_A, turns=[("Who?", "the wren speaks", "the heron speaks")])
    add_vote(database, heron, owl, Winner.MODEL_A)
    for _ in range(PER_PAGE):
        add_vote(database, heron, wren, Winner.BOTH_BAD)

    newest, oldest = read_matchup(database, heron, wren), read_matchup(database, heron, wren, 2)
    assert newest is not None
    assert oldest is not None
    assert (newest.total, newest.pages, len(newest.battles)) == (PER_PAGE + 1, 2, PER_PAGE)
    (battle,) = oldest.battles
    assert battle.winner == "Wren"
    assert [(turn.first, turn.second) for turn in battle.turns] == [("the heron speaks", "the wren speaks")]
    assert all(later.both_bad and later.winner is None for later in newest.battles)
    assert read_matchup(database, heron, 99) is None


def test_files_hold_the_chosen_view_and_no_formula(database: Database) -> None:
    (heron,) = add_models(database, "heron", display_name="=HYPERLINK(1)", family="birds", version="1")
    (pike,) = add_models(database, "pike", platform="vertex")
    add_vote(database, heron, pike, Winner.MODEL_A)
    rebuild_history(database)
    leaderboard = Leaderboard(database)
    app = FastAPI()
    app.include_router(Downloads(Boards(database, leaderboard, StyleControl(database)), leaderboard).router())
    with TestClient(app) as client:
        told = client.get("/export/leaderboard.csv?platform=OpenAI")
        assert told.headers["content-disposition"] == 'attachment; filename="leaderboard.csv"'
        (row,) = csv.DictReader(io.StringIO(told.text))
        assert (row["display_name"], row["votes"], row["people"]) == ("'=HYPERLINK(1)", "1", "1")
        assert [row["model"] for row in client.get("/export/leaderboard.json").json()["rows"]] == ["heron", "pike"]
        (pair,) = client.get("/export/matchups.json").json()["rows"]
        assert (pair["first_won"], pair["second_won"], pair["votes"]) == (1, 0, 1)
        assert len(client.get("/export/history.json").json()["rows"]) == 2
        assert [row["version"] for row in client.get("/export/versions.json").json()["rows"]] == ["1"]
        refused = client.get("/export/leaderboard.csv?by=voter")
        assert (refused.status_code, "voter" in refused.text) == (400, True)


def test_versions_stand_in_the_order_people_count_in() -> None:
    assert sorted(["10", "9", "1b", "1a", "2.10", "2.9"], key=natural_order) == ["1a", "1b", "2.9", "2.10", "9", "10"]


def test_numbers_at_the_ends_of_lines_stay_apart_and_inside() -> None:
    placed = set_apart([235, 236, 20, 21, 237], height=240)
    gaps = np.diff(sorted(placed))
    assert gaps.min() >= 16.9
    assert max(placed) <= 240
