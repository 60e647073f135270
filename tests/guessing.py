"""Somebody who tries to tell from what the server sends which side is the faster model."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.scripted_visitor import UNCHANGED, Heard, Overheard

_SIZE = 1
"""Where a pane's features tell how much it showed."""
Features = NDArray[np.float64]


def features(battle: Overheard, panes: Sequence[int]) -> Features:
    """What was received, in numbers: by side, the difference between the sides, and in all."""
    a, b = (_of_pane(battle.events, pane) for pane in panes)
    sizes = np.array([heard.size for heard in battle.events], float)
    times = np.array([heard.at_s for heard in battle.events], float)
    pauses = np.diff(times) if len(times) > 1 else np.zeros(1)
    overall = [len(sizes), sizes.sum(), sizes.std(), times[-1], pauses.max(), pauses.std(), float(battle.head_bytes)]
    longer_and_held = np.sign(a[_SIZE] - b[_SIZE]) * pauses.max()
    return np.concatenate([a, b, a - b, overall, [longer_and_held]])


def _of_pane(events: Sequence[Heard], pane: int) -> Features:
    """How often, how much and when a pane changed."""
    seen: list[tuple[float, float, float]] = []
    for order, heard in enumerate(events):
        data = heard.event.get("output", {}).get("data") or []
        if len(data) > pane and data[pane] not in (UNCHANGED, []):
            seen.append((heard.at_s, len(str(data[pane])), order))
    if not seen:
        return np.zeros(10)
    times, sizes, order = np.array(seen, float).T
    centre = float((times * sizes).sum() / sizes.sum())
    pauses = np.diff(times) if len(times) > 1 else np.zeros(1)
    return np.array(
        [
            *(len(times), sizes.sum(), sizes.mean(), sizes.std(), sizes.max()),
            *(times[0], times[-1], centre, pauses.std(), float(order[0])),
        ]
    )


def hits(known: Features, answers: NDArray[np.bool_], asked: Features, truth: NDArray[np.bool_]) -> int:
    """How many of `asked` are told right by the nearest centre of what was learned from `known`."""
    spread = known.std(axis=0)
    used = spread > 1e-12
    if not used.any():
        return int((~truth).sum())
    known, asked = known[:, used] / spread[used], asked[:, used] / spread[used]
    yes, no = known[answers].mean(axis=0), known[~answers].mean(axis=0)
    guesses = ((asked - no) ** 2).sum(axis=1) > ((asked - yes) ** 2).sum(axis=1)
    return int((guesses == truth).sum())


def surely_more_than_chance(asked: int, false_alarm: float = 1e-4) -> int:
    """The least number of hits out of `asked` that a coin reaches with a probability below `false_alarm`.

    The truth of each battle is a fair coin (seats are drawn), so the hits of any guesser that learned from other
    battles, and to whom nothing was told, are binomial, however clever it is.
    """
    tail = 0.0
    for count in range(asked, -1, -1):
        tail += math.comb(asked, count) / 2**asked
        if tail >= false_alarm:
            return count + 1
    return 0
