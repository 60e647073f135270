"""How alike are two texts? Pure; layout, case and punctuation do not count."""

import re

from rapidfuzz import fuzz

_NOISE = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Words alone, folded and a space apart; a text of signs only stays as it is."""
    return _NOISE.sub(" ", text.casefold()).strip() or text.strip()


def alike(one: str, other: str, least: float) -> bool:
    """Whether two texts are at least so alike: 1 is the same words, 0 nothing in common.

    The measure is the normalised Indel similarity: twice the longest common subsequence over both lengths.
    """
    return fuzz.ratio(plain(one), plain(other), score_cutoff=least * 100) > 0
