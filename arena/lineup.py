"""Who gets a row on the leaderboard, the counts between rows, and what each revision weighs in its row."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from arena.comparisons import equal_shares
from arena.counts import PairCounts
from arena.grouping import Entry, Grouping, group_revisions
from arena.ratings import Floats
from arena.tables import ModelRevision


def line_up(revisions: Sequence[ModelRevision], voted: Iterable[int], by: Grouping) -> Sequence[Entry]:
    """Group into rows the revisions with votes, and the newest of each id.

    An imported namesake is no newer one of a roster's model. Without a version of its own a revision is never merged
    with another.
    """
    has_votes = set(voted)
    newest = {(r.model_id, r.platform == "imported"): r.id for r in sorted(revisions, key=lambda r: r.number)}
    shown = [r for r in revisions if r.id in has_votes or r.id == newest[r.model_id, r.platform == "imported"]]
    return group_revisions(shown, by)


def groups_of(entries: Sequence[Entry]) -> Mapping[int, int]:
    """The place of each revision's entry."""
    return {revision: place for place, entry in enumerate(entries) for revision in entry.revisions}


def between(counts: PairCounts, entries: Sequence[Entry]) -> PairCounts:
    """The counts between entries; what members of one entry did to each other says nothing about it."""
    column = {revision: place for place, revision in enumerate(counts.revisions)}
    if all(len(entry.revisions) == 1 for entry in entries):
        return _spread(counts, [column.get(entry.revisions[0], -1) for entry in entries])
    member = np.zeros((len(entries), len(column)))
    for place, entry in enumerate(entries):
        member[place, [column[r] for r in entry.revisions if r in column]] = 1

    def total(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        merged = np.rint(member @ matrix.astype(np.float64) @ member.T).astype(np.int64)
        np.fill_diagonal(merged, 0)
        return np.asarray(merged)

    return PairCounts(
        range(len(entries)), total(counts.wins), total(counts.ties), total(counts.both_bad), counts.sequence
    )


def shares(counts: PairCounts, entries: Sequence[Entry]) -> Floats:
    """How much each revision weighs in its entry, shape (entries, revisions): see `arena.comparisons.equal_shares`.

    What counts are votes against other entries. The rows by platform so agree with the verdict on two platforms.
    """
    place = groups_of(entries)
    group = np.array([place.get(revision, -1) for revision in counts.revisions], np.int64)
    games = (counts.wins + counts.wins.T + counts.ties + counts.both_bad).astype(np.float64)
    foreign = (group[:, None] != group[None, :]) & (group[:, None] >= 0) & (group[None, :] >= 0)
    outside = (games * foreign).sum(axis=1)
    weights = np.zeros((len(entries), len(group)))
    for row in range(len(entries)):
        members = group == row
        if outside[members].any():
            weights[row, members] = equal_shares(outside[members])
    return weights


def games_of(counts: PairCounts) -> NDArray[np.int64]:
    """How many votes each row of the counts took part in."""
    return np.asarray(counts.wins.sum(axis=1) + counts.wins.sum(axis=0) + (counts.ties + counts.both_bad).sum(axis=1))


def _spread(counts: PairCounts, places: Sequence[int]) -> PairCounts:
    """The counts in another order, with empty rows at the places that are -1."""
    if list(places) == list(range(len(counts.revisions))):
        return counts
    here = np.array([new for new, old in enumerate(places) if old >= 0], np.intp)
    there = np.array([old for old in places if old >= 0], np.intp)

    def placed(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        whole = np.zeros((len(places), len(places)), np.int64)
        whole[np.ix_(here, here)] = matrix[np.ix_(there, there)]
        return whole

    return PairCounts(
        range(len(places)), placed(counts.wins), placed(counts.ties), placed(counts.both_bad), counts.sequence
    )
