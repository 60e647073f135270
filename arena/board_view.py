"""One view of the leaderboard: which votes, whose rows, and what a row stands for; and how a link spells it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import get_args
from urllib.parse import urlencode

from arena.ballots import RATED_SCOPES, Slice
from arena.errors import ArenaError
from arena.grouping import Grouping
from arena.standings import Standing
from arena.tables import Mode

SCOPES: Mapping[str, tuple[str, ...]] = {
    "": RATED_SCOPES,
    "battles": (Mode.BATTLE.value,),
    "imported": (Mode.IMPORTED.value,),
    "campaigns": (Mode.CAMPAIGN.value,),
}
"""The word of a link, and the scopes of votes it stands for; the empty word is all that the ratings rest on."""

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class BoardView:
    """What a reader chose. Every default leaves nothing out and is left out of links."""

    scope: str = ""
    """A key of `SCOPES`."""
    by: Grouping = "model"
    criterion: str = ""
    """Empty for the overall verdict."""
    tag: str = ""
    """Of the challenge."""
    language: str = ""
    """ISO 639-1 code."""
    turns: int = 0
    """How many turns the voter had seen; 0 for any number."""
    platform: str = ""
    """As people read it. Chooses rows, not votes: they keep their ratings among all models."""
    family: str = ""
    """Likewise."""
    style: str = ""
    """`equal`: ratings with length and formatting held equal, from all votes; empty: as voted."""

    def shows(self, row: Standing) -> bool:
        """Whether the row is of the chosen platform and family; of platforms a version may have several."""
        of_platform = not self.platform or self.platform in row.platform.split(", ")
        return of_platform and (not self.family or self.family == row.family)

    @property
    def query(self) -> str:
        """The view as a link spells it, without the question mark; empty for the whole leaderboard."""
        plain = BoardView()
        return urlencode({name: value for name, value in asdict(self).items() if value != getattr(plain, name)})

    @property
    def part(self) -> Slice:
        """Which votes it rests on."""
        return Slice(
            scopes=SCOPES[self.scope],
            criterion=self.criterion,
            tag=self.tag or None,
            language=self.language or None,
            turns=self.turns or None,
        )

    @property
    def counted(self) -> bool:
        """Whether the pair counts hold it; otherwise the votes themselves have to be read."""
        return not (self.tag or self.language or self.turns or self.style) and self.scope != "campaigns"


def read_view(query: Mapping[str, str]) -> BoardView:
    """The view that a link's query names; keys of other purposes are passed over.

    Raises:
        ArenaError: a value is none that a view can have.

    """
    given = {field.name: str(query[field.name])[:_LONGEST] for field in fields(BoardView) if query.get(field.name)}
    turns = given.pop("turns", "0")
    by = given.pop("by", "model")
    if not turns.isdecimal() or int(turns) > 1000:
        raise ArenaError(f"“{turns}” is no number of turns; choose one from the list.")
    if by not in get_args(Grouping):
        raise ArenaError(f"Rows can stand for {', '.join(get_args(Grouping))}, not for “{by}”.")
    if given.get("scope", "") not in SCOPES:
        raise ArenaError(f"Votes come from {', '.join(filter(None, SCOPES))}, not from “{given['scope']}”.")
    if given.get("style", "") not in ("", "equal"):
        raise ArenaError(f"Length and formatting can be held “equal”, not “{given['style']}”.")
    chosen = given.keys() & {"scope", "criterion", "tag", "language"} or turns != "0" or by != "model"
    if given.get("style") and chosen:
        raise ArenaError("Length and formatting are held equal over all votes: choose no votes beside it.")
    grouping: Grouping = next(word for word in get_args(Grouping) if word == by)
    return BoardView(by=grouping, turns=int(turns), **given)
