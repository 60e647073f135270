"""Which two models meet and who sits where; pure, chance is an argument.

Every pair that can meet has a share: the product of its models' weights, `TARGET_BOOST` times that if either names the
other in `targets`, none if either names the other in `excludes`. A strategy says which pairs are *open*; open pairs get
nine in ten battles, all pairs together the tenth, in proportion to their shares:

* `uniform`: every pair, always.
* `separate`: pairs whose difference the 95% test does not tell yet. Pairs that are settled need no more votes.
* `leader`: the leader against every challenger that it does not beat at z > `LEADER_Z`, for an arena that only asks who
  is best. The bar is higher since the question is asked again after each vote.

Until a pair has had a few votes it is open whatever its ratings say. Seats are always random, and neither they nor the
pair look at the answers, so that no strategy favours a model: the ratings are computed given who met whom.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from arena.errors import BattleError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Strategy = Literal["uniform", "separate", "leader"]

Names = Mapping[str, Collection[str]]
"""Model id -> ids of other models."""

TARGET_BOOST = 4.0
"""How much more often a pair is drawn in which one model names the other as a target."""

EVEN_SHARE = 0.1
"""The share of battles drawn as `uniform` by every strategy: what seemed settled is looked at again."""

FEW_VOTES = 3
"""A pair with fewer votes than this is open, …"""

KNOWN_VOTES = 30
"""… unless both its models have this many votes: with 300 models not every pair has to meet."""

SEPARATED_Z = 1.959963984540054
"""The 95% test of a difference."""

LEADER_Z = 3.0
"""What a claim of the lead must pass. At 1.96, asked after each vote, it named the wrong leader in a tenth of runs."""

_NOBODY = "A battle needs two models, and fewer than two are available now. Please try again later."


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the votes say about models; every array in the order of `models`."""

    models: Sequence[str] = ()
    votes: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """How often each two met, symmetric."""
    known: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    """The votes of each model against anybody."""
    rating: Floats = field(default_factory=lambda: np.zeros(0))
    """NaN for a model without votes."""
    covariance: Floats = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the roster says about who meets whom."""

    weights: Mapping[str, float]
    """Of the models that can be drawn; 0 retires one."""
    targets: Names
    excludes: Names


@dataclass(frozen=True, slots=True, eq=False)
class PairChances:
    """The chance of each pair that can meet."""

    strategy: Strategy
    models: Sequence[str]
    first: NDArray[np.intp]
    """The places in `models` of each pair's two models."""
    second: NDArray[np.intp]
    chance: Floats
    """Sums to 1."""
    open: Flags
    """Which pairs the strategy still asks about."""
    leader: str | None
    """Whom `leader` draws against its challengers."""
    cumulated: Floats

    def __len__(self) -> int:
        return len(self.chance)


def pair_chances(strategy: Strategy, evidence: Evidence, rules: Rules) -> PairChances:
    """The chance of each pair that can meet, by the strategy.

    Raises:
        BattleError: fewer than two models can meet.

    """
    models = [model for model, weight in rules.weights.items() if weight > 0]
    place = {model: index for index, model in enumerate(models)}
    weight = np.array([rules.weights[model] for model in models], float)
    share = np.triu(np.outer(weight, weight), 1)
    _multiply(share, rules.targets, place, TARGET_BOOST)
    _multiply(share, rules.excludes, place, 0.0)
    first, second = np.nonzero(share)
    if not len(first):
        raise BattleError(_NOBODY)
    shares = share[first, second] / share[first, second].sum()
    seen = _arranged(evidence, models)
    still, leader = _open_pairs(strategy, seen, first, second)
    asked = shares * still
    chance = EVEN_SHARE * shares + (1 - EVEN_SHARE) * asked / asked.sum() if asked.any() else shares
    return PairChances(
        strategy=strategy,
        models=models,
        first=first,
        second=second,
        chance=chance,
        open=still,
        leader=None if leader is None else models[leader],
        cumulated=np.cumsum(chance),
    )


def seat_pair(chances: PairChances, rng: random.Random) -> tuple[str, str]:
    """Draw a pair and seat it at random: (model on side A, model on side B)."""
    drawn = int(np.searchsorted(chances.cumulated, rng.random() * chances.cumulated[-1], side="right"))
    pair = min(drawn, len(chances) - 1)
    first, second = chances.models[chances.first[pair]], chances.models[chances.second[pair]]
    return (first, second) if rng.random() < 0.5 else (second, first)


def draw_replacement(
    opponent: str,
    tried: Collection[str],
    weights: Mapping[str, float],
    targets: Names,
    excludes: Names,
    rng: random.Random,
) -> str | None:
    """Draw a model to meet `opponent` in the place of one that failed, by the pairs' shares.

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
    return rng.choices(models, chances)[0]


def _multiply(share: Floats, names: Names, place: Mapping[str, int], factor: float) -> None:
    """Multiply the share of each pair of which one names the other, once whoever says so."""
    named = {
        (min(place[model], place[other]), max(place[model], place[other]))
        for model in place
        for other in names.get(model, ())
        if other in place and other != model
    }
    for pair in named:
        share[pair] *= factor


def _arranged(evidence: Evidence, models: Sequence[str]) -> Evidence:
    """The evidence in the order of `models`; those it does not know have no votes."""
    at = {model: index for index, model in enumerate(evidence.models)}
    known = [index for index, model in enumerate(models) if model in at]
    source = [at[models[index]] for index in known]
    n = len(models)
    arranged = Evidence(
        models, np.zeros((n, n), np.int64), np.zeros(n, np.int64), np.full(n, np.nan), np.full((n, n), np.nan)
    )
    arranged.votes[np.ix_(known, known)] = evidence.votes[np.ix_(source, source)]
    arranged.known[known] = evidence.known[source]
    arranged.rating[known] = evidence.rating[source]
    arranged.covariance[np.ix_(known, known)] = evidence.covariance[np.ix_(source, source)]
    return arranged


def _open_pairs(
    strategy: Strategy, seen: Evidence, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[Flags, int | None]:
    """Which pairs are open, and whose lead is in question."""
    if strategy == "uniform":
        return np.ones(len(first), dtype=bool), None
    little_known = np.minimum(seen.known[first], seen.known[second]) < KNOWN_VOTES
    young = (seen.votes[first, second] < FEW_VOTES) & little_known
    distance = _z(seen, first, second)
    if strategy == "separate":
        return young | ~(distance > SEPARATED_Z), None
    if np.isnan(seen.rating).all():
        return np.ones(len(first), dtype=bool), None
    leader = int(np.nanargmax(seen.rating))
    challenged = (first == leader) | (second == leader)
    return young | (challenged & ~(distance > LEADER_Z)), leader


def _z(seen: Evidence, first: NDArray[np.intp], second: NDArray[np.intp]) -> Floats:
    """Each pair's difference in standard errors; NaN where one has no rating."""
    spread = np.diag(seen.covariance)
    noise = np.sqrt(np.maximum(spread[first] + spread[second] - 2 * seen.covariance[first, second], 1e-12))
    return np.asarray(np.abs(seen.rating[first] - seen.rating[second]) / noise)


def _named(names: Names, a: str, b: str) -> bool:
    """Whether either names the other."""
    return b in names.get(a, ()) or a in names.get(b, ())
