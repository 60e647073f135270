"""Who fights now: the drawing rules of the roster applied to the models that can be drawn."""

import random
from collections.abc import Collection

from arena.fleet import Fleet
from arena.matchmaking import draw_pair, draw_replacement


class Casting:
    """Draws from the fleet by the roster's weights, targets and exclusions."""

    def __init__(self, fleet: Fleet, rng: random.Random) -> None:
        """`rng` is the only source of chance."""
        self._fleet = fleet
        self._rng = rng
        models = [status.model for status in fleet.statuses()]
        self._targets = {model.id: model.targets for model in models}
        self._excludes = {model.id: model.excludes for model in models}

    def pair(self) -> tuple[str, str]:
        """The models for side A and side B; raises `BattleError` where fewer than two can meet."""
        return draw_pair(self._fleet.drawable(), self._targets, self._excludes, self._rng)

    def replacement(self, opponent: str, tried: Collection[str]) -> str | None:
        """Who takes the seat of a model that failed, against `opponent`."""
        weights = self._fleet.drawable()
        return draw_replacement(opponent, tried, weights, self._targets, self._excludes, self._rng)
