"""The battles behind one cell of who beats whom, for the operator's eyes: prompts, both answers, the vote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from arena.ballots import RATED_SCOPES
from arena.database import Database
from arena.tables import Answer, Battle, ModelRevision, Prompt, Seat, Side, Vote, VoteState, Winner, counted_in

PER_PAGE = 10


@dataclass(frozen=True, slots=True)
class ReadTurn:
    """One turn: what was asked, and what the two said; texts of the first model first, whichever its seat was."""

    prompt: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class ReadBattle:
    """A voted battle of the two."""

    at: datetime
    winner: str | None
    """The name of the one that was called better; `None` for a tie or both bad."""
    both_bad: bool
    voter: str
    mode: str
    turns: Sequence[ReadTurn]


@dataclass(frozen=True, slots=True)
class FoundBattle:
    """A voted battle, found by its id."""

    id: str
    first: str
    second: str
    read: ReadBattle


@dataclass(frozen=True, slots=True)
class MatchupPage:
    """Some of the battles, the newest first."""

    first: str
    second: str
    battles: Sequence[ReadBattle]
    total: int
    page: int
    """1, 2, …"""

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(-(-self.total // PER_PAGE), 1)


def read_matchup(database: Database, first: int, second: int, page: int = 1) -> MatchupPage | None:
    """One page of the counted battles of two revisions; `None` where one of them does not exist."""
    of_both = or_(
        and_(Battle.revision_a == first, Battle.revision_b == second),
        and_(Battle.revision_a == second, Battle.revision_b == first),
    )
    counted = (Vote.rated, Vote.state == VoteState.COUNTED, counted_in().in_(RATED_SCOPES), of_both)
    with database.read() as session:
        names = [session.get(ModelRevision, revision) for revision in (first, second)]
        if names[0] is None or names[1] is None or first == second:
            return None
        joined = select(Battle, Vote).join(Vote, Vote.battle_id == Battle.id).where(*counted)
        total = session.scalar(select(func.count()).select_from(joined.subquery())) or 0
        page = min(max(page, 1), max(-(-total // PER_PAGE), 1))
        newest = joined.order_by(Vote.sequence.desc()).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
        shown = (names[0].display_name, names[1].display_name)
        rows = [_read(session, battle, vote, first, shown) for battle, vote in session.execute(newest)]
    return MatchupPage(*shown, rows, total, page)


def read_battles(database: Database, ids: Sequence[str]) -> Sequence[FoundBattle]:
    """Voted battles by their ids, in that order, side A first; an id of none is passed over."""
    with database.read() as session:
        found = [_found(session, battle_id) for battle_id in ids]
    return [battle for battle in found if battle is not None]


def _found(session: Session, battle_id: str) -> FoundBattle | None:
    battle, vote = session.get(Battle, battle_id), session.get(Vote, battle_id)
    if battle is None or vote is None:
        return None
    first, second = (session.get_one(ModelRevision, revision) for revision in (battle.revision_a, battle.revision_b))
    names = (first.display_name, second.display_name)
    return FoundBattle(battle_id, *names, _read(session, battle, vote, first.id, names))


def _read(session: Session, battle: Battle, vote: Vote, first: int, names: tuple[str, str]) -> ReadBattle:
    first_side = Side.A if battle.revision_a == first else Side.B
    by_side = {side: names[0] if side is first_side else names[1] for side in Side}
    won = {Winner.MODEL_A: by_side[Side.A], Winner.MODEL_B: by_side[Side.B]}.get(vote.winner)
    asked = select(Prompt.turn, Prompt.text).where(Prompt.conversation_id == battle.conversation_id)
    said = (
        select(Seat.turn, Seat.side, Answer.text)
        .join(Answer, Answer.id == Seat.answer_id)
        .where(Seat.battle_id == battle.id)
    )
    answers = {(turn, side): text for turn, side, text in session.execute(said)}
    other = Side.B if first_side is Side.A else Side.A
    turns = [
        ReadTurn(text, answers.get((turn, first_side), ""), answers.get((turn, other), ""))
        for turn, text in session.execute(asked.order_by(Prompt.turn))
        if turn <= vote.turn
    ]
    return ReadBattle(vote.created_at, won, vote.winner is Winner.BOTH_BAD, vote.voter_id, battle.mode.value, turns)
