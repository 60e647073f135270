"""The standings: who stands where, whose votes count, and when they are computed again."""

import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from arena import leaderboard
from arena.database import Database
from arena.leaderboard import Leaderboard, Slice, Standing, Standings
from arena.tables import Mode, Vote, VoteState, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote


def play(database: Database, first: int, second: int, wins: int, losses: int = 0) -> None:
    for winner in [Winner.MODEL_A] * wins + [Winner.MODEL_B] * losses:
        add_vote(database, first, second, winner)


def names(standings: Standings) -> Sequence[str]:
    return [row.display_name for row in standings.rows]


def row(standings: Standings, model: str) -> Standing:
    (found,) = [row for row in standings.rows if row.model_id == model]
    return found


def test_an_empty_arena_has_an_empty_board(database: Database) -> None:
    standings = Leaderboard(database).standings()

    assert standings.rows == []
    assert (standings.votes, standings.people, standings.sequence, standings.groups) == (0, 0, 0, 0)
    assert standings.as_json() == {"computed_from": {"votes": 0, "people": 0, "sequence": 0}, "standings": []}


def test_models_without_votes_are_listed_as_unrated_behind_the_others(any_database: Database) -> None:
    add_models(any_database, "ibis")
    heron, wren = add_models(any_database, "heron", "wren")
    play(any_database, wren, heron, wins=1)

    standings = Leaderboard(any_database).standings()

    assert names(standings) == ["Wren", "Heron", "Ibis"]
    ibis = row(standings, "ibis")
    assert (ibis.rating, ibis.low, ibis.high, ibis.win_rate) == (None, None, None, None)
    assert (ibis.rank, ibis.votes, ibis.preliminary) == ("–", 0, True)


