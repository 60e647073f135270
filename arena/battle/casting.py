"""Who fights now: the drawing rules of the roster applied to the models that can be drawn."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence

from arena.draw_forecast import Forecast, foretell
from arena.errors import BattleError
from arena.fleet import Fleet
from arena.identity import IdentityPatterns, identity_patterns
from arena.matchmaking import (
    Evidence,
    PairChances,
    Rules,
    Strategy,
    draw_replacement,
    pair_chances,
    seat_pair,
)
from arena.roster import ModelEntry


class Casting:
    """Draws from the fleet by the strategy and by the roster's weights, targets and exclusions."""

    def __init__(self, fleet: Fleet, rng: random.Random, strategy: Strategy, evidence: Callable[[], Evidence]) -> None:
        """`rng` is the only source of chance; `evidence` answers at once, with what is known by now."""
        self._fleet = fleet
        self._rng = rng
        self._strategy = strategy
        self._evidence = evidence
        self._named: tuple[Sequence[ModelEntry], IdentityPatterns] | None = None
        self._drawn_by: tuple[Mapping[str, float], Evidence, PairChances] | None = None

    def pair(self) -> tuple[str, str]:
        """The models for side A and side B; raises `BattleError` where fewer than two can meet."""
        return seat_pair(self._chances(), self._rng)

    def replacement(self, opponent: str, tried: Collection[str]) -> str | None:
        """Who takes the seat of a model that failed, against `opponent`."""
        weights = self._fleet.drawable()
        rules = self._rules(weights)
        return draw_replacement(opponent, tried, weights, rules.targets, rules.excludes, self._rng)

    def patterns(self) -> IdentityPatterns:
        """How an answer would say which of the models wrote it; made again when a model is taken in."""
        entries = self._fleet.entries()
        if self._named is None or self._named[0] is not entries:
            self._named = (entries, identity_patterns(entries))
        return self._named[1]

    def forecast(self) -> Forecast:
        """What the next draw looks like, for the operator."""
        names = {model.id: model.display_name or model.id for model in self._fleet.entries()}
        try:
            return foretell(self._chances(), self._rules(self._fleet.drawable()), names)
        except BattleError:
            return Forecast(self._strategy, pairs=0, open=0, leader=None, likely=())

    def _chances(self) -> PairChances:
        """The chances, computed again only when a vote or a model's state changed them."""
        weights, evidence = self._fleet.drawable(), self._evidence()
        known = self._drawn_by
        if known is not None and known[0] == weights and known[1] is evidence:
            return known[2]
        chances = pair_chances(self._strategy, evidence, self._rules(weights))
        self._drawn_by = (weights, evidence, chances)
        return chances

    def _rules(self, weights: Mapping[str, float]) -> Rules:
        """The roster's rules, those of models taken in since the start too."""
        models = self._fleet.entries()
        targets = {model.id: model.targets for model in models}
        return Rules(weights, targets, {model.id: model.excludes for model in models})
