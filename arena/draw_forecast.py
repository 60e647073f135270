"""What the next draw of a pair looks like and why, in words for the operator; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arena.matchmaking import TARGET_BOOST, Names, PairChances, Rules, Strategy


@dataclass(frozen=True, slots=True)
class NextPair:
    """A pair that may be drawn next."""

    models: tuple[str, str]
    chance: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the next draw looks like, for the operator."""

    strategy: Strategy
    pairs: int
    open: int
    leader: str | None
    likely: Sequence[NextPair]
    """The likeliest pairs, likeliest first."""
    rules: Sequence[str] = ()
    """What the roster's weights, targets and exclusions do to the draw, a sentence each."""

    @property
    def sentence(self) -> str:
        """The forecast in words."""
        if not self.pairs:
            return "No two models can meet now."
        likely = ", ".join(f"{pair.models[0]} vs {pair.models[1]} {pair.chance:.0%}" for pair in self.likely)
        return f"{self._state()}; next likely: {likely}."

    def _state(self) -> str:
        pairs = "the one pair" if self.pairs == 1 else f"all {self.pairs} pairs"
        if self.strategy == "uniform":
            return f"Drawn from {pairs} by weight"
        if not self.open:
            settled = "is separated" if self.pairs == 1 else "are separated"
            if self.strategy == "leader":
                return f"{self.leader} leads surely: drawn from {pairs} by weight"
            return f"{pairs[0].upper()}{pairs[1:]} {settled}: drawn by weight"
        if self.strategy == "leader":
            return f"{self.leader or 'Nobody'} leads, {self.open} of {self.pairs} pairs are still asked about"
        return f"{self.open} of {self.pairs} pairs are not separated yet"


def foretell(chances: PairChances, rules: Rules, names: Mapping[str, str], most: int = 3) -> Forecast:
    """What the next draw looks like; `names` are what people read for the models' ids."""
    likeliest = np.argsort(-chances.chance, kind="stable")[:most]
    shown = [names.get(model, model) for model in chances.models]
    pairs = [
        NextPair((shown[chances.first[pair]], shown[chances.second[pair]]), float(chances.chance[pair]))
        for pair in likeliest
    ]
    leader = None if chances.leader is None else names.get(chances.leader, chances.leader)
    return Forecast(chances.strategy, len(chances), int(chances.open.sum()), leader, pairs, _in_words(rules, names))


def _in_words(rules: Rules, names: Mapping[str, str]) -> Sequence[str]:
    weights = [
        f"{names.get(model, model)} {weight:g}" for model, weight in rules.weights.items() if weight not in (0.0, 1.0)
    ]
    preferred, never = (_named_pairs(given, rules.weights, names) for given in (rules.targets, rules.excludes))
    told = (
        (weights, f"Weights other than 1: {', '.join(weights)}."),
        (preferred, f"Drawn {TARGET_BOOST:g} times as often, as targets: {'; '.join(preferred)}."),
        (never, f"Excluded, never drawn: {'; '.join(never)}."),
    )
    return [sentence for found, sentence in told if found]


def _named_pairs(given: Names, drawable: Mapping[str, float], names: Mapping[str, str]) -> Sequence[str]:
    """Each pair that the roster names and that could meet, once."""
    pairs = {tuple(sorted((model, other))): None for model, others in given.items() for other in others}
    return [
        f"{names.get(first, first)} and {names.get(second, second)}"
        for first, second in pairs
        if drawable.get(first) and drawable.get(second)
    ]
