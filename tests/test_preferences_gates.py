"""The gates: each holds back what it says, and the list behind its count is the battles."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arena.database import Database
from arena.errors import ConfigError, FailureKind
from arena.preferences import privacy, refusal
from arena.preferences.gates import HELD_BACK, NO_PAIR
from arena.preferences.lengths import wilson
from arena.preferences.privacy import personal_data
from arena.preferences.refusal import is_refusal
from arena.preferences.withholding import reasons_of, release, withhold
from arena.tables import Mode, Side, VoterVerdict, VoteState, Winner
from arena.voter_decisions import decide
from tests.arena_facts import add_models, add_vote
from tests.preference_facts import GOOD, PROMPT, SECRET_GARDEN, TURNS, WORSE, change_answer, select

A, B, TIE, BOTH_BAD = Winner
HISTORY = ({"role": "user", "content": "I feel lost."}, {"role": "assistant", "content": "Where would you be?"})


@pytest.fixture
def hare_and_fox(database: Database) -> tuple[int, int]:
    """Two models' revisions."""
    hare, fox = add_models(database, "hare", "fox")
    return hare, fox


@pytest.fixture
def vote(database: Database, hare_and_fox: tuple[int, int]) -> Callable[..., str]:
    """Add a vote for the hare that teaches, but for what the test changes; returns its battle."""
    return voting(database, hare_and_fox)


def voting(database: Database, models: tuple[int, int]) -> Callable[..., str]:
    def add(winner: Winner = A, *, revisions: tuple[int, int] = models, **facts: Any) -> str:
        return add_vote(database, *revisions, winner, **{"turns": TURNS, **facts})

    return add


@pytest.fixture
def vote_anywhere(any_database: Database) -> Callable[..., str]:
    """`vote`, on every kind of database."""
    hare, fox = add_models(any_database, "hare", "fox")
    return voting(any_database, (hare, fox))


def answered(a: str, b: str = WORSE, prompt: str = PROMPT) -> dict[str, Any]:
    return {"turns": ((prompt, a, b),)}


LONG = "A step taken every morning leads further than a plan that is made every evening. " * 8
SPOILED: dict[str, dict[str, Any]] = {
    "not_asked_for": {"mode": Mode.SIDE_BY_SIDE, "rated": False},
    "no_text": {"turns": ()},
    "own_histories": {"turns": (*TURNS, ("And then?", "Take one step.", "Write another list."))},
    "tie": {"winner": TIE},
    "both_bad": {"winner": BOTH_BAD},
    "withdrawn": {"state": VoteState.WITHDRAWN},
    "excluded_voter": {"state": VoteState.HELD},
    "held_out": {"challenge_id": SECRET_GARDEN.id},
    "empty": answered("  \n"),
    "disorder": {"history": HISTORY[:1]},
    "near_identical": answered(WORSE.upper().replace(" ", "\n", 1) + " "),
    "refusal": answered("I'm sorry, but I can't help with that."),
    "length_ratio": answered(LONG),
    "personal_data": answered("Write to jane.roe@orchard-keepers.net and ask her."),
}


def test_votes_are_held_back_for_what_is_wrong_with_them_and_listed(
    any_database: Database, vote_anywhere: Callable[..., str], tmp_path: Path
) -> None:
    vote_anywhere()
    spoiled = {reason: vote_anywhere(voter="another", **facts) for reason, facts in SPOILED.items()}

    with select(any_database, tmp_path) as found:
        told = {**found.no_pair, **found.held_back_counts}
        listed = {reason: [battle.battle for battle in found.held_back(reason)] for reason in SPOILED}

    assert told == dict.fromkeys(SPOILED, 1)
    assert listed == {reason: [battle] for reason, battle in spoiled.items()}
    assert (found.votes, found.kept, found.lessons_kept) == (len(SPOILED) + 1, 1, 1)


