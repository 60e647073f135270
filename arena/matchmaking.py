"""Which two models meet and who sits where; pure, chance is an argument."""

import random
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from arena.errors import BattleError

Item = TypeVar("Item")

TARGET_BOOST = 4.0
"""How much more often a pair is drawn in which one model names the other as a target."""

Names = Mapping[str, Collection[str]]
"""Model id -> ids of other models."""


def draw_pair(weights: Mapping[str, float], targets: Names, excludes: Names, rng: random.Random) -> tuple[str, str]:
    """Draw two different models and seat them at random.

    A pair's chance is the product of its models' weights, `TARGET_BOOST` times that if either names the other in
    `targets`, and none if either names the other in `excludes`. With equal weights all pairs are equally likely.

    Returns:
        (model on side A, model on side B).

    Raises:
        BattleError: fewer than two models can meet.

    """
    models = [model for model, weight in weights.items() if weight > 0]
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :] if not _named(excludes, a, b)]
    if not pairs:
        raise BattleError("A battle needs two models, and fewer than two are available now. Please try again later.")
    chances = [weights[a] * weights[b] * (TARGET_BOOST if _named(targets, a, b) else 1.0) for a, b in pairs]
    first, second = _draw(pairs, chances, rng)
    return (first, second) if rng.random() < 0.5 else (second, first)


def draw_replacement(
    opponent: str,
    tried: Collection[str],
    weights: Mapping[str, float],
    targets: Names,
    excludes: Names,
    rng: random.Random,
) -> str | None:
    """Draw a model to meet `opponent` in the place of one that failed, by the rules of `draw_pair`.

    `tried` are models that failed in this battle already. `None` when nobody is left.
    """
    models = [
        model
        for model, weight in weights.items()
        if weight > 0 and model != opponent and model not in tried and not _named(excludes, model, opponent)
    ]
    if not models:
        return None
    chances = [weights[model] * (TARGET_BOOST if _named(targets, model, opponent) else 1.0) for model in models]
    return _draw(models, chances, rng)


def _named(names: Names, a: str, b: str) -> bool:
    """Whether either names the other."""
    return b in names.get(a, ()) or a in names.get(b, ())


def _draw(items: Sequence[Item], chances: Sequence[float], rng: random.Random) -> Item:
    return rng.choices(items, chances)[0]
