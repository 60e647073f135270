"""What the Leaderboard page can be filtered by: only what occurs, and only where there is a choice. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.board_view import SCOPES
from arena.boards import Facets
from arena.rubric import key_in_words
from arena.ui.language_names import name_language


@dataclass(frozen=True, slots=True)
class Choice:
    """One list: its name in links, its label, and pairs of value and words, the first leaving nothing out."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]


_PARTIAL = ("criterion", "tag", "family", "style")
"""Not every vote or row has one: a single one is already a choice."""

_SCOPE_NAMES = {"battles": "Battles here", "imported": "Imported votes", "campaigns": "Campaigns"}


def offer(facets: Facets) -> Sequence[Choice]:
    """Every list with something to choose from; those read from the votes follow once these are counted."""
    votes = facets.votes
    occurring = [word for word, scopes in SCOPES.items() if word and scopes[0] in facets.scopes]
    choices = (
        Choice("scope", "Votes from", _options("Everywhere", occurring, _SCOPE_NAMES)),
        Choice(
            "criterion",
            "Judged by",
            _options("Overall verdict", facets.criteria, {key: key_in_words(key) for key in facets.criteria}),
        ),
        Choice("tag", "Challenge", _options("Any", sorted(votes.tags) if votes else ())),
        Choice("language", "Language", _options("Any", votes.languages if votes else (), _language_names(facets))),
        Choice("turns", "Turns", _options("Any number", [str(n) for n in votes.turns] if votes else ())),
        Choice("platform", "Platform", _options("All", facets.platforms)),
        Choice("family", "Family", _options("All", facets.families)),
        Choice("style", "Length and formatting", (("", "As voted"), ("equal", "Held equal"))),
        Choice("by", "One row for each", (("", "Model"), ("platform", "Platform"), ("version", "Version"))),
    )
    return [choice for choice in choices if len(choice.options) > (1 if choice.name in _PARTIAL else 2)]


def _options(everything: str, values: Sequence[str], names: dict[str, str] | None = None) -> Sequence[tuple[str, str]]:
    named = names or {}
    return (("", everything), *((value, named.get(value, value.replace("-", " "))) for value in values))


def _language_names(facets: Facets) -> dict[str, str]:
    return {code: name_language(code) for code in facets.votes.languages} if facets.votes else {}
