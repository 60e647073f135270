"""Slices of the votes, added up by voter and pair, on every supported database."""

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from arena.ballots import Slice, people_behind, read_ballots
from arena.counts import PairCounts, read_counts, rebuild_counts
from arena.database import Database
from arena.rubric import criterion_key
from arena.tables import Battle, Conversation, Mode, Vote, VoteState, Winner
from tests.arena_facts import add_models, add_vote, withdraw_vote


def describe(database: Database, battle: str, **columns: object) -> None:
    """Change what the conversation of a battle was about."""
    with database.write() as session:
        conversation = session.get_one(Battle, battle).conversation_id
        session.execute(update(Conversation).where(Conversation.id == conversation).values(**columns))


def vote(database: Database, pair: Sequence[int], winner: Winner, voter: str = "someone", **facts: object) -> str:
    return add_vote(database, pair[0], pair[1], winner, voter=voter, **facts)  # type: ignore[arg-type]


def sliced_counts(database: Database, part: Slice | None = None) -> PairCounts:
    """What the votes of a slice count for; without one, all that are rated."""
    return read_ballots(database, part or Slice()).counts()


def test_without_conditions_a_slice_is_what_the_counts_say(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    for winner in Winner:
        vote(any_database, pair, winner, "ann")
        vote(any_database, pair[::-1], winner, "bea")
    vote(any_database, pair, Winner.TIE, mode=Mode.IMPORTED)
    vote(any_database, pair, Winner.MODEL_A, mode=Mode.SIDE_BY_SIDE, rated=False)
    vote(any_database, pair, Winner.MODEL_A, rated=False, state=VoteState.EXCLUDED)
    withdraw_vote(any_database, vote(any_database, pair, Winner.MODEL_A, "cal"))

    counts = sliced_counts(any_database)

    assert list(counts.revisions) == list(pair)
    assert counts.wins.tolist() == [[0, 2], [2, 0]]
    assert counts.ties.tolist() == [[0, 3], [3, 0]]
    assert counts.both_bad.tolist() == [[0, 2], [2, 0]]
    assert counts.votes == 9
    assert sliced_counts(any_database, Slice(scopes=("imported",))).votes == 1


def test_votes_are_found_by_tag_and_no_tag_passes_for_another(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    describe(any_database, vote(any_database, pair, Winner.MODEL_A), challenge_tags=["planning", "été 100%_"])
    describe(any_database, vote(any_database, pair, Winner.MODEL_B), challenge_tags=["plan"])

    assert sliced_counts(any_database, Slice(tag="planning")).wins.tolist() == [[0, 1], [0, 0]]
    assert sliced_counts(any_database, Slice(tag="été 100%_")).votes == 1
    assert sliced_counts(any_database, Slice(tag="plan")).wins.tolist() == [[0, 0], [1, 0]]
    assert sliced_counts(any_database, Slice(tag="100%")).votes == 0


def test_votes_are_found_by_language_turns_platform_and_voters(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    mixed = (pair[0], *add_models(any_database, "ibis", platform="vertex"))
    describe(any_database, vote(any_database, pair, Winner.MODEL_A, "ann"), language="en")
    turns = (("One?", "1", "I"), ("Two?", "2", "II"))
    describe(any_database, vote(any_database, mixed, Winner.TIE, "bea", turns=turns), language="fr")

    assert sliced_counts(any_database, Slice(language="en")).wins.sum() == 1
    assert sliced_counts(any_database, Slice(language="fr")).ties.sum() == 2
    assert sliced_counts(any_database, Slice(turns=2)).ties.sum() == 2
    assert sliced_counts(any_database, Slice(turns=1)).votes == 1
    assert sliced_counts(any_database, Slice(platform="openai")).wins.sum() == 1
    assert sliced_counts(any_database, Slice(platform="vertex")).votes == 0
    assert sliced_counts(any_database, Slice(voters=frozenset({"bea"}))).ties.sum() == 2
    assert sliced_counts(any_database, Slice(voters=frozenset())).votes == 0
    assert sliced_counts(any_database, Slice(language="en", turns=2)).votes == 0


def test_a_criterion_counts_its_own_verdicts_and_leaves_out_who_did_not_rate_it(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    vote(any_database, pair, Winner.MODEL_A, criteria={"clarity": "model_b"})
    vote(any_database, pair, Winner.MODEL_A, criteria={"warmth": "tie"})

    assert sliced_counts(any_database, Slice(criterion="clarity")).wins.tolist() == [[0, 0], [1, 0]]
    assert sliced_counts(any_database, Slice(criterion="warmth")).votes == 1
    assert sliced_counts(any_database, Slice(criterion="wit")).votes == 0


def test_votes_under_two_versions_of_a_rubric_never_mix(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    vote(any_database, pair, Winner.MODEL_A, criteria={"clarity": "model_a"}, rubric_version="1")
    vote(any_database, pair, Winner.MODEL_A, criteria={"clarity": "model_b"}, rubric_version="2")
    rebuild_counts(any_database)

    for version, wins in (("1", [[0, 1], [0, 0]]), ("2", [[0, 0], [1, 0]])):
        key = criterion_key("clarity", version)
        assert sliced_counts(any_database, Slice(criterion=key)).wins.tolist() == wins
        assert read_counts(any_database, ["battle"], key).wins.tolist() == wins
    assert sliced_counts(any_database, Slice(criterion="clarity")).votes == 0
    assert sliced_counts(any_database).votes == 2


def test_votes_of_one_voter_on_one_pair_are_added_up_whichever_the_seats(any_database: Database) -> None:
    pair = add_models(any_database, "heron", "wren")
    for voter, seats, winner in (
        ("ann", pair, Winner.MODEL_A),
        ("ann", pair, Winner.MODEL_B),
        ("ann", pair[::-1], Winner.MODEL_A),
        ("bea", pair, Winner.BOTH_BAD),
    ):
        vote(any_database, seats, winner, voter)

    ballots = read_ballots(any_database, Slice())

    ann = ballots.voter == ballots.voter[ballots.wins_low + ballots.wins_high > 0][0]
    assert (ballots.wins_low[ann].sum(), ballots.wins_high[ann].sum()) == (1, 2)
    assert ballots.both_bad[~ann].tolist() == [1]
    assert ballots.votes == 4


def test_people_are_counted_once_a_row_and_only_for_votes_between_rows(any_database: Database) -> None:
    a, b, c = add_models(any_database, "a", "b", "c")
    for voter, pair in (("ann", (a, b)), ("ann", (a, c)), ("bea", (a, c)), ("cal", (b, a))):
        vote(any_database, pair, Winner.MODEL_A, voter)
    ballots = read_ballots(any_database, Slice())

    assert people_behind(ballots, {a: 0, b: 1, c: 2}, 3) == ([3, 2, 2], 3)
    assert people_behind(ballots, {a: 0, b: 0, c: 1}, 2) == ([2, 2], 2)
    assert people_behind(read_ballots(any_database, Slice(language="xx")), {a: 0}, 1) == ([0], 0)


def test_votes_of_an_imported_file_without_voters_are_known_to_be_of_nobody(any_database: Database) -> None:
    from arena.tables import ImportedVote

    pair = add_models(any_database, "heron", "wren")
    battle = vote(any_database, pair, Winner.MODEL_A, "imported:abc", mode=Mode.IMPORTED)
    vote(any_database, pair, Winner.MODEL_A, "imported:somebody", mode=Mode.IMPORTED)
    with any_database.write() as session:
        session.add(ImportedVote(key="1", battle_id=battle, source="abc"))
        assert session.get_one(Vote, battle).voter_id == "imported:abc"

    ballots = read_ballots(any_database, Slice())

    assert len(set(ballots.voter.tolist())) == 2
    assert len(ballots.unknown) == 1


@pytest.mark.parametrize("platform", ["openai", "nobody's"])
def test_an_empty_slice_is_no_error(any_database: Database, platform: str) -> None:
    counts = sliced_counts(any_database, Slice(platform=platform))

    assert counts.votes == 0
    assert list(counts.revisions) == []