def test_an_answer_that_was_cut_off_failed_or_gave_itself_away_is_held_back(
    database: Database, vote: Callable[..., str]
) -> None:
    change_answer(database, vote(), Side.A, finish_reason="length")
    change_answer(database, vote(), Side.B, finish_reason=None)
    change_answer(database, vote(), Side.B, failure=FailureKind.SILENCE)
    change_answer(database, vote(), Side.A, identity_findings=["I am Gemini"])

    with select(database) as found:
        assert found.held_back_counts == {"unfinished": 3, "identity": 1}


def test_demonstration_models_and_different_system_prompts_make_no_pair(
    database: Database, vote: Callable[..., str], hare_and_fox: tuple[int, int]
) -> None:
    (demo,) = add_models(database, "demo-1", platform="demo")
    poet, bard = add_models(database, "poet", "bard", system_prompt="Answer in verse.")
    vote(revisions=(hare_and_fox[0], demo))
    vote(revisions=(hare_and_fox[0], poet))
    vote(revisions=(poet, bard))

    with select(database) as found:
        (pair,) = found.pairs()
        assert found.held_back_counts == {"demo": 1, "system_prompts": 1}
        assert pair.prompt.system == "Answer in verse."


def test_votes_that_never_count_are_held_back_with_their_voter_too(
    database: Database, vote: Callable[..., str]
) -> None:
    vote(voter="troll", rated=False)
    vote(voter="troll", **answered("Look at what is there.", prompt="Where am I?"))
    decide(database, "troll", VoterVerdict.EXCLUDE, "always the left side")

    with select(database) as found:
        assert found.held_back_counts == {"excluded_voter": 2}

    decide(database, "troll", VoterVerdict.COUNT, "it was a mistake")
    with select(database) as found:
        assert found.kept == 2


def test_the_operator_withholds_a_battle_and_releases_it(
    any_database: Database, vote_anywhere: Callable[..., str], tmp_path: Path
) -> None:
    battle, other = vote_anywhere(), vote_anywhere(voter="ben", history=HISTORY)

    withhold(any_database, battle, "a private matter")
    withhold(any_database, battle, "a  private\nmatter, indeed")
    assert reasons_of(any_database, [battle, other]) == {battle: "a private matter, indeed"}
    with select(any_database, tmp_path) as found:
        assert found.held_back_counts == {"withheld": 1}
        assert [pair.battle for pair in found.pairs()] == [other]
    release(any_database, battle)
    with select(any_database, tmp_path) as found:
        assert found.kept == 2

    with pytest.raises(ConfigError, match="Say why"):
        withhold(any_database, battle, " ")
    with pytest.raises(ConfigError, match="is not withheld"):
        release(any_database, battle)
    with pytest.raises(ConfigError, match="no battle"):
        withhold(any_database, "nowhere", "because")


@pytest.mark.parametrize(
    "asked",
    [
        f"  {SECRET_GARDEN.text.upper()}",
        f"Please: {SECRET_GARDEN.text} In French.",
        SECRET_GARDEN.text.replace("nobody", "no one"),
    ],
)
def test_a_held_out_challenge_is_known_by_its_words_wherever_it_stands(
    database: Database, vote: Callable[..., str], asked: str
) -> None:
    vote(**answered(GOOD, prompt=asked))
    vote(history=({"role": "user", "content": asked}, {"role": "assistant", "content": "Moss."}))

    with select(database) as found:
        assert found.held_back_counts == {"held_out": 2}


def test_people_who_contradict_each_other_on_two_answers_are_held_back_all(
    database: Database, vote: Callable[..., str], hare_and_fox: tuple[int, int]
) -> None:
    torn = {vote(voter="anna"), vote(voter="ben"), vote(B, voter="cleo")}
    torn |= {vote(A, voter="dan", revisions=hare_and_fox[::-1], **answered(WORSE, GOOD))}
    vote(voter="anna", **answered("Elsewhere.", prompt="Where?"))

    with select(database) as found:
        assert found.held_back_counts == {"conflict": 4}
        assert {battle.battle for battle in found.held_back("conflict")} == torn
        assert found.kept == 1


