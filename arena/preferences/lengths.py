"""Did voters choose the longer answer? Told beside every selection, never corrected silently. Pure."""

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class LengthLean:
    """How chosen and rejected answers differ in length, in characters."""

    pairs: int
    chosen_median: int
    rejected_median: int
    longer_chosen: int
    """Pairs whose chosen answer is the longer one."""
    shorter_chosen: int
    share: float | None
    """Of the pairs whose answers differ in length, how many chose the longer; `None` without such a pair."""
    low: float | None
    high: float | None
    """The share's 95% interval (Wilson)."""

    @property
    def sentence(self) -> str:
        """The lean in words."""
        if self.share is None or self.low is None or self.high is None:
            return "There is no pair of answers of different length yet."
        told = (
            f"The longer answer was chosen in {self.share:.0%} of the pairs (95% interval {self.low:.0%} to "
            f"{self.high:.0%}); the median chosen answer has {self.chosen_median:,} characters, the median rejected "
            f"one {self.rejected_median:,}."
        )
        if self.low > 0.5:
            return f"{told} A model trained on them may learn to write more."
        return f"{told} A model trained on them may learn to write less." if self.high < 0.5 else told

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def length_lean(pairs: int, medians: tuple[int, int], longer: int, shorter: int) -> LengthLean:
    """The lean from counts: `medians` are the chosen and the rejected answers'."""
    share, low, high = wilson(longer, longer + shorter) if longer + shorter else (None, None, None)
    return LengthLean(pairs, *medians, longer, shorter, share, low, high)


def wilson(hits: int, of: int) -> tuple[float, float, float]:
    """A share with its 95% interval, after Wilson (1927); `of` is at least 1."""
    share = hits / of
    middle = (share + _Z**2 / (2 * of)) / (1 + _Z**2 / of)
    reach = _Z / (1 + _Z**2 / of) * sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    return share, max(0.0, middle - reach), min(1.0, middle + reach)
