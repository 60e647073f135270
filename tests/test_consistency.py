"""What votes on the same answers say of the people who gave them."""

import random

from sqlalchemy import select

from arena.answer_style import measure
from arena.consistency import VoterFinding, read_consistency, read_voter_findings
from arena.database import Database
from arena.tables import Answer, AnswerStyle, Mode, VoteState, Winner
from tests.arena_facts import RUBRIC, add_models, add_vote, judge_again

SIDE = {True: Winner.MODEL_A, False: Winner.MODEL_B}


def items(database: Database, number: int, state: VoteState = VoteState.WITHDRAWN) -> list[str]:
    """Battles of two models, whose first vote was Anna's."""
    heron, wren = add_models(database, "heron", "wren")
    counted = state is VoteState.COUNTED
    return [
        add_vote(database, heron, wren, Winner.MODEL_A, mode=Mode.CAMPAIGN, voter="anna", state=state, rated=counted)
        for _ in range(number)
    ]


def voter(database: Database, name: str) -> VoterFinding:
    return next(found for found in read_voter_findings(database, RUBRIC) if found.voter == name)


def test_people_who_judge_the_same_answers_agree_whichever_way_they_were_seated(any_database: Database) -> None:
    chance = random.Random(2)
    for battle in items(any_database, 12, VoteState.COUNTED):
        for person in ("ben", "cleo"):
            swapped = chance.random() < 0.5
            judge_again(any_database, battle, SIDE[not swapped], voter=person, swapped=swapped)
    items(any_database, 1, VoteState.COUNTED)

    found = read_consistency(any_database, RUBRIC)

    assert (found.people.value, found.people.same, found.ordered.value) == (1.0, 1.0, 1.0)
    assert (found.people.units, found.people.judgements) == (12, 36)
    assert found.people.sentence.startswith("People agree, reliably (α 1.00")


def test_agreement_is_told_by_criterion_and_on_what_people_disagree(database: Database) -> None:
    chance = random.Random(5)
    for battle in items(database, 30):
        better = chance.choice(list(SIDE.values()))
        for person in ("ben", "cleo", "dora"):
            warmth = chance.choice(list(SIDE.values()))
            judge_again(
                database,
                battle,
                better,
                voter=person,
                criteria={"clarity": better.value, "warmth": warmth.value},
                rubric_version=RUBRIC.version,
            )

    found = read_consistency(database, RUBRIC)
    clarity, warmth_found = found.criteria

    assert clarity.alpha.value == 1.0
    assert warmth_found.alpha.low is not None
    assert warmth_found.alpha.low < 0.1 < 0.8 < (clarity.alpha.low or 0.0)
    assert found.disputed.startswith("People agree least on “Warmth”")
    assert found.disputed.endswith("more than chance.")
    assert clarity.association.sentence.startswith("Goes with the overall vote")
    assert warmth_found.association.sentence.startswith("It is open")


def test_on_which_two_models_people_disagree_is_told_by_their_names(database: Database) -> None:
    chance = random.Random(6)
    heron, wren, owl = add_models(database, "heron", "wren", "owl")
    for _ in range(20):
        better = chance.choice(list(SIDE.values()))
        for rival, agreed in ((wren, True), (owl, False)):
            first = add_vote(database, heron, rival, better, mode=Mode.CAMPAIGN, voter="anna")
            for person in ("ben", "cleo"):
                judge_again(database, first, better if agreed else chance.choice(list(SIDE.values())), voter=person)

    found = read_consistency(database, RUBRIC)

    assert [match.names for match in found.matches] == [("Heron", "Owl"), ("Heron", "Wren")]
    assert found.matches[1].alpha.value == 1.0
    assert found.disputed_models.startswith("People agree least on Heron against Owl (α")
    assert (
        "most on Heron against Wren (α 1.00, 1.00 to 1.00, n 20), and the difference is more" in found.disputed_models
    )
    assert found.disputed_models.endswith("more than by chance is not shown on Heron against Owl.")


