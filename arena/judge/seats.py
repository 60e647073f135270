"""One pair shown in both orders: what a judge holds to, and whether it prefers a seat; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.criteria_patterns import ENOUGH, Share, wilson
from arena.tables import Winner

FIRST, EVEN, SECOND = range(3)
_AS_SHOWN = {Winner.MODEL_A.value: FIRST, Winner.TIE.value: EVEN, Winner.MODEL_B.value: SECOND}


def settle(first: str | None, second: str | None) -> int | None:
    """A pair's verdict from both orders, `second` being that of the swapped one.

    0 the pair's first answer, 1 even, 2 its second; even where the orders differ, `None` where one says nothing.
    """
    if first is None or second is None:
        return None
    plain, turned = _AS_SHOWN[first], SECOND - _AS_SHOWN[second]
    return plain if plain == turned else EVEN


@dataclass(frozen=True, slots=True)
class SeatLeaning:
    """Pairs judged in both orders."""

    kept: Share | None
    """How often the verdict stayed with the answer, whatever its seat; `None` without pairs."""
    changed_to_a: int
    """Both times the answer in seat A."""
    changed_to_b: int

    @classmethod
    def of(cls, winners: Sequence[tuple[Winner | None, Winner | None]]) -> "SeatLeaning":
        """From the winners by seat, of the plain and of the swapped order."""
        kept = sum(a is not None and b is not None and _same(a, b) for a, b in winners)
        return cls(
            _share(kept, len(winners)),
            sum(a is b is Winner.MODEL_A for a, b in winners),
            sum(a is b is Winner.MODEL_B for a, b in winners),
        )

    @property
    def sentence(self) -> str:
        """Does the judge lean to a seat? In words that can be quoted."""
        if self.kept is None:
            return "No pair was judged in both orders yet."
        told = f"Shown both ways round, it kept to its verdict in {self.kept.words} of {self.kept.votes:,} pairs."
        stuck = self.changed_to_a + self.changed_to_b
        if not stuck:
            return f"{told} It never chose the same seat both times."
        times = f"{told} In {stuck:,} it chose the same seat both times: A in {self.changed_to_a:,}"
        low, high = wilson(self.changed_to_a / stuck, stuck)
        if stuck < ENOUGH:
            return f"{times}."
        if low <= 0.5 <= high:
            return f"{times}, so no leaning to a seat shows."
        return f"{times}, so it leans to seat {'AB'[high < 0.5]}."


def _same(plain: Winner, swapped: Winner) -> bool:
    return _AS_SHOWN[plain.value] == SECOND - _AS_SHOWN[swapped.value]


def _share(happened: int, of: int) -> Share | None:
    return Share(happened / of, *wilson(happened / of, of), of, 1) if of else None
