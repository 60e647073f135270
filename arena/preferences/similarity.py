"""How alike are two texts? Pure; layout and case do not count."""

from rapidfuzz import fuzz


def plain(text: str) -> str:
    """The words, folded, a space apart."""
    return " ".join(text.casefold().split())


def alike(one: str, other: str, least: float) -> bool:
    """Whether two `plain` texts are at least so alike: 1 is the same words, 0 nothing in common.

    The measure is the normalised Indel similarity: twice the longest common subsequence over both lengths.
    """
    return fuzz.ratio(one, other, score_cutoff=least * 100) > 0
