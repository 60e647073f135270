"""Votes with what their answers look like, arranged so that style control can fit them quickly; pure numpy.

**Features** of an answer: characters, headings, list items, bold passages. Of a vote: x = (A's - B's) / (A's + B's)
for each, 0 where neither has any, divided by its root mean square over the votes. It is not centred: seats exchanged, x
only changes its sign.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Counts = NDArray[np.int64]
Places = NDArray[np.intp]

FEATURES = ("characters", "headings", "lists", "bold")
"""In the order of the columns of `StyleVotes.difference`."""


@dataclass(frozen=True, slots=True, eq=False)
class StyleVotes:
    """Votes ready to be fitted: sorted by pair, so that each pair's votes are one slice."""

    models: int
    low: Counts
    """The first model of each pair, …"""
    high: Counts
    """… its second, and …"""
    start: Counts
    """… where its votes begin; one more than there are pairs."""
    difference: Singles
    """Standardised feature differences, first model less second, shape (features, votes)."""
    score: Singles
    """1 where the pair's first model won, 0 where the second did, 0.5 otherwise."""
    voter: Places
    """A number for each voter, from 0; a vote whose voter nobody knows has one of its own."""
    scale: Floats
    """The root mean square that each feature was divided by; 0 for one that never differed."""

    @property
    def votes(self) -> int:
        """How many."""
        return len(self.score)


def prepare_votes(
    models: int, a: Counts, b: Counts, score: Singles, style_a: Singles, style_b: Singles, voter: Places
) -> StyleVotes:
    """Sort votes by pair and standardise their differences.

    Args:
        models: how many there are; `a` and `b` number them from 0.
        a: the model on one side of each vote, never the same as `b`.
        b: the model on the other.
        score: 1 where a won, 0 where b did, 0.5 otherwise.
        style_a: a's features, whole numbers of shape (features, votes), in the order of `FEATURES`.
        style_b: b's.
        voter: a number for each voter from 0, -1 where nobody knows.

    """
    difference = style_a - style_b
    difference /= np.maximum(style_a + style_b, 1)
    scale = np.sqrt([float(row @ row) / max(len(row), 1) for row in difference])
    unit: Singles = np.where(scale > 0, scale, 1.0).astype(np.float32)
    turned = a > b
    difference *= np.where(turned, np.float32(-1), np.float32(1))
    pair = np.minimum(a, b) * models + np.maximum(a, b)
    if models < 256:
        pair = pair.astype(np.uint16)  # sorted by radix, which is three times as fast
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    start = np.flatnonzero(np.append(True, pair[1:] != pair[:-1])) if len(pair) else np.zeros(0, np.int64)
    keys = pair[start].astype(np.int64)
    arranged: Singles = np.take(difference, order, axis=1)
    arranged /= unit[:, None]
    return StyleVotes(
        models=models,
        low=keys // max(models, 1),
        high=keys % max(models, 1),
        start=np.append(start, len(pair)),
        difference=arranged,
        score=np.where(turned, 1 - score, score)[order].astype(np.float32),
        voter=_numbered(voter)[order],
        scale=scale,
    )


def _numbered(voter: Places) -> Places:
    """Each unknown voter with a number of its own, after the known ones."""
    unknown = voter < 0
    if not unknown.any():
        return voter
    numbered = voter.copy()
    numbered[unknown] = int(voter.max()) + 1 + np.arange(int(unknown.sum()))
    return numbered
