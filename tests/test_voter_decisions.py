"""The operator's decisions about voters: reversible, exact, and never lost to a vote in the same moment."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from arena.battle.verdicts import Ballot, cast, withdraw
from arena.cli import main
from arena.counts import PairCounts, next_sequence, read_counts, rebuild_counts
from arena.database import Database, open_database
from arena.decision_preview import preview
from arena.errors import ConfigError
from arena.leaderboard import Leaderboard
from arena.tables import Battle, BattleState, Mode, Vote, VoterDecision, VoterVerdict, VoteState, Winner
from arena.voter_decisions import decide, find_voter
from arena.voter_patterns import CheckState
from arena.voter_review import review_voters
from tests.arena_facts import add_models, add_vote, take_back
from tests.databases import database_of


def _counts(database: Database) -> tuple[PairCounts, PairCounts]:
    return read_counts(database, ["battle"]), read_counts(database, ["battle"], "clarity")


def _same(left: tuple[PairCounts, PairCounts], right: tuple[PairCounts, PairCounts]) -> bool:
    """Whether both hold the same verdicts, revisions without any left aside."""

    def verdicts(counts: PairCounts) -> set[tuple[str, int, int, int]]:
        return {
            (name, counts.revisions[i], counts.revisions[j], int(matrix[i, j]))
            for name, matrix in (("wins", counts.wins), ("ties", counts.ties), ("both_bad", counts.both_bad))
            for i, j in np.argwhere(matrix).tolist()
        }

    return all(verdicts(a) == verdicts(b) for a, b in zip(left, right, strict=True))


def _votes(database: Database, voter: str) -> list[Vote]:
    with database.read() as session:
        return list(session.scalars(select(Vote).where(Vote.voter_id == voter).order_by(Vote.sequence)))


def _open_battle(database: Database, a: int, b: int, voter: str) -> str:
    """A battle that waits for its vote."""
    battle_id = add_vote(database, a, b, Winner.TIE, voter=voter, rated=False)
    with database.write() as session:
        session.delete(session.get_one(Vote, battle_id))
        session.get_one(Battle, battle_id).state = BattleState.VOTABLE
    return battle_id


@pytest.mark.parametrize("decision", [VoterVerdict.HOLD, VoterVerdict.EXCLUDE])
def test_a_decision_takes_a_voters_votes_out_of_the_counts_and_counting_puts_them_back(
    any_database: Database, decision: VoterVerdict
) -> None:
    heron, wren, swift = add_models(any_database, "heron", "wren", "swift")
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="ben")
    add_vote(any_database, heron, wren, Winner.TIE, voter="ben", criteria={"clarity": "model_b"})
    bens = _counts(any_database)
    for winner in (Winner.MODEL_A, Winner.TIE, Winner.BOTH_BAD):
        add_vote(any_database, swift, wren, winner, voter="anna", criteria={"clarity": "model_a"})
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna", mode=Mode.SIDE_BY_SIDE, rated=False)
    both = _counts(any_database)

    moved = decide(any_database, "anna", decision, "  always \n the same ")

    assert moved == 3
    assert _same(_counts(any_database), bens)
    state = VoteState.HELD if decision is VoterVerdict.HOLD else VoteState.EXCLUDED
    assert [(v.state, v.rated) for v in _votes(any_database, "anna")] == [(state, False)] * 3 + [
        (VoteState.COUNTED, False)
    ]
    assert _votes(any_database, "anna")[0].state_reason == f"{state.value} by the operator: always the same"
    assert {row.model_id for row in Leaderboard(any_database).standings().rows if row.votes} == {"heron", "wren"}

    assert decide(any_database, "anna", VoterVerdict.COUNT, "She explained it.") == 3
    assert _same(_counts(any_database), both)
    assert [(v.state, v.rated, v.state_reason) for v in _votes(any_database, "anna")][:3] == [
        (VoteState.COUNTED, True, None)
    ] * 3
    rebuild_counts(any_database)
    assert _same(_counts(any_database), both)


def test_the_history_of_decisions_is_kept_and_repeating_one_moves_nothing(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna")

    moved = [
        decide(any_database, "anna", decision, "reason")
        for decision in (VoterVerdict.HOLD, VoterVerdict.HOLD, VoterVerdict.EXCLUDE, VoterVerdict.COUNT)
    ]

    assert moved == [1, 0, 1, 1]
    with any_database.read() as session:
        history = session.scalars(select(VoterDecision).order_by(VoterDecision.id)).all()
    assert [d.decision.value for d in history] == ["hold", "hold", "exclude", "count"]
    assert [d.votes for d in history] == moved
    assert read_counts(any_database, ["battle"]).votes == 1


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (VoterVerdict.HOLD, VoteState.HELD),
        (VoterVerdict.EXCLUDE, VoteState.EXCLUDED),
        (VoterVerdict.COUNT, VoteState.COUNTED),
    ],
)
def test_later_votes_are_stored_as_the_decision_says(
    any_database: Database, decision: VoterVerdict, state: VoteState
) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    battle = _open_battle(any_database, heron, wren, "anna")
    others = _open_battle(any_database, heron, wren, "ben")
    decide(any_database, "anna", VoterVerdict.HOLD, "first thought")
    decide(any_database, "anna", decision, "second thought")

    cast(any_database, Ballot(battle, "anna", Winner.MODEL_A), demo=False)
    cast(any_database, Ballot(others, "ben", Winner.MODEL_A), demo=False)

    (vote,) = _votes(any_database, "anna")
    assert vote.state is state
    assert vote.rated is (state is VoteState.COUNTED)
    assert read_counts(any_database, ["battle"]).votes == (2 if state is VoteState.COUNTED else 1)


def test_a_voter_may_withdraw_a_held_vote_and_counting_does_not_bring_it_back(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    battle = add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna")
    add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna")
    decide(any_database, "anna", VoterVerdict.HOLD, "reason")

    withdraw(any_database, battle, "anna")
    moved = decide(any_database, "anna", VoterVerdict.COUNT, "reason")

    assert moved == 1
    assert [vote.state for vote in _votes(any_database, "anna")] == [VoteState.WITHDRAWN, VoteState.COUNTED]
    assert read_counts(any_database, ["battle"]).votes == 1


def test_votes_withdrawals_and_decisions_in_the_same_moment_leave_exact_counts(any_database: Database) -> None:
    heron, wren = add_models(any_database, "heron", "wren")
    open_battles = [_open_battle(any_database, heron, wren, "anna") for _ in range(8)]
    voted = [add_vote(any_database, heron, wren, Winner.MODEL_A, voter="anna") for _ in range(8)]
    at_once = threading.Barrier(3)

    def vote() -> None:
        at_once.wait(10)
        for battle in open_battles:
            cast(any_database, Ballot(battle, "anna", Winner.MODEL_B), demo=False)

    def take_back() -> None:
        at_once.wait(10)
        for battle in voted:
            withdraw(any_database, battle, "anna")

    def change_ones_mind() -> None:
        at_once.wait(10)
        for _ in range(4):
            decide(any_database, "anna", VoterVerdict.HOLD, "reason")
            decide(any_database, "anna", VoterVerdict.COUNT, "reason")
        decide(any_database, "anna", VoterVerdict.HOLD, "reason")

    with ThreadPoolExecutor(3) as people:
        for done in [people.submit(work) for work in (vote, take_back, change_ones_mind)]:
            done.result(60)

    assert {vote.state for vote in _votes(any_database, "anna")} == {VoteState.HELD, VoteState.WITHDRAWN}
    assert read_counts(any_database, ["battle"]).votes == 0
    decide(any_database, "anna", VoterVerdict.COUNT, "reason")
    assert read_counts(any_database, ["battle"]).wins.tolist() == [[0, 0], [8, 0]]


def test_a_vote_that_waits_behind_a_decision_is_stored_as_it_says(any_database: Database) -> None:
    """The decision holds the counters' lock when the vote arrives."""
    heron, wren = add_models(any_database, "heron", "wren")
    battle = _open_battle(any_database, heron, wren, "anna")
    decided = threading.Event()

    with ThreadPoolExecutor(1) as people:
        with any_database.write() as session:
            next_sequence(session)
            session.add(VoterDecision(voter_id="anna", decision=VoterVerdict.HOLD, reason="reason", votes=0))
            session.flush()
            waiting = people.submit(cast, any_database, Ballot(battle, "anna", Winner.MODEL_B), demo=False)
            assert not decided.wait(0.2)
            assert not waiting.done()
        waiting.result(20)

    assert [vote.state for vote in _votes(any_database, "anna")] == [VoteState.HELD]


