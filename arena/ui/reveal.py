"""What the reveal says: who answered, how fast, and what the vote did to both ratings. Pure."""

from dataclasses import dataclass

from arena.battle import Reveal, SideReveal
from arena.tables import Winner

_VERDICTS = {
    Winner.MODEL_A: "You found A better.",
    Winner.MODEL_B: "You found B better.",
    Winner.TIE: "You called it a tie.",
    Winner.BOTH_BAD: "You found both answers bad.",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a card."""

    name: str
    value: str
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One side of the reveal, ready for its template."""

    letter: str
    name: str
    origin: str
    """Platform and version."""
    chosen: bool
    facts: tuple[Fact, ...]


def verdict(reveal: Reveal) -> str:
    """The vote in one sentence, as its voter gave it."""
    return _VERDICTS[reveal.winner]


def cards(reveal: Reveal) -> tuple[Card, Card]:
    """Both sides' cards."""
    a, b = reveal.sides
    return (
        _card("A", a, chosen=reveal.winner is Winner.MODEL_A),
        _card("B", b, chosen=reveal.winner is Winner.MODEL_B),
    )


def origin(side: SideReveal) -> str:
    """Platform and version of a side, as people read them."""
    return f"{side.platform} · version {side.version}" if side.version else side.platform


def _card(letter: str, side: SideReveal, *, chosen: bool) -> Card:
    facts = [*_standing(side), *_times(side), *_tokens(side)]
    return Card(letter, side.display_name, origin(side), chosen, tuple(facts))


def _standing(side: SideReveal) -> list[Fact]:
    facts = []
    if side.rating_after is not None:
        facts.append(_rating(side.rating_before, side.rating_after))
    if side.rank is not None and side.rank != "–":
        facts.append(Fact("Rank", side.rank.replace("-", "–")))
    return facts


def _rating(before: float | None, after: float) -> Fact:
    if before is None:
        return Fact("Rating", f"{after:.0f}", "first rating")
    change = round(after) - round(before)
    return Fact("Rating", f"{before:.0f} → {after:.0f}", f"{change:+d}".replace("-", "−") if change else "±0")


def _times(side: SideReveal) -> list[Fact]:
    named = (("First text", side.first_token_s), ("Whole answer", side.total_s))
    return [
        Fact(name, f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s")
        for name, seconds in named
        if seconds is not None
    ]


def _tokens(side: SideReveal) -> list[Fact]:
    counts = ((side.input_tokens, "read"), (side.output_tokens, "written"))
    told = [f"{count:,} {what}" for count, what in counts if count is not None]
    return [Fact("Tokens", ", ".join(told))] if told else []
