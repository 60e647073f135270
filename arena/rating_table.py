"""One table of ratings from counts, and the people behind it: what a board keeps between votes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from arena.ballots import Ballots, people_behind
from arena.clustering import FEWEST_VOTERS, Clustering, VotesByVoter, clustered
from arena.counts import PairCounts
from arena.grouping import Entry, Grouping
from arena.lineup import between, games_of, groups_of, line_up, shares
from arena.ratings import Estimate, Fit, Floats, Inflation, combine, fit, groups, on_scale
from arena.standings import Standings, rows_of
from arena.tables import ModelRevision, now


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who stood behind the rows when the votes were last looked at."""

    people: Mapping[tuple[int, ...], int]
    """By the revisions of the row."""
    total: int
    clustering: Clustering | None
    """`None` where one person alone has voted: an interval then speaks of this person's next votes; or nobody."""
    sequence: int
    """The newest commit number at that moment."""
    at: datetime


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Ratings of some entries from counts, before they are put on paper."""

    entries: Sequence[Entry]
    counts: PairCounts
    """Between the entries."""
    fit: Fit
    """Of the entries where each is one revision, else of the revisions in `share`."""
    estimate: Estimate
    """Of the entries."""
    share: Floats | None
    """How much each revision of the counts weighs in each entry; `None` where each entry is one revision."""
    revisions: Sequence[int]
    """The revision of each model of `fit`."""
    listed: tuple[Sequence[ModelRevision], Sequence[int]]
    """The revisions, and those with votes, from which the entries were made."""

    @property
    def keys(self) -> Sequence[tuple[int, ...]]:
        """What names each entry from one table to the next."""
        return [entry.revisions for entry in self.entries]

    def inflation(self, crowd: Crowd | None) -> Inflation | None:
        """What the crowd adds to the intervals of these entries."""
        return crowd.clustering.inflation(self.keys) if crowd and crowd.clustering else None

    def standings(
        self, crowd: Crowd | None, inflation: Inflation | None, counted_at: datetime | None = None
    ) -> Standings:
        """The rows; `inflation` is the crowd's, `counted_at` as in `Standings`."""
        ratings = on_scale(self.estimate, inflation)
        people = [crowd.people.get(key, 0) if crowd else 0 for key in self.keys]
        apart = groups(self.counts.wins, self.counts.ties, self.counts.both_bad)
        return Standings(
            rows=rows_of(self.entries, self.counts, ratings, people),
            votes=self.counts.votes,
            people=crowd.total if crowd else 0,
            sequence=self.counts.sequence,
            computed_at=now(),
            groups=len(apart),
            apart=[[self.entries[place].display_name for place in group] for group in apart] if len(apart) > 1 else (),
            counted_at=counted_at,
            clustered_at=crowd.at if crowd else None,
        )


def tabulate(
    revisions: Sequence[ModelRevision], counts: PairCounts, by: Grouping, previous: RatingTable | None = None
) -> RatingTable:
    """Rate the revisions of the counts, and the newest of each model; from where the previous table stood."""
    voted = [revision for revision, games in zip(counts.revisions, games_of(counts), strict=True) if games]
    if previous and previous.listed[0] is revisions and previous.listed[1] == voted:
        entries = previous.entries
    else:
        entries = line_up(revisions, voted, by)
    listed = revisions, voted
    merged = between(counts, entries)
    if by == "model":
        names = [entry.revisions[0] for entry in entries]
        start = previous.fit if previous and previous.revisions == names else None
        fitted = fit(merged.wins, merged.ties, merged.both_bad, start)
        return RatingTable(entries, merged, fitted, fitted.estimate, None, names, listed)
    names = list(counts.revisions)
    start = previous.fit if previous and previous.revisions == names else None
    fitted = fit(counts.wins, counts.ties, counts.both_bad, start)
    share = shares(counts, entries)
    estimate = combine(fitted.estimate, share, games_of(merged).astype(np.float64))
    return RatingTable(entries, merged, fitted, estimate, share, names, listed)


def look_at(table: RatingTable, ballots: Ballots, sequence: int) -> Crowd:
    """Who stands behind a table that was made from these ballots, and what their number adds to its intervals."""
    people, total = people_behind(ballots, groups_of(table.entries), len(table.entries))
    wide, voters = clustered(table.fit, _by_voter(table, ballots))
    if table.share is not None:
        share = table.share[np.ix_(table.estimate.rated, table.fit.estimate.rated)]
        wide = share @ wide @ share.T
    places = {key: place for place, key in enumerate(table.keys)}
    comparable = voters >= FEWEST_VOTERS and len(table.estimate.rated) > 1
    return Crowd(
        people=dict(zip(table.keys, people, strict=True)),
        total=total,
        clustering=Clustering(places, table.estimate, wide, voters) if comparable else None,
        sequence=sequence,
        at=now(),
    )


def _by_voter(table: RatingTable, ballots: Ballots) -> VotesByVoter:
    place = np.full(max([*table.revisions, int(ballots.high.max(initial=0))]) + 1, -1)
    place[list(table.revisions)] = np.arange(len(table.revisions))
    first, second = place[ballots.low], place[ballots.high]
    known = (first >= 0) & (second >= 0)
    halves = (ballots.ties + ballots.both_bad) / 2
    return VotesByVoter(
        voter=np.where(np.isin(ballots.voter, ballots.unknown), -1, ballots.voter)[known],
        first=first[known],
        second=second[known],
        points=(ballots.wins_low + halves)[known],
        games=(ballots.wins_low + ballots.wins_high + 2 * halves)[known],
    )