@pytest.mark.parametrize(("voter", "reason", "told"), [("nobody", "why", "no voter nobody"), ("anna", " ", "a reason")])
def test_a_decision_needs_a_voter_and_a_reason(database: Database, voter: str, reason: str, told: str) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.TIE, voter="anna")

    with pytest.raises(ConfigError, match=told):
        decide(database, voter, VoterVerdict.HOLD, reason)


def test_a_voter_is_named_by_how_its_id_begins_if_only_one_does(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    for voter in ("anna", "annabel", "b%n"):
        add_vote(database, heron, wren, Winner.TIE, voter=voter)

    assert find_voter(database, "anna") == "anna"
    assert find_voter(database, "annab") == "annabel"
    assert find_voter(database, "b%") == "b%n"
    for start in ("ann", "", "x", "a%"):
        with pytest.raises(ConfigError, match="--all"):
            find_voter(database, start)


def test_the_preview_is_what_the_decision_then_does(any_database: Database) -> None:
    heron, wren, swift = add_models(any_database, "heron", "wren", "swift")
    for _ in range(6):
        add_vote(any_database, heron, wren, Winner.MODEL_A, voter="ben")
    for _ in range(4):
        add_vote(any_database, wren, heron, Winner.MODEL_A, voter="anna", criteria={"clarity": "model_a"})
        add_vote(any_database, swift, heron, Winner.BOTH_BAD, voter="anna")
    before = {row.revision_id: row for row in Leaderboard(any_database).standings().rows}

    foreseen = preview(any_database, ["anna"], VoterVerdict.EXCLUDE)
    decide(any_database, "anna", VoterVerdict.EXCLUDE, "reason")
    back = preview(any_database, ["anna"], VoterVerdict.COUNT)

    after = {row.revision_id: row for row in Leaderboard(any_database).standings().rows}
    assert foreseen.votes == back.votes == 8
    for row in foreseen.rows:
        now, then = before[row.revision_id], after[row.revision_id]
        assert row.rating_now == pytest.approx(now.rating)
        assert row.rating_then == pytest.approx(then.rating)
        assert (row.rank_now, row.rank_then) == (now.rank, then.rank)
        assert (row.votes_now, row.votes_then) == (now.votes, then.votes)
    assert {(r.revision_id, r.rating_then) for r in back.rows} == {(r.revision_id, r.rating_now) for r in foreseen.rows}
    assert foreseen.sentence.startswith("8 votes would no longer count: Heron moves most, by +")


def test_a_preview_of_nothing_says_so(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.TIE, voter="anna")

    assert preview(database, ["anna"], VoterVerdict.COUNT).sentence == "This would change no vote that counts."


def _suspicious(database: Database) -> None:
    """Twelve people who differ, and one who always picks side A."""
    models = add_models(database, "heron", "wren", "swift", "ibis")
    rng = np.random.default_rng(4)
    for voter in range(12):
        for _ in range(8):
            a, b = rng.choice(4, 2, replace=False).tolist()
            winner = Winner.MODEL_A if (a < b) == (rng.random() < 0.7) else Winner.MODEL_B
            add_vote(database, models[a], models[b], winner, voter=f"person-{voter}")
    for _ in range(20):
        a, b = rng.choice(4, 2, replace=False).tolist()
        add_vote(database, models[a], models[b], Winner.MODEL_A, voter="left-hander")
    add_vote(database, models[0], models[1], Winner.TIE, voter="newcomer")


def test_the_review_puts_who_waits_for_a_decision_first_and_remembers_what_was_decided(any_database: Database) -> None:
    _suspicious(any_database)

    first = review_voters(any_database)
    decide(any_database, "left-hander", VoterVerdict.HOLD, "always side A")
    second = review_voters(any_database)

    suspect = first.voters[0]
    assert (suspect.voter_id, suspect.waits, suspect.votes) == ("left-hander", True, 20)
    assert suspect.sentence == "looks like always side A"
    newcomer = next(voter for voter in first.voters if voter.voter_id == "newcomer")
    assert newcomer.sentence == "not checked: fewer than 5 votes"
    decided = next(voter for voter in second.voters if voter.voter_id == "left-hander")
    assert (decided.check, decided.decision, decided.waits) == (CheckState.FLAGGED, VoterVerdict.HOLD, False)
    assert decided.votes == 20
    assert second.side_bias.share < first.side_bias.share
    assert "14 voters" in first.sentence


def test_the_commands_show_decide_and_only_foresee(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    _suspicious(database)

    assert main(["voters"]) == 0
    shown = capsys.readouterr().out
    assert main(["voters", "decide", "left", "hold", "--reason", "always side A", "--dry-run"]) == 0
    foreseen = capsys.readouterr().out
    states_before = {vote.state for vote in _votes(database, "left-hander")}
    assert main(["voters", "decide", "left", "hold", "--reason", "always side A"]) == 0
    done = capsys.readouterr().out
    assert main(["voters", "--json", "--all"]) == 0
    review = json.loads(capsys.readouterr().out)

    assert "left-hander" in shown
    assert "person-1 " not in shown
    assert "20 votes would no longer count" in foreseen
    assert states_before == {VoteState.COUNTED}
    assert "left-hander: 20 votes are held now, and so are later ones." in done
    assert {vote.state for vote in _votes(database, "left-hander")} == {VoteState.HELD}
    assert len(review["voters"]) == 14
    assert next(v for v in review["voters"] if v["voter"] == "left-hander")["decision"] == "hold"


def test_the_database_named_before_decide_is_the_one_that_is_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = database_of(tmp_path / "elsewhere")
    database = open_database(elsewhere)
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.TIE, voter="anna")

    status = main(["voters", "--database", elsewhere, "decide", "anna", "exclude", "--reason", "asked for it"])

    assert status == 0
    assert [vote.state for vote in _votes(database, "anna")] == [VoteState.EXCLUDED]
    assert main(["voters", "decide", "anna", "hold", "--reason", "x"]) == 2
    assert "no voter's id begins with 'anna'" in capsys.readouterr().err.lower()
    database.close()


def test_votes_of_a_first_release_survive_the_migration(any_database: Database) -> None:
    """Down to the first tables and up again: the same votes, and the new word is accepted."""
    heron, wren = add_models(any_database, "heron", "wren")
    add_vote(any_database, heron, wren, Winner.BOTH_BAD, voter="anna", criteria={"clarity": "tie"})
    decide(any_database, "anna", VoterVerdict.HOLD, "reason")
    take_back(any_database, "0001")
    with any_database.engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM votes")).scalars().all()

    any_database.migrate()

    assert states == ["excluded"]
    (vote,) = _votes(any_database, "anna")
    assert (vote.winner, vote.criteria, vote.state) == (Winner.BOTH_BAD, {"clarity": "tie"}, VoteState.EXCLUDED)
    assert decide(any_database, "anna", VoterVerdict.HOLD, "reason") == 1
    with pytest.raises(Exception, match="votestate"), any_database.write() as session:
        session.execute(text("UPDATE votes SET state = 'lost'"))
