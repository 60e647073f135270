"""What it adds to the intervals that one person gives many votes; pure numpy and scipy.

Votes of one person lean the same way, so a hundred votes by four people tell less about the next person than a hundred
by a hundred. **Cluster-robust covariance** (Liang and Zeger, Biometrika 73, 1986): A^-1 M A^-1, with M the sum over
voters v of s_v s_v', times G / (G - 1). s_v is the voter's score: over the votes of v, points of the one model minus
its expected points, and the opposite for the other. A^-1 is the fit's inverse information, G the number of voters.

Each variance is the larger of the plain and the clustered one: with few voters the clustered one is often too small by
chance. The quantile is Student's t with G - 1 degrees of freedom. Votes whose voter nobody knows count each as one
person's.

Both covariances shrink alike as votes come in, so their ratio keeps for a while: it is worked out now and then, off the
vote's path, and multiplies the plain variance of the moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.ratings import Z95, Estimate, Fit, Floats, Inflation, Places, centred, differences

LARGEST_INFLATION = 1e6
"""Of a variance: what a single pair of voters who disagree can do is wide enough, and stays a number."""


@dataclass(frozen=True, slots=True)
class VotesByVoter:
    """Votes added up by voter and pair: arrays of one length."""

    voter: Places
    """A number for each voter, -1 for unknown ones."""
    first: Places
    """The model's place among all models, as `second`."""
    second: Places
    points: Floats
    """Of the first model: wins, and half of the ties and both-bads."""
    games: Floats


@dataclass(frozen=True, slots=True)
class Clustering:
    """Both covariances of some rows, as they were at one moment; what they say of the same rows later."""

    places: Mapping[tuple[int, ...], int]
    """Of each row's key among the rows of `estimate`."""
    estimate: Estimate
    """Of the rows at that moment."""
    wide: Floats
    """The voter-clustered covariance of its strengths."""
    voters: int
    """G, at least 2."""

    @property
    def quantiles(self) -> float:
        """Student's t over the normal quantile, squared: what few voters add to each variance."""
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy loads when a first rating needs it

        return float(stdtrit(self.voters - 1, 0.975) / Z95) ** 2

    def inflation(self, keys: Sequence[tuple[int, ...]]) -> Inflation:
        """By how much each variance of these rows is wider. A row that had no votes gets the mean of the others."""
        weights = self.estimate.votes / self.estimate.votes.sum()
        plain, wide = centred(self.estimate.covariance, weights), centred(self.wide, weights)
        single = self.quantiles * _ratio(np.diag(wide), np.diag(plain))
        contrast = self.quantiles * _ratio(differences(wide), differences(plain))
        off = contrast[~np.eye(len(single), dtype=bool)]
        n = len(keys)
        whole = Inflation(np.full(n, single.mean()), np.full((n, n), off.mean() if len(off) else self.quantiles))
        now, then = self._matched(keys)
        whole.single[now] = single[then]
        whole.contrast[np.ix_(now, now)] = contrast[np.ix_(then, then)]
        return whole

    def widening(self, keys: Sequence[tuple[int, ...]], contrast: Floats) -> float:
        """By how much the variance of a contrast of these rows is wider; its part on rows without votes is left out."""
        now, then = self._matched(keys)
        c = np.zeros(len(self.estimate.rated))
        c[then] = contrast[now]
        c -= c.mean()
        plain, wide = c @ self.estimate.covariance @ c, c @ self.wide @ c
        return self.quantiles * float(_ratio(np.array([wide]), np.array([plain]))[0])

    def _matched(self, keys: Sequence[tuple[int, ...]]) -> tuple[Places, Places]:
        """The places of the rows that had votes: among `keys`, and among the rated rows then."""
        rated = {int(place): at for at, place in enumerate(self.estimate.rated)}
        pairs = [
            (now, rated[self.places[key]])
            for now, key in enumerate(keys)
            if key in self.places and self.places[key] in rated
        ]
        table = np.array(pairs, np.intp).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def clustered(fit: Fit, votes: VotesByVoter) -> tuple[Floats, int]:
    """The voter-clustered covariance of the fit's strengths, and the number G of voters; right for differences.

    Votes on models that the fit has not rated are left out.
    """
    estimate = fit.estimate
    place = np.full(estimate.size, -1)
    place[estimate.rated] = np.arange(len(estimate.rated))
    first, second = place[votes.first], place[votes.second]
    kept = (first >= 0) & (second >= 0) & (votes.games > 0)
    first, second, voter, games = first[kept], second[kept], votes.voter[kept], votes.games[kept]
    if not len(games):
        return np.zeros_like(estimate.covariance), 0
    chance = 1 / (1 + np.exp(estimate.strengths[second] - estimate.strengths[first]))
    surprise = votes.points[kept] - games * chance

    named = voter >= 0
    n = len(estimate.rated)
    meat = _scores(n, voter[named], first[named], second[named], surprise[named])
    unnamed = np.zeros((n, n))
    pair = first[~named], second[~named]
    np.add.at(unnamed, pair, games[~named] * fit.vote_variance[pair])
    unnamed = unnamed + unnamed.T
    meat += np.diag(unnamed.sum(axis=1)) - unnamed
    voters = len(np.unique(voter[named])) + int(games[~named].sum())
    if voters > 1:
        meat *= voters / (voters - 1)
    bread = fit.inverse - fit.inverse.mean(axis=0)
    return np.asarray(bread @ meat @ bread.T), voters


def _scores(n: int, voter: Places, first: Places, second: Places, surprise: Floats) -> Floats:
    """The sum over voters of s_v s_v'."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - see `Clustering.quantiles`

    if not len(voter):
        return np.zeros((n, n))
    _, rows = np.unique(voter, return_inverse=True)
    values = np.concatenate([surprise, -surprise])
    at = np.concatenate([rows, rows]), np.concatenate([first, second])
    scores = coo_array((values, at), shape=(int(rows.max()) + 1, n)).tocsr()
    return np.asarray((scores.T @ scores).toarray())


def _ratio(wide: NDArray[np.float64], plain: NDArray[np.float64]) -> Floats:
    """How much wider, between 1 and `LARGEST_INFLATION`; 1 where there is no variance at all."""
    some = plain > 0
    ratio = np.divide(wide, plain, out=np.ones_like(plain), where=some)
    return np.asarray(np.clip(ratio, 1.0, LARGEST_INFLATION))
