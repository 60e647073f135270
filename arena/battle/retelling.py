"""Stored battles as a visitor sees them again: after the vote, or on a reloaded page."""

from collections.abc import Sequence
from datetime import timedelta

from arena.battle.record import BattleRecord, latest_battle_id, read_battle
from arena.battle.verdicts import Ballot, cast, read_reveal, reveal_of, withdraw
from arena.battle.views import BattleView, Phase, Restored, Reveal, TurnView
from arena.database import Database
from arena.leaderboard import Leaderboard
from arena.providers.base import Message
from arena.rubric import Rubric
from arena.tables import BattleState, Mode, now

PROMPT_KEPT_FOR = timedelta(hours=1)
"""How long an interrupted prompt is given back to a reloaded page."""

_PHASES = {
    BattleState.RUNNING: Phase.STREAMING,
    BattleState.VOTABLE: Phase.VOTABLE,
    BattleState.VOTED: Phase.REVEALED,
    BattleState.VOID: Phase.VOID,
    BattleState.ABANDONED: Phase.ABANDONED,
}


class Retelling:
    """Votes and what is shown of stored battles. Blocking: call it in a thread."""

    def __init__(
        self, database: Database, leaderboard: Leaderboard, rubric: Rubric, *, max_turns: int, demo: bool
    ) -> None:
        self._database = database
        self._leaderboard = leaderboard
        self._rubric = rubric
        self._max_turns = max_turns
        self._demo = demo

    def read(self, battle_id: str, voter_id: str) -> BattleRecord:
        """The voter's own battle; raises `BattleError` for any other."""
        with self._database.read() as session:
            return read_battle(session, battle_id, voter_id)

    def vote(self, ballot: Ballot) -> BattleView:
        """Store the vote, then tell who fought and what it did to the ratings."""
        before = self._leaderboard.recent()
        record, vote = cast(self._database, ballot, self._rubric, demo=self._demo)
        after = self._leaderboard.standings()
        return self._revealed(record, reveal_of(record, vote, before, after, demo=self._demo))

    def withdraw(self, battle_id: str, voter_id: str) -> BattleView:
        """Take the vote back; who fought stays known."""
        withdraw(self._database, battle_id, voter_id)
        after = self._leaderboard.standings()
        with self._database.read() as session:
            record = read_battle(session, battle_id, voter_id)
            reveal = read_reveal(session, record, None, after, demo=self._demo)
        return self._revealed(record, reveal)

    def restore(self, voter_id: str) -> Restored:
        """See `Arena.restore`."""
        with self._database.read() as session:
            latest = latest_battle_id(session, voter_id, Mode.BATTLE)
            record = read_battle(session, latest, voter_id) if latest else None
        if record is None:
            return Restored()
        prompt = _interrupted_prompt(record)
        if record.state is BattleState.VOTABLE:
            return Restored(self._view(record), prompt)
        return Restored(None, prompt)

    def _revealed(self, record: BattleRecord, reveal: Reveal | None) -> BattleView:
        view = self._view(record)
        return BattleView(view.battle_id, view.phase, view.question, view.turns, reveal=reveal)

    def _view(self, record: BattleRecord) -> BattleView:
        turns = turn_views(record)
        votable = record.state is BattleState.VOTABLE
        return BattleView(
            battle_id=record.id,
            phase=_PHASES[record.state],
            question=record.question,
            turns=turns,
            can_follow_up=votable and len(turns) < self._max_turns,
        )


def turn_views(record: BattleRecord) -> tuple[TurnView, ...]:
    """Shared history, then the turns that both sides answered."""
    own = tuple(TurnView(turn.prompt, turn.answers) for turn in record.turns)
    return (*history_views(record.history), *own)


def history_views(history: Sequence[Message]) -> tuple[TurnView, ...]:
    """A shared history as turns, both sides alike."""
    pairs = zip(history[::2], history[1::2], strict=True)
    return tuple(TurnView(asked.content, (said.content, said.content)) for asked, said in pairs)


def _interrupted_prompt(record: BattleRecord) -> str:
    """The latest turn's prompt, if that turn was interrupted and not long ago."""
    prompt = record.open_prompt
    if prompt is None or record.state in (BattleState.VOTED, BattleState.VOID):
        return ""
    return prompt.text if now() - prompt.created_at < PROMPT_KEPT_FOR else ""
