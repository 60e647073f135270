"""The leaderboard as readers ask for it: any view of it, what it can be filtered by, and what stands beside ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from arena.background import Background
from arena.board_view import BoardView
from arena.database import Database
from arena.facets import CountedFacets, VoteFacets, read_counted_facets, read_vote_facets
from arena.first_tokens import FirstTokens
from arena.history import Moment, read_history
from arena.leaderboard import AT_ONCE_VOTES, Leaderboard
from arena.standings import Standing, Standings, is_preliminary, place_of
from arena.style import StyleControl, StyleRow


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be chosen."""

    scopes: Sequence[str]
    criteria: Sequence[str]
    platforms: Sequence[str]
    families: Sequence[str]
    votes: VoteFacets | None
    """`None` while the votes are still being looked through."""


class Boards:
    """Views of the standings and what is told beside them. Safe from any thread; may block by the number of votes."""

    def __init__(self, database: Database, leaderboard: Leaderboard, style: StyleControl) -> None:
        self._database = database
        self._leaderboard = leaderboard
        self._style = style
        self._first_tokens = Background(database, FirstTokens(database).read)
        self._counted: Background[CountedFacets] = Background(database, lambda: read_counted_facets(database))
        self._votes: Background[VoteFacets] = Background(database, lambda: read_vote_facets(database))

    def standings(self, view: BoardView) -> Standings:
        """The standings of a view, all rows of it (see `BoardView.shows`); empty for what no vote has."""
        if view.style:
            return self._held_equal()
        if not self._occurs(view):
            return replace(self._leaderboard.standings(by=view.by), rows=(), votes=0, people=0, groups=0)
        if view.counted:
            return self._leaderboard.standings(view.part.scopes, view.criterion, view.by)
        return self._leaderboard.sliced(view.part, view.by)

    def _held_equal(self) -> Standings:
        """The standings as they would be if all answers looked alike; waits for the first ones only."""
        whole, style = self._leaderboard.standings(), self._style.standings() or self._style.refresh()
        if style is None:  # the arena is being stopped
            return whole
        fitted = {row.revision_id: row for row in style.rows}
        rows = sorted((_rated_by(row, fitted.get(row.revision_id)) for row in whole.rows), key=place_of)
        return replace(whole, rows=rows, votes=style.votes, sequence=style.sequence, computed_at=style.computed_at)

    def facets(self) -> Facets:
        """What the votes can be filtered by now."""
        whole = self._leaderboard.standings()
        young = whole.votes <= AT_ONCE_VOTES
        counted = self._counted.current(whole.sequence) or self._counted.wait(whole.sequence)
        votes = self._votes.current(whole.sequence)
        return Facets(
            scopes=counted.scopes,
            criteria=counted.criteria,
            platforms=sorted({row.platform for row in whole.rows}),
            families=sorted({row.family for row in whole.rows if row.family}),
            votes=self._votes.wait(whole.sequence) if votes is None and young else votes,
        )

    def first_tokens(self) -> Mapping[int, float]:
        """Median time to first token, in milliseconds, by revision's id: of voted battles only."""
        whole = self._leaderboard.standings()
        known = self._first_tokens.current(whole.sequence)
        if known is None and whole.votes <= AT_ONCE_VOTES:
            return self._first_tokens.wait(whole.sequence)
        return known or {}

    def history(self, revisions: Sequence[int]) -> Mapping[int, Sequence[Moment]]:
        """How the ratings of some revisions moved."""
        return read_history(self._database, revisions)

    def _occurs(self, view: BoardView) -> bool:
        """Whether any vote can be in the view: nobody makes the arena read all votes for a tag that there is not."""
        if view.counted and not view.criterion:
            return True
        sequence = self._leaderboard.standings().sequence
        counted = self._counted.current(sequence) or self._counted.wait(sequence)
        if view.counted:
            return view.criterion in counted.criteria
        known = self._votes.current(sequence) or self._votes.wait(sequence)
        return (
            (not view.tag or view.tag in known.tags)
            and (not view.language or view.language in known.languages)
            and (not view.turns or view.turns in known.turns)
            and (not view.criterion or view.criterion in counted.criteria)
        )


def _rated_by(row: Standing, style: StyleRow | None) -> Standing:
    """The row with its ratings as style control finds them; unrated without answers to look at."""
    if style is None:
        return replace(row, rating=None, low=None, high=None, rank_low=0, rank_high=0)
    return replace(
        row,
        rating=style.rating,
        low=style.low,
        high=style.high,
        rank_low=style.rank_low,
        rank_high=style.rank_high,
        preliminary=is_preliminary(style.votes, style.low, style.high),
    )
