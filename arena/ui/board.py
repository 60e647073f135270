"""What the leaderboard page says: its rows, its plot, and its sentences. Pure; see `leaderboard_page` for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from arena.board_view import BoardView
from arena.fleet import ModelState, ModelStatus
from arena.leaderboard import Standing, Standings
from arena.roster import PLATFORM_NAMES
from arena.rubric import key_in_words
from arena.ui.forest import Forest, Interval, Mark, draw_forest
from arena.ui.language_names import name_language

READINESS: Mapping[ModelState, str] = {
    ModelState.STARTING: "Starting",
    ModelState.READY: "Ready",
    ModelState.RESTING: "Resting",
    ModelState.NOT_READY: "Not ready",
    ModelState.RETIRED: "Retired",
}
"""All that anyone but the operator learns of a model's availability."""

_NAMED = 5
"""Models of one group that are named; of more, one fewer and the number of the others."""

_IMPORTED = PLATFORM_NAMES["imported"]


@dataclass(frozen=True, slots=True)
class RatedRow:
    """One row of the table."""

    standing: Standing
    state: ModelState | None
    """`None` where the row stands for more than one revision."""
    first_token: str
    """Median time to first token, as people read it."""
    mark: Mark

    @property
    def readiness(self) -> str:
        """The state as people read it."""
        return READINESS[self.state] if self.state else ""

    @property
    def tie_rate(self) -> float:
        """Ties among the votes, 0..1."""
        return self.standing.ties / max(self.standing.votes, 1)

    @property
    def both_bad_rate(self) -> float:
        """“Both are bad” among the votes, 0..1."""
        return self.standing.both_bad / max(self.standing.votes, 1)


@dataclass(frozen=True, slots=True)
class UnratedModel:
    """A model that waits for its first vote."""

    name: str
    platform: str
    version: str | None
    state: ModelState

    @property
    def readiness(self) -> str:
        """The state as people read it."""
        return READINESS[self.state]


@dataclass(frozen=True, slots=True)
class Board:
    """The whole page, ready for its template."""

    headline: str
    basis: str
    """How many votes by how many people."""
    separation: str
    """That groups of models have not met; empty when they have."""
    rated: Sequence[RatedRow]
    unrated: Sequence[UnratedModel]
    forest: Forest | None
    standings: Standings
    view: BoardView
    choice: Sequence[str]
    """What the view leaves out, a few words each; empty for the whole leaderboard."""
    demo: bool

    @property
    def counted_at(self) -> datetime:
        """When the latest vote in the ratings came to count."""
        return self.standings.counted_at or self.standings.computed_at

    @property
    def by_model(self) -> bool:
        """Whether each row is one model, which has a state and a speed."""
        return self.view.by == "model"


WHOLE = BoardView()


def lay_out(
    standings: Standings,
    statuses: Sequence[ModelStatus],
    *,
    demo: bool,
    view: BoardView = WHOLE,
    first_tokens: Mapping[int, float] | None = None,
) -> Board:
    """Put standings and readiness together; models of the roster that no vote has named yet stand among the unrated."""
    states = _states(standings, statuses)
    rated = [row for row in standings.rows if row.rating is not None and view.shows(row)]
    speeds = first_tokens or {}
    forest = draw_forest([_interval(row) for row in rated])
    marks = forest.marks if forest else ()
    return Board(
        headline=headline(standings),
        basis=basis(standings),
        separation=separation(standings),
        rated=tuple(
            RatedRow(row, states.get(row.revision_id), _seconds(speeds.get(row.revision_id)), mark)
            for row, mark in zip(rated, marks, strict=True)
        ),
        unrated=_unrated(standings, statuses, states) if view == WHOLE else (),
        forest=forest,
        standings=standings,
        view=view,
        choice=tell_choice(view),
        demo=demo,
    )


_SCOPE_WORDS: Mapping[str, str] = {
    "battles": "votes in battles here",
    "imported": "imported votes",
    "campaigns": "votes in campaigns",
}
_BY_WORDS: Mapping[str, str] = {"platform": "one row a platform", "version": "one row a version"}


