"""The standings: who stands where, whose votes count, and when they are computed again."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event

from arena.database import Database, Mode, VoteState, Winner
from arena.leaderboard import Leaderboard, Standing, Standings
from tests.arena_facts import add_models, add_vote, withdraw_vote

pytest_plugins = ["tests.postgres_fixtures"]


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
    second = board.standings()
    assert second is not first
    assert second.votes == 2
    assert board.standings() is second


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
    computations: list[str] = []
    at_once = threading.Barrier(12)

    @event.listens_for(any_database.engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "pair_counts" in statement:
            computations.append(statement)

    def read(_: int) -> Standings:
        at_once.wait(10)
        return board.standings()

    with ThreadPoolExecutor(12) as readers:
        boards = list(readers.map(read, range(12)))

    assert len(computations) == 1
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


def test_groups_that_never_met_are_counted(database: Database) -> None:
    a, b, c, d = add_models(database, "a", "b", "c", "d")
    add_vote(database, a, b, Winner.MODEL_A)
    add_vote(database, c, d, Winner.BOTH_BAD)

    assert Leaderboard(database).standings().groups == 2


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