def test_one_person_who_prefers_now_this_model_now_that_is_held_back_and_strictly_many_are(
    database: Database, vote: Callable[..., str]
) -> None:
    vote(A, voter="anna")
    vote(B, voter="anna", **answered("See it.", "Do it."))
    vote(A, voter="ben", **answered("Orchards.", "Lists."))

    with select(database) as found:
        assert (found.kept, found.held_back_counts) == (1, {"conflict": 2})
    with select(database, strict=True) as found:
        assert (found.kept, found.held_back_counts) == (0, {"conflict": 3})


def test_people_who_agree_on_two_answers_make_one_pair_with_its_margin(
    database: Database, vote: Callable[..., str], hare_and_fox: tuple[int, int]
) -> None:
    first = vote(voter="anna", mode=Mode.CAMPAIGN)
    vote(voter="ben", mode=Mode.CAMPAIGN)
    vote(voter="ben", mode=Mode.CAMPAIGN)
    vote(B, voter="cleo", mode=Mode.CAMPAIGN, revisions=hare_and_fox[::-1], **answered(WORSE, GOOD))

    with select(database) as found:
        (pair,) = found.pairs()

        assert (found.kept, found.lessons_kept) == (4, 1)
        assert (pair.battle, pair.agreed, pair.chosen.text, pair.chosen.model) == (first, 3, GOOD, "hare@1")


def test_a_criterion_has_pairs_of_its_own(database: Database, vote: Callable[..., str]) -> None:
    vote(A, criteria={"clarity": "model_b"})
    vote(A, voter="ben", criteria={"clarity": "tie"})
    vote(A, voter="cleo")

    with select(database, criterion="clarity") as found:
        (pair,) = found.pairs()

        assert (pair.chosen.text, pair.criterion) == (WORSE, "clarity")
        assert found.no_pair == {"not_rated": 1, "tie": 1}


def test_a_continued_battle_is_a_pair_at_its_own_turn(database: Database, vote: Callable[..., str]) -> None:
    vote(history=HISTORY)

    with select(database) as found:
        (pair,) = found.pairs()

        assert pair.turn == 2
        assert [message["content"] for message in pair.prompt.messages] == [
            "I feel lost.",
            "Where would you be?",
            PROMPT,
        ]


def test_votes_on_named_models_and_imported_ones_teach_when_asked_to(
    database: Database, vote: Callable[..., str]
) -> None:
    vote(mode=Mode.SIDE_BY_SIDE, rated=False)
    vote(mode=Mode.IMPORTED, voter="ben", **answered("Elsewhere.", prompt="Where?"))

    with select(database, side_by_side=True, imported=True) as found:
        assert found.kept == 2


def test_every_gate_has_been_seen_to_hold_something_back() -> None:
    elsewhere = {"not_rated", "demo", "withheld", "system_prompts", "unfinished", "identity", "conflict"}

    assert {*SPOILED, *elsewhere} == {*HELD_BACK, *NO_PAIR}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Ask maria.gonzalez+work@correo.uni-sevilla.es today.", "email"),
        ("Write to somebody@example.com, as in the manual.", None),
        ("Call +49 30 901820 before noon.", "phone"),
        ("Her number is (212) 736-5000.", "phone"),
        ("From 1914 to 1918, 9,722,620 soldiers; 3.14159265358979.", None),
        ("My id is AKIA2E0A8F3B244C9986.", "key"),
        ("export KEY=sk-proj-4fJq0bPz9XyTn2LmVw8sRk3d", "key"),
        ("postgresql://arena:hunter2@db.internal/votes", "key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "key"),
        ("See https://www.gutenberg.org/files/1342/1342-h/1342-h.htm for the counterrevolutionaries.", None),
    ],
)
def test_personal_data_is_told_from_what_only_looks_like_it(text: str, kind: str | None) -> None:
    assert personal_data(text) == kind


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I’m sorry, but I can’t help with that.", True),
        ("As an AI language model, I don't have opinions.", True),
        ("I cannot in good conscience write this.", False),
        ("I must decline.", True),
        ("Je suis désolé, mais je ne peux pas vous aider.", True),
        ("Dabei kann ich Ihnen leider nicht helfen.", True),
        ("Lo siento, pero no puedo ayudarte.", True),
        ("Picture the room. You say: I can't do this. Then you do.", False),
        ("Begin. " * 60 + "I cannot help you with the rest.", False),
    ],
)
def test_a_refusal_is_told_by_how_an_answer_begins(text: str, *, refuses: bool) -> None:
    assert is_refusal(text) == refuses


