"""What one table of ratings says about each pair of its models, about platforms, and about its leader."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from arena.comparisons import Comparison, PlatformVerdict, compare, compare_all, compare_platforms
from arena.counts import PairCounts
from arena.fragility import Fragility, fragility
from arena.rating_table import Crowd, RatingTable
from arena.ratings import Inflation


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Verdicts on all pairs of models of one board, at one moment. Matrices are in the order of `names`."""

    table: RatingTable
    crowd: Crowd | None
    inflation: Inflation | None

    @property
    def names(self) -> Sequence[str]:
        """Display names."""
        return [entry.display_name for entry in self.table.entries]

    @property
    def counts(self) -> PairCounts:
        """Who beat whom how often."""
        return self.table.counts

    def between(self, first: int, second: int) -> Comparison:
        """The verdict on two revisions, by their ids.

        Raises:
            ValueError: one of them has no votes, or they are one and the same.

        """
        revisions = list(self.table.revisions)
        if first not in revisions or second not in revisions:
            raise ValueError("Two different models with votes can be compared.")
        return compare(self.table.fit, self.names, revisions.index(first), revisions.index(second), self.inflation)

    def matrix(self) -> Sequence[Sequence[Comparison | None]]:
        """Every verdict, row against column."""
        return compare_all(self.table.fit, self.names, self.inflation)

    def platforms(self, first: str, second: str) -> PlatformVerdict | None:
        """The verdict on two platforms, by the names people read; `None` where their models have not met."""
        platforms = [entry.platform for entry in self.table.entries]
        if not self.crowd or not self.crowd.clustering:
            return compare_platforms(self.table.fit, platforms, first, second)
        rated = [self.table.keys[place] for place in self.table.fit.estimate.rated]
        widening = partial(self.crowd.clustering.widening, rated)
        return compare_platforms(self.table.fit, platforms, first, second, widening)

    def fragility(self) -> Fragility | None:
        """The fewest votes found whose removal changes the leader."""
        return fragility(self.counts.wins, self.counts.ties, self.counts.both_bad)