def test_votes_under_another_version_named_models_and_withdrawn_ones_are_left_out(database: Database) -> None:
    (battle,) = items(database, 1, VoteState.COUNTED)
    judge_again(database, battle, Winner.TIE, voter="ben", criteria={"clarity": "model_a"}, rubric_version="0")
    judge_again(database, battle, Winner.TIE, voter="cleo", mode=Mode.SIDE_BY_SIDE)
    heron, wren = add_models(database, "heron", "wren")
    add_vote(database, heron, wren, Winner.TIE, voter="dora", state=VoteState.WITHDRAWN, rated=False)

    found = read_consistency(database, RUBRIC)

    assert found.people.judgements == 2
    assert (found.criteria[0].association.rated, found.criteria[0].alpha.units) == (0, 0)
    assert {finding.voter for finding in read_voter_findings(database, RUBRIC)} == {"anna", "ben"}


def test_who_always_picks_the_left_side_is_found_by_sides_repeats_and_others(database: Database) -> None:
    chance = random.Random(8)
    for battle in items(database, 20):
        better = chance.choice(list(SIDE.values()))
        for person in ("ben", "cleo"):
            judge_again(database, battle, better, voter=person)
        for swapped in (False, True):
            judge_again(database, battle, Winner.MODEL_A, voter="lefty", swapped=swapped)

    lefty, ben = voter(database, "lefty"), voter(database, "ben")

    assert lefty.side_a is not None
    assert ben.side_a is not None
    assert lefty.side_a.value == 1.0
    assert lefty.side_a.low > 0.85
    assert ben.side_a.low < 0.5 < ben.side_a.high
    assert lefty.repeats.same is not None
    assert lefty.repeats.same.value == 0.0
    assert (lefty.repeats.swapped_changes, lefty.repeats.stayed_left) == (20, 20)
    assert lefty.repeats.sentence.endswith("the same side won again: side A in 20.")
    assert lefty.others is not None
    assert ben.others is not None
    assert (lefty.others.low or 0.0) <= 0.0 < (ben.others.low or 0.0)


def test_who_answers_at_random_agrees_with_nobody_and_not_with_themselves(database: Database) -> None:
    chance = random.Random(9)
    for battle in items(database, 24):
        better = chance.choice(list(SIDE.values()))
        for person in ("ben", "cleo"):
            judge_again(database, battle, better, voter=person)
        judge_again(database, battle, SIDE[better is Winner.MODEL_B], voter="ben", swapped=True)
        for swapped in (False, True):
            judge_again(database, battle, chance.choice(list(SIDE.values())), voter="coin", swapped=swapped)

    coin, ben = voter(database, "coin"), voter(database, "ben")

    assert coin.others is not None
    assert coin.others.sentence.startswith("It is not shown")
    assert ben.others is not None
    assert (ben.others.low or 0.0) > 0.5
    assert coin.repeats.same is not None
    assert ben.repeats.same is not None
    assert coin.repeats.same.low < 0.5 < coin.repeats.same.high
    assert ben.repeats.same.value == 1.0


def test_a_liking_for_length_and_for_formatting_is_told_for_each_voter(database: Database) -> None:
    heron, wren = add_models(database, "heron", "wren")
    long, short = "# Much\n\n- more\n- of it, and **bold** as well", "Little."
    chance = random.Random(3)
    for _ in range(20):
        first = chance.random() < 0.5
        turns = [("Say it.", long, short) if first else ("Say it.", short, long)]
        add_vote(database, heron, wren, SIDE[first], voter="lover", turns=turns)
        add_vote(database, heron, wren, chance.choice(list(SIDE.values())), voter="even", turns=turns)
    with database.write() as session:
        for answer in session.scalars(select(Answer)).all():
            look = measure(answer.text)
            columns = {"headings": look.headings, "lists": look.lists, "bold": look.bold}
            session.add(AnswerStyle(answer_id=answer.id, characters=look.characters, **columns))

    lover, even = voter(database, "lover"), voter(database, "even")

    assert lover.longer is not None
    assert even.longer is not None
    assert lover.formatted is not None
    assert (lover.longer.value, lover.formatted.value, lover.longer.votes) == (1.0, 1.0, 20)
    assert even.longer.low < 0.5 < even.longer.high


def test_an_arena_without_votes_says_so(database: Database) -> None:
    found = read_consistency(database, RUBRIC)

    assert found.people.sentence.startswith("Nothing was judged by two people yet")
    assert found.repeats.sentence.startswith("Nobody was shown")
    assert (found.disputed, found.disputed_models, found.side_a) == ("", "", None)