SCRAPS = (
    *(
        "I",
        "I can't",
        "I can\u2019t",
        "I WON'T",
        "I cannot",
        "help",
        "I'm sorry, but",
        "I'm unable to",
        "I am not able to",
    ),
    *(
        "I'm afraid",
        "I must",
        "\u0130 must",
        "decline",
        "as an AI, I don't",
        "je ne peux",
        "pas aider",
        "je regrette, mais",
    ),
    *(
        "ich kann",
        "leider nicht",
        "helfen",
        "es tut mir leid, das",
        "no puedo",
        "ayudar",
        "lo siento, pero",
        "another word",
    ),
)


def test_what_is_looked_for_first_never_changes_what_is_found() -> None:
    """Random scraps: a text that the whole pattern fits is never passed over by the quick look before it."""
    chance = random.Random(7)
    found = {"refusals": 0, "numbers": 0, "long words": 0}
    for _ in range(2000):
        said = " ".join(chance.choices(SCRAPS, k=4))
        said = chance.choice((said, said.upper(), said.lower()))
        refuses = any(pattern.search(said.replace("\u2019", "'")) for _, pattern in refusal._PATTERNS)
        assert is_refusal(said) == refuses, said
        noise = "".join(chance.choices("0123456789 ()-.+/\n\tax\u2003\u0663", k=chance.randint(5, 60)))
        numbers = bool(privacy._MANY_DIGITS.search(noise))
        assert not numbers or privacy._DIGITS.search(noise), noise
        long_word = bool(privacy._LONG_WORD.search(noise))
        assert bool(privacy._UP_TO_A_LONG_WORD.match(noise)) == long_word, noise
        found["refusals"] += refuses
        found["numbers"] += numbers
        found["long words"] += long_word
    assert min(found.values()) > 100, found


def test_how_lengths_lean_is_told_with_its_interval(database: Database, vote: Callable[..., str]) -> None:
    with select(database) as found:
        assert "no pair" in found.lengths.sentence
    for number in range(12):
        vote(B if number else A, **answered(f"{number} short", f"{number} a good deal longer", prompt=f"{number}?"))

    with select(database) as found:
        lean = found.lengths

    assert (lean.pairs, lean.longer_chosen, lean.shorter_chosen) == (12, 11, 1)
    assert lean.chosen_median > lean.rejected_median
    assert lean.low is not None
    assert lean.low > 0.5
    assert "may learn to write more" in lean.sentence


def test_the_interval_is_wilsons() -> None:
    """Newcombe (1998), table I, method 3: 81 of 263 and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.308, 0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.0, 0.1611), abs=5e-5)


def test_answers_are_named_by_model_and_revision(
    database: Database, vote: Callable[..., str], hare_and_fox: tuple[int, int]
) -> None:
    (later,) = add_models(database, "hare")
    vote(revisions=(later, hare_and_fox[0]))

    with select(database) as found:
        assert [(pair.chosen.model, pair.rejected.model) for pair in found.pairs()] == [("hare@2", "hare@1")]
