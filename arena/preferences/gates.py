"""Why a vote makes no lesson. Pure: each reason has a name, a sentence, and one small function that tells it.

A vote is told the first reason that applies, in the order of `REASONS`, so that counts add up. First
what is no lesson by its nature, then what is held back.
"""

from collections.abc import Callable
from dataclasses import dataclass

from arena.preferences.candidates import Candidate
from arena.preferences.filters import Filters
from arena.preferences.held_out import HeldOut
from arena.preferences.privacy import personal_data
from arena.preferences.refusal import is_refusal
from arena.preferences.similarity import alike, plain
from arena.tables import Mode, VoteState, Winner

_FINISHED = frozenset({"stop", "end_turn", "eos", "unknown"})
"""Platforms' words for an answer that came to its own end; imported answers do not say, and say `unknown`."""
_SHORT = 500
"""Characters up to which an answer's length is nobody's preference."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the gates judge by."""

    filters: Filters
    held_out: HeldOut


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a vote makes no lesson."""

    name: str
    sentence: str
    applies: Callable[[Candidate, Grounds], bool]
    held_back: bool = True
    """Whether a gate holds it back; else it says nothing about two answers to one prompt."""


def _not_asked_for(vote: Candidate, grounds: Grounds) -> bool:
    if vote.mode is Mode.SIDE_BY_SIDE:
        return not grounds.filters.side_by_side
    return vote.mode is Mode.IMPORTED and not grounds.filters.imported


def _textless(vote: Candidate, _: Grounds) -> bool:
    return vote.sides is None


def _own_histories(vote: Candidate, _: Grounds) -> bool:
    return vote.turns > 1


def _unrated(vote: Candidate, _: Grounds) -> bool:
    return vote.verdict is None


def _tie(vote: Candidate, _: Grounds) -> bool:
    return vote.verdict is Winner.TIE


def _both_bad(vote: Candidate, grounds: Grounds) -> bool:
    return vote.verdict is Winner.BOTH_BAD and not grounds.filters.negatives


def _demo(vote: Candidate, _: Grounds) -> bool:
    return any(seated.platform == "demo" for seated in vote.sides or ())


def _withdrawn(vote: Candidate, _: Grounds) -> bool:
    return vote.state is VoteState.WITHDRAWN


def _excluded_voter(vote: Candidate, _: Grounds) -> bool:
    return vote.voter_set_aside or vote.state is not VoteState.COUNTED


def _withheld(vote: Candidate, _: Grounds) -> bool:
    return vote.withheld


def _held_out(vote: Candidate, grounds: Grounds) -> bool:
    return grounds.held_out.holds(vote.challenge_id, vote.prompt.messages)


def _system_prompts(vote: Candidate, _: Grounds) -> bool:
    return len({seated.system for seated in vote.sides or ()}) > 1


def _empty(vote: Candidate, _: Grounds) -> bool:
    said = [seated.said.text for seated in vote.sides or ()]
    return any(not text.strip() for text in (*said, *(message["content"] for message in vote.prompt.messages)))


def _disorder(vote: Candidate, _: Grounds) -> bool:
    roles = [message["role"] for message in vote.prompt.messages]
    return roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]


def _unfinished(vote: Candidate, _: Grounds) -> bool:
    return any(seated.failure is not None or seated.said.finish_reason not in _FINISHED for seated in vote.sides or ())


def _near_identical(vote: Candidate, grounds: Grounds) -> bool:
    one, other = (plain(seated.said.text) for seated in vote.sides or ())
    return alike(one, other, grounds.filters.near_identical)


def _identity(vote: Candidate, _: Grounds) -> bool:
    return any(seated.gave_itself_away for seated in vote.sides or ())


def _refusal(vote: Candidate, _: Grounds) -> bool:
    return any(is_refusal(seated.said.text) for seated in vote.sides or ())


def _length_ratio(vote: Candidate, grounds: Grounds) -> bool:
    shorter, longer = sorted(len(seated.said.text) for seated in vote.sides or ())
    return longer > _SHORT and longer > grounds.filters.length_ratio * shorter


def _personal_data(vote: Candidate, _: Grounds) -> bool:
    return any(personal_data(text) for text in vote.texts)


def _told_later(_: Candidate, __: Grounds) -> bool:
    """One vote does not tell it; see `arena.preferences.selection`."""
    return False


CONFLICT = "conflict"
REASONS = (
    Reason("not_asked_for", "Side by side or imported, which were not asked for.", _not_asked_for, held_back=False),
    Reason("no_text", "Imported without its text.", _textless, held_back=False),
    Reason(
        "own_histories", "From a second turn on, each model answered its own history.", _own_histories, held_back=False
    ),
    Reason("not_rated", "The voter did not rate this criterion.", _unrated, held_back=False),
    Reason("tie", "A tie.", _tie, held_back=False),
    Reason("both_bad", "Both answers are bad: two bad examples for KTO, no pair.", _both_bad, held_back=False),
    Reason("demo", "A demonstration model took part.", _demo),
    Reason("withdrawn", "The voter took the vote back.", _withdrawn),
    Reason("excluded_voter", "The operator holds or excludes the voter's votes.", _excluded_voter),
    Reason("withheld", "The operator keeps the battle out of training files.", _withheld),
    Reason("held_out", "A challenge that is kept for measuring, never for training.", _held_out),
    Reason("system_prompts", "The two models had different system prompts.", _system_prompts),
    Reason("empty", "The prompt or an answer is empty.", _empty),
    Reason("disorder", "User and assistant do not take turns in the shared history.", _disorder),
    Reason("unfinished", "An answer failed, was cut off, or never said that it had finished.", _unfinished),
    Reason("near_identical", "The two answers say the same in all but the same words.", _near_identical),
    Reason("identity", "An answer says who wrote it.", _identity),
    Reason("refusal", "An answer declines to answer.", _refusal),
    Reason("length_ratio", "One answer is many times as long as the other.", _length_ratio),
    Reason("personal_data", "An email address, a telephone number or a key stands in it.", _personal_data),
    Reason(CONFLICT, "Votes on these answers contradict each other.", _told_later),
)
SENTENCES = {reason.name: reason.sentence for reason in REASONS}
HELD_BACK = tuple(reason.name for reason in REASONS if reason.held_back)
NO_PAIR = tuple(reason.name for reason in REASONS if not reason.held_back)


def reason_of(vote: Candidate, grounds: Grounds) -> str | None:
    """The name of the first reason why the vote makes no lesson; `None` if it makes one, as far as it tells alone."""
    return next((reason.name for reason in REASONS if reason.applies(vote, grounds)), None)