def test_a_row_tells_how_the_votes_fell(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren", family="birds", version="2")
    play(any_database, heron, wren, wins=3, losses=1)
    add_vote(any_database, wren, heron, Winner.TIE, voter="somebody else")
    add_vote(any_database, wren, heron, Winner.BOTH_BAD)

    standings = Leaderboard(any_database).standings()

    heron_row = row(standings, "heron")
    assert (heron_row.votes, heron_row.wins, heron_row.ties, heron_row.both_bad) == (6, 3, 1, 1)
    assert heron_row.win_rate == pytest.approx(4 / 6)
    assert (heron_row.platform, heron_row.family, heron_row.version) == ("OpenAI", "birds", "2")
    assert heron_row.people == row(standings, "wren").people == standings.people == 2
    assert (standings.votes, standings.sequence, standings.groups) == (6, 6, 1)


def test_a_clear_winner_gets_a_single_rank_and_is_not_preliminary(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    play(database, heron, wren, wins=60, losses=20)

    standings = Leaderboard(database).standings()

    assert [row.rank for row in standings.rows] == ["1", "2"]
    assert not any(row.preliminary for row in standings.rows)


def test_few_votes_or_a_wide_interval_are_preliminary_and_shown(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    play(database, heron, wren, wins=5, losses=4)

    standings = Leaderboard(database).standings()

    assert [(row.rank, row.preliminary) for row in standings.rows] == [("1-2", True), ("1-2", True)]


def test_votes_that_do_not_count_change_nothing(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    play(any_database, heron, wren, wins=2)
    board = Leaderboard(any_database)
    before = board.standings().as_json()

    add_vote(any_database, wren, heron, Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False, voter="a")
    add_vote(any_database, wren, heron, Winner.MODEL_A, rated=False, state=VoteState.EXCLUDED, voter="b")
    withdraw_vote(any_database, add_vote(any_database, wren, heron, Winner.MODEL_A, voter="c"))

    after = board.standings().as_json()
    assert after["standings"] == before["standings"]
    assert after["computed_from"]["people"] == 1


def test_people_are_counted_as_votes_come_and_go(any_database: Database) -> None:
    heron, wren, ibis = add_models(any_database, "heron", "wren", "ibis")
    board = Leaderboard(any_database)
    people = []

    def note() -> None:
        standings = board.standings()
        people.append((standings.people, row(standings, "wren").people, row(standings, "ibis").people))

    add_vote(any_database, heron, wren, Winner.TIE, voter="anna")
    note()
    add_vote(any_database, wren, heron, Winner.TIE, voter="anna")
    note()
    bens = add_vote(any_database, wren, ibis, Winner.TIE, voter="ben")
    note()
    withdraw_vote(any_database, bens)
    note()
    add_vote(any_database, heron, ibis, Winner.TIE, voter="cleo")
    note()

    assert people == [(1, 1, 0), (1, 1, 0), (2, 2, 1), (1, 1, 0), (2, 1, 1)]


def test_a_model_whose_only_vote_was_withdrawn_is_unrated_again(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    vote = add_vote(database, heron, wren, Winner.MODEL_A)
    board = Leaderboard(database)
    assert board.standings().votes == 1

    withdraw_vote(database, vote)

    assert [row.rank for row in board.standings().rows] == ["–", "–"]
    assert board.standings().groups == 0


def test_standings_are_computed_again_only_after_a_vote(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    play(database, heron, wren, wins=1)
    board = Leaderboard(database)
    first = board.standings()

    assert board.standings() is first
    add_vote(database, heron, wren, Winner.MODEL_A)
    assert board.standings().votes == 2
    second = board.refresh()
    assert board.standings() is second is not first


def test_a_vote_of_another_process_is_seen(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    board = Leaderboard(database)
    assert board.standings().votes == 0

    other = Database(str(database.engine.url))
    add_vote(other, heron, wren, Winner.TIE)
    other.close()

    assert board.standings().votes == 1


def test_a_new_model_appears_before_its_first_vote(database: Database) -> None:
    board = Leaderboard(database)
    assert board.standings().rows == []

    add_models(database, "heron")

    assert names(board.standings()) == ["Heron"]


def test_of_a_burst_of_readers_one_computes(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    play(any_database, heron, wren, wins=3)
    board = Leaderboard(any_database)
    at_once = threading.Barrier(12)

    def read(_: int) -> Standings:
        at_once.wait(10)
        return board.standings()

    with ThreadPoolExecutor(12) as readers:
        boards = list(readers.map(read, range(12)))

    assert all(standings is boards[0] for standings in boards)


def test_the_order_is_stable_where_ratings_are_equal(database: Database) -> None:
    revisions = add_models(database, "wren", "ibis", "heron", "swift")
    for place, first in enumerate(revisions):
        for second in revisions[place + 1 :]:
            add_vote(database, first, second, Winner.TIE)

    assert names(Leaderboard(database).standings()) == ["Heron", "Ibis", "Swift", "Wren"]


def test_an_older_revision_stands_beside_the_newer_one_and_is_never_merged_with_it(database: Database) -> None:
    old, other = add_models(database, "heron", "wren")
    play(database, old, other, wins=4)
    (new,) = add_models(database, "heron")

    standings = Leaderboard(database).standings()

    assert names(standings) == ["Heron (revision 1)", "Wren", "Heron (revision 2)"]
    play(database, new, other, wins=1)
    assert {(r.revision_id, r.votes) for r in Leaderboard(database).standings().rows} == {
        (old, 4),
        (new, 1),
        (other, 5),
    }


def test_an_older_revision_without_votes_is_not_listed(database: Database) -> None:
    add_models(database, "heron")
    (new,) = add_models(database, "heron")

    assert [(row.revision_id, row.display_name) for row in Leaderboard(database).standings().rows] == [(new, "Heron")]


def test_an_imported_namesake_does_not_hide_the_rosters_model(database: Database) -> None:
    add_models(database, "heron")
    add_models(database, "heron", platform="imported")

    platforms = [row.platform for row in Leaderboard(database).standings().rows]

    assert sorted(platforms) == ["Imported", "OpenAI"]


def test_groups_that_never_met_are_counted_and_named(database: Database) -> None:
    a, b, c, d = add_models(database, "a", "b", "c", "d")
    add_vote(database, a, b, Winner.MODEL_A)
    add_vote(database, c, d, Winner.BOTH_BAD)

    standings = Leaderboard(database).standings()
    assert standings.groups == 2
    assert standings.apart == [["A", "B"], ["C", "D"]]


def test_last_counted_is_when_the_latest_vote_came_to_count(any_database: Database) -> None:
    a, b = add_models(any_database, "a", "b")
    board = Leaderboard(any_database)
    assert board.standings().counted_at is None
    times = []
    for winner in (Winner.MODEL_A, Winner.TIE):
        battle = add_vote(any_database, a, b, winner)
        with any_database.read() as session:
            times.append(session.get_one(Vote, battle).changed_at)
        assert board.standings().counted_at == times[-1]
    withdraw_vote(any_database, battle)

    assert board.standings().counted_at == Leaderboard(any_database).standings().counted_at == times[0]


def test_by_platform_only_votes_between_platforms_count(database: Database) -> None:
    a, b = add_models(database, "a", "b")
    (c,) = add_models(database, "c", platform="vertex")
    add_vote(database, a, b, Winner.MODEL_A, voter="one")
    add_vote(database, a, c, Winner.MODEL_A, voter="two")
    add_vote(database, c, b, Winner.MODEL_B, voter="three")

    standings = Leaderboard(database).standings(by="platform")

    assert [(r.display_name, r.votes, r.wins, r.people, r.revision_id) for r in standings.rows] == [
        ("OpenAI", 2, 2, 2, 0),
        ("Vertex AI", 2, 0, 2, c),
    ]
    assert (standings.votes, standings.people) == (2, 2)


def test_by_version_equal_versions_are_one_row_and_unknown_ones_stay_apart(database: Database) -> None:
    a, b = add_models(database, "tuned-a", "tuned-b", family="tuned", version="1")
    (c,) = add_models(database, "tuned-c", family="tuned", version="2")
    d, e = add_models(database, "d", "e", family="plain")
    play(database, a, c, wins=2)
    play(database, b, d, wins=1)
    play(database, d, e, wins=1)

    standings = Leaderboard(database).standings(by="version")

    rows = {row.display_name: (row.votes, row.wins, row.version) for row in standings.rows}
    assert rows == {
        "tuned 1": (3, 3, "1"),
        "tuned 2": (2, 0, "2"),
        "D": (2, 1, None),
        "E": (1, 0, None),
    }


def test_a_criterion_has_a_board_of_its_own(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.MODEL_A, criteria={"clarity": "model_b"})
    board = Leaderboard(database)

    assert names(board.standings()) == ["Heron", "Wren"]
    add_vote(database, heron, wren, Winner.MODEL_A, voter="somebody else")
    assert names(board.standings(criterion="clarity")) == ["Wren", "Heron"]
    assert board.standings(criterion="clarity").people == 1
    assert board.standings(criterion="warmth").votes == 0


def test_the_json_is_plain_and_depends_on_votes_only(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_models(database, "ibis")
    play(database, heron, wren, wins=2)

    first = json.dumps(Leaderboard(database).standings().as_json(), allow_nan=False)
    second = json.dumps(Leaderboard(database).standings().as_json(), allow_nan=False)

    assert first == second
    top = json.loads(first)["standings"][0]
    assert top["rank"] == "1-2"
    assert (top["model"], top["display_name"], top["votes"], top["win_rate"]) == ("heron", "Heron", 2, 1.0)
    assert top["low"] < top["rating"] < top["high"]
    assert json.loads(first)["standings"][2]["rating"] is None


def assert_level(first: Standings, second: Standings) -> None:
    assert [row.revision_id for row in first.rows] == [row.revision_id for row in second.rows]
    for one, other in zip(first.rows, second.rows, strict=True):
        assert (one.rating, one.low, one.high) == pytest.approx((other.rating, other.low, other.high), abs=1e-9)
        assert (one.rank, one.votes, one.people) == (other.rank, other.votes, other.people)


def test_standings_kept_current_vote_by_vote_are_those_computed_afresh(any_database: Database) -> None:
    chance = random.Random(5)
    revisions = add_models(any_database, "heron", "wren", "ibis", "swift")
    board = Leaderboard(any_database)
    for turn in range(60):
        a, b = chance.sample(revisions, 2)
        vote = add_vote(any_database, a, b, chance.choice(list(Winner)), voter=f"voter {turn % 7}")
        if turn % 9 == 8:
            withdraw_vote(any_database, vote)
        board.standings()

    for by in ("model", "platform", "version"):
        assert_level(board.refresh(by=by), Leaderboard(any_database).refresh(by=by))


@pytest.mark.slow
def test_a_few_people_with_many_votes_prove_less_than_as_many_people(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for number in range(60):  # twelve people in all: eight always say heron, four always wren
        add_vote(database, heron, wren, Winner.MODEL_A if number % 3 else Winner.MODEL_B, voter=f"voter {number % 12}")
    clustered = Leaderboard(database).standings()
    single = [row.rank for row in Leaderboard(database).sliced(Slice(voters=frozenset({"voter 1"}))).rows]

    assert clustered.people == 12
    assert clustered.clustered_at is not None
    assert [row.rank for row in clustered.rows] == ["1-2", "1-2"]
    assert single == ["1-2", "1-2"]
    for vote in range(60, 180):  # as many again of each verdict, each by another person
        add_vote(database, heron, wren, Winner.MODEL_A if vote % 3 else Winner.MODEL_B, voter=f"voter {vote}")
    assert [row.rank for row in Leaderboard(database).standings().rows] == ["1", "2"]


def test_in_a_large_arena_people_are_counted_after_the_table_and_never_on_a_votes_path(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "AT_ONCE_VOTES", 3)
    monkeypatch.setattr(leaderboard, "WITH_EACH_VOTE", 0)
    heron, wren = add_models(any_database, "heron", "wren")
    play(any_database, heron, wren, wins=4)
    board = Leaderboard(any_database)
    asked: list[tuple[str, str]] = []

    @event.listens_for(any_database.engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "JOIN battles" in statement:
            asked.append((threading.current_thread().name, statement))

    first = board.standings()
    assert (first.people, first.clustered_at, first.rows[0].people) == (0, None, 0)
    assert first.votes == 4
    assert board.refresh().people == 1
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="somebody else")
    after = board.standings()

    assert after.votes == 5
    assert after.people in (1, 2)  # the one that was counted; both, if the background was quicker
    callers = {thread for thread, _ in asked if not thread.startswith("database")}
    assert callers <= {threading.current_thread().name}
    assert sum(not thread.startswith("database") for thread, _ in asked) == 1  # the refresh that was asked for
    assert board.refresh().people == 2


def test_votes_are_looked_at_again_in_the_background(any_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "BUSY_SHARE", 1e9)
    monkeypatch.setattr(leaderboard, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(leaderboard, "WITH_EACH_VOTE", 0)
    heron, wren = add_models(any_database, "heron", "wren")
    play(any_database, heron, wren, wins=2)
    board = Leaderboard(any_database)
    board.standings()
    looked = threading.Event()

    @event.listens_for(any_database.engine, "checkin")
    def note(*_: object) -> None:
        if threading.current_thread().name.startswith("database"):
            looked.set()

    add_vote(any_database, heron, wren, Winner.TIE, voter="somebody else")
    board.standings()

    assert looked.wait(10)
    assert board.refresh().people == board.standings().people == 2


def test_under_many_votes_people_are_counted_now_and_then_and_right_a_moment_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "LOOKS_AT_ONCE", 1)
    monkeypatch.setattr(leaderboard, "LOOK_EVERY_S", 1_000.0)
    heron, wren = add_models(database, "heron", "wren")
    board = Leaderboard(database)
    told = []
    for number in range(4):
        add_vote(database, heron, wren, Winner.MODEL_A, voter=f"voter {number}")
        told.append((board.standings().votes, board.standings().people))

    assert told == [(1, 1), (2, 1), (3, 1), (4, 1)]
    monkeypatch.setattr(leaderboard, "LOOKS_AT_ONCE", 2)
    assert board.standings().people == 4


def test_platforms_stand_as_their_models_do_whoever_met_whom(database: Database) -> None:
    strong, weak = add_models(database, "a-strong", "a-weak")
    other_strong, other_weak = add_models(database, "b-strong", "b-weak", platform="vertex")
    play(database, strong, other_weak, wins=75, losses=25)
    play(database, weak, other_strong, wins=5, losses=15)
    play(database, strong, other_strong, wins=10, losses=10)
    play(database, weak, other_weak, wins=10, losses=10)
    board = Leaderboard(database)

    rows = {row.display_name: row for row in board.standings(by="platform").rows}
    verdict = board.comparisons().platforms("OpenAI", "Vertex AI")

    assert verdict is not None
    gap = (rows["OpenAI"].rating or 0) - (rows["Vertex AI"].rating or 0)
    assert gap == pytest.approx(verdict.comparison.points, abs=1e-6)
    assert abs(gap) < 2
    assert rows["OpenAI"].wins > rows["Vertex AI"].wins
    assert {row.rank for row in rows.values()} == {"1-2"}


def test_verdicts_speak_of_the_same_ratings_and_are_clustered_too(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    (ibis,) = add_models(database, "ibis")
    for number in range(40):
        winner = Winner.MODEL_A if number % 4 else Winner.MODEL_B
        add_vote(database, heron, wren, winner, voter=f"voter {number % 4}")
    board = Leaderboard(database)
    standings, verdicts = board.standings(), board.comparisons()

    verdict = verdicts.between(heron, wren)

    assert verdict.points == pytest.approx((standings.rows[0].rating or 0) - (standings.rows[1].rating or 0))
    assert not verdict.settled  # one of the four people says wren, always
    assert verdicts.names[0] == "Heron"
    assert verdicts.matrix()[0][2] is None
    assert verdicts.platforms("OpenAI", "Vertex AI") is None
    fragile = verdicts.fragility()
    assert fragile is not None
    assert fragile.votes == 21
    with pytest.raises(ValueError, match="with votes"):
        verdicts.between(heron, ibis)
    with pytest.raises(ValueError, match="with votes"):
        verdicts.between(heron, 99)


def test_a_slice_has_standings_of_its_own_and_follows_new_votes(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="ann")
    add_vote(any_database, wren, heron, Winner.MODEL_A, voter="bea")
    add_vote(any_database, wren, heron, Winner.MODEL_A, voter="bea")
    board, anns = Leaderboard(any_database), Slice(voters=frozenset({"ann"}))

    first = board.sliced(anns)

    assert names(first) == ["Heron", "Wren"]
    assert (first.votes, first.people) == (1, 1)
    assert board.sliced(anns) is first
    monkeypatch.setattr(leaderboard, "BUSY_SHARE", 1e9)
    other = Slice(voters=frozenset({"ann"}), turns=1)
    assert board.sliced(other).votes == 1
    add_vote(any_database, heron, wren, Winner.TIE, voter="ann")
    assert board.sliced(other).votes == 2


def test_two_people_do_not_stretch_the_intervals_to_thousands_of_points(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for number in range(10):
        add_vote(database, heron, wren, Winner.MODEL_A if number % 3 else Winner.MODEL_B, voter=f"voter {number % 2}")

    standings = Leaderboard(database).refresh()

    assert standings.people == 2
    assert all(row.high - row.low < 700 for row in standings.rows if row.high is not None and row.low is not None)