def tell_choice(view: BoardView) -> Sequence[str]:
    """A view in words; empty for the whole leaderboard."""
    turns = f"votes after {count_of(view.turns, 'turn')}" if view.turns else ""
    return [
        words
        for words in (
            _SCOPE_WORDS.get(view.scope, ""),
            f"judged by {key_in_words(view.criterion)}" if view.criterion else "",
            f"challenges about {view.tag.replace('-', ' ')}" if view.tag else "",
            f"prompts in {name_language(view.language)}" if view.language else "",
            turns,
            f"rows of {view.platform}" if view.platform else "",
            f"rows of the family {view.family}" if view.family else "",
            _BY_WORDS.get(view.by, ""),
            "ratings with length and formatting held equal" if view.style else "",
        )
        if words
    ]


def _seconds(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds / 1000:.1f} s"


def _interval(row: Standing) -> Interval:
    rating = row.rating or 0.0
    low = rating if row.low is None else row.low
    high = rating if row.high is None else row.high
    return Interval(row.display_name, rating, low, high, row.preliminary)


def _states(standings: Standings, statuses: Sequence[ModelStatus]) -> Mapping[int, ModelState]:
    """Each revision's state: only the newest revision of an id is what the roster's entry stands for now."""
    present = {status.model.id: status.state for status in statuses}
    single = [row for row in standings.rows if row.revision_id]
    states = dict.fromkeys((row.revision_id for row in single), ModelState.RETIRED)
    own = sorted((row for row in single if row.platform != _IMPORTED), key=lambda row: row.revision_id)
    newest = {row.model_id: row.revision_id for row in own}
    states.update({revision: present.get(model, ModelState.RETIRED) for model, revision in newest.items()})
    return states


def _unrated(
    standings: Standings, statuses: Sequence[ModelStatus], states: Mapping[int, ModelState]
) -> Sequence[UnratedModel]:
    waiting = [
        UnratedModel(row.display_name, row.platform, row.version, states[row.revision_id])
        for row in standings.rows
        if row.rating is None
    ]
    known = {row.model_id for row in standings.rows if row.platform != _IMPORTED}
    fresh = [
        UnratedModel(
            status.model.display_name,
            PLATFORM_NAMES.get(status.model.platform, status.model.platform),
            status.model.version,
            status.state,
        )
        for status in statuses
        if status.model.id not in known and status.model.role == "battle" and status.model.weight > 0
    ]
    return (*waiting, *fresh)


def headline(standings: Standings) -> str:
    """Who leads, and whether the votes make that sure."""
    rated = [row for row in standings.rows if row.rating is not None]
    if not standings.votes or not rated:
        return "No votes yet. The first one starts the ratings."
    leader, name = rated[0], rated[0].display_name
    rivals = [row for row in rated[1:] if row.rank_low == 1]
    if len(rated) > 1 and len(rivals) == len(rated) - 1:
        any_of = "either" if len(rated) == 2 else f"any of the {len(rated)} rated models"
        return f"{_ahead(rated)}, but it is too early to tell: {any_of} may be best."
    if not rivals and leader.rank_high == 1:
        return f"{name} leads, and the votes are enough to be sure of it."
    if len(rivals) > 3 or not rivals:
        others = f"one of {count_of(len(rivals), 'other')}" if rivals else "another model"
        return f"{name} leads; the votes leave open whether it or {others} is best."
    return (
        f"{name} leads; the votes leave open whether it{_alternatives([row.display_name for row in rivals])} is best."
    )


def _ahead(rated: Sequence[Standing]) -> str:
    top = [row.display_name for row in rated if round(row.rating or 0) == round(rated[0].rating or 0)]
    return f"{top[0]} is ahead" if len(top) == 1 else f"{len(top)} models are level at the top"


def _alternatives(names: Sequence[str]) -> str:
    return f" or {names[0]}" if len(names) == 1 else f", {', '.join(names[:-1])} or {names[-1]}"


def basis(standings: Standings) -> str:
    """How many votes by how many people the ratings rest on; empty before the first."""
    if not standings.votes:
        return ""
    people = f" by {count_of(standings.people, 'person', 'people')}" if standings.people else ""
    return f"{count_of(standings.votes, 'vote')}{people}"


def separation(standings: Standings) -> str:
    """That some models cannot be compared through votes yet."""
    if standings.groups < 2:
        return ""
    return (
        f"The rated models fall into {standings.groups} groups: {'; '.join(map(_some, standings.apart))}. "
        "Across groups these models have not met, directly or through others: their ratings compare by convention."
    )


def _some(names: Sequence[str]) -> str:
    """The first few names and how many more."""
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1:,} others"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def count_of(number: int, one: str, many: str | None = None) -> str:
    """'1 vote', '2,000 votes'; `many` where that is not `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
