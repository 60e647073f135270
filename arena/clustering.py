"""What it adds to the intervals that one person gives many votes; pure numpy and scipy.

Votes of one person lean the same way, so a hundred votes by four people tell less about the next person than a hundred
by a hundred. **Cluster-robust covariance** (Liang and Zeger, Biometrika 73, 1986): A^-1 M A^-1, with M the sum over
voters v of s_v s_v'. s_v is the voter's score: over the votes of v, points of the one model minus its expected points,
and the opposite for the other. A^-1 is the fit's inverse information, G the number of voters. Each score is first freed
of the voter's own pull on the fit (see `_squared`), and M multiplied by (G - 1) / G.

Each variance is the larger of the plain and the clustered one: with few voters the clustered one is often too small by
chance. The quantile is Student's t with G - 1 degrees of freedom. Votes whose voter nobody knows count each as one
person's.

Both covariances shrink alike as votes come in, so their ratio keeps for a while: it is worked out now and then, off the
vote's path, and multiplies the plain variance of the moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from arena.ratings import Z95, Estimate, Fit, Floats, Inflation, Places, centred, differences, fit
from arena.strengths import information_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FEWEST_VOTERS = 3
"""With fewer, how people differ cannot be told: Student's t with one degree of freedom would draw intervals of
thousands of points. Plain intervals then stand, and the page says how many people are behind them."""

LARGEST_INFLATION = 1e6
"""Of a variance: what a single pair of voters who disagree can do is wide enough, and stays a number."""


LARGE_SHARE = 0.01
"""A voter with this share of all information is freed of their own pull exactly; there can be a hundred of them."""

MOST_NUMBERS = 200_000
"""Of the matrices of such voters, so many numbers are worked on at once, so that many models take no more memory."""


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
    """G, at least `FEWEST_VOTERS`."""

    def inflation(self, keys: Sequence[tuple[int, ...]]) -> Inflation:
        """By how much each variance of these rows is wider. A row that had no votes gets the mean of the others."""
        weights = self.estimate.votes / self.estimate.votes.sum()
        plain, wide = centred(self.estimate.covariance, weights), centred(self.wide, weights)
        quantiles = student_over_normal(self.voters)
        single = quantiles * _ratio(np.diag(wide), np.diag(plain))
        contrast = quantiles * _ratio(differences(wide), differences(plain))
        off = contrast[~np.eye(len(single), dtype=bool)]
        n = len(keys)
        whole = Inflation(np.full(n, single.mean()), np.full((n, n), off.mean() if len(off) else quantiles))
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
        return student_over_normal(self.voters) * float(_ratio(np.array([wide]), np.array([plain]))[0])

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


def student_over_normal(voters: int) -> float:
    """Student's t with `voters` - 1 degrees over the normal quantile, squared: what few voters add to each variance."""
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy loads when a first rating needs it

    return float(stdtrit(voters - 1, 0.975) / Z95) ** 2


def rehearse() -> None:
    """Rate two made-up models by three voters, so that no vote waits half a second for choix and scipy to load."""
    wins, nothing = np.array([[0, 2], [1, 0]]), np.zeros((2, 2), np.int64)
    one, two = np.ones(3), np.array([1.0, 1.0, 0.0])
    votes = VotesByVoter(np.arange(3), np.zeros(3, np.intp), np.ones(3, np.intp), points=two, games=one)
    clustered(fit(wins, nothing, nothing), votes)
    student_over_normal(FEWEST_VOTERS)


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
    people, rows = np.unique(voter[named], return_inverse=True)
    scores = _scores(rows, first[named], second[named], surprise[named], (len(people), n))
    told = (games * chance * (1 - chance))[named]
    squared = _squared(scores, fit.inverse, rows, (first[named], second[named], told))
    unnamed = np.zeros((n, n))
    pair = first[~named], second[~named]
    np.add.at(unnamed, pair, games[~named] * fit.vote_variance[pair])
    voters = len(people) + int(games[~named].sum())
    meat = squared + information_of(unnamed + unnamed.T)
    meat *= (voters - 1) / voters if voters > 1 else 1.0
    bread = fit.inverse - fit.inverse.mean(axis=0)
    return np.asarray(bread @ meat @ bread.T), voters


def _scores(rows: Places, first: Places, second: Places, surprise: Floats, shape: tuple[int, int]) -> "csr_array":
    """The score of each voter, a row each."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - see `student_over_normal`

    values = np.concatenate([surprise, -surprise])
    at = np.concatenate([rows, rows]), np.concatenate([first, second])
    return coo_array((values, at), shape=shape).tocsr()


def _squared(scores: "csr_array", inverse: Floats, rows: Places, votes: tuple[Places, Places, Floats]) -> Floats:
    """The sum over voters of s_v s_v', each score as the others' fit would have it.

    A voter with many of the votes pulls the strengths towards their own taste, and so looks less surprising than the
    next person will be: (1 - A_v A^-1)^-1 s_v takes that back, A_v being the voter's own part of the information (the
    jackknife estimator CR3: Bell and McCaffrey, Survey Methodology 28, 2002). For small voters a factor does.
    """
    told = votes[2]
    share = np.bincount(rows, weights=told, minlength=scores.shape[0]) / max(told.sum(), 1e-300)
    whole = np.zeros_like(inverse)
    small = share < LARGE_SHARE
    if small.any():
        few = scores[small].multiply((1 / (1 - share[small]))[:, None]).tocsr()
        whole += (few.T @ few).toarray()
    large = np.flatnonzero(~small)
    at_once = max(1, MOST_NUMBERS // inverse.size)
    for some in (large[start : start + at_once] for start in range(0, len(large), at_once)):
        freed = _freed(scores[some].toarray(), inverse, _informations(some, len(share), rows, votes, len(inverse)))
        whole += freed.T @ freed
    return whole


def _informations(voters: Places, of: int, rows: Places, votes: tuple[Places, Places, Floats], models: int) -> Floats:
    """A_v of some of the voters, one matrix each."""
    first, second, told = votes
    place = np.full(of, -1)
    place[voters] = np.arange(len(voters))
    theirs = place[rows] >= 0
    pairs = np.zeros((len(voters), models, models))
    np.add.at(pairs, (place[rows[theirs]], first[theirs], second[theirs]), told[theirs])
    return information_of(pairs + pairs.transpose(0, 2, 1))


def _freed(scores: Floats, inverse: Floats, own: Floats) -> Floats:
    """(1 - A_v A^-1)^-1 s_v for each row of `scores` and matrix of `own`."""
    return np.asarray(np.linalg.solve(np.eye(len(inverse)) - own @ inverse, scores[:, :, None])[:, :, 0])


def _ratio(wide: NDArray[np.float64], plain: NDArray[np.float64]) -> Floats:
    """How much wider, between 1 and `LARGEST_INFLATION`; 1 where there is no variance at all."""
    some = plain > 0
    ratio = np.divide(wide, plain, out=np.ones_like(plain), where=some)
    return np.asarray(np.clip(ratio, 1.0, LARGEST_INFLATION))
