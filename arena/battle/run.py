"""One turn of a battle while it streams, from its rows in the database to its outcome."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from arena.battle.line import place_in_line
from arena.battle.runs import Run
from arena.battle.seats import Attempt
from arena.battle.stage import Frame, Stage
from arena.battle.store import EndedTurn, end_turn
from arena.battle.views import BattleView, Phase, TurnView
from arena.database import Database
from arena.identity import IdentityPatterns, find_identity
from arena.logs import battle_in_log
from arena.tables import BattleState
from arena.voters import VoterIdentity

VOID_NOTICE = "One of the models could not finish, so this battle takes no vote. You can run the same challenge again."
STOPPED_NOTICE = "This turn was stopped. You can vote on the answers before it, or go on."


@dataclass(frozen=True, slots=True)
class Scene:
    """What a turn's views have in common."""

    battle_id: str
    question: str
    prompt: str
    earlier: tuple[TurnView, ...]
    """Shared history and earlier turns."""
    answered_before: bool
    """Both sides answered an earlier turn of this battle: if this one is stopped, a vote is still possible."""
    can_follow_up: bool


class BattleRun(Run[BattleView]):
    """A turn of a battle: two seats at one pace."""

    def __init__(
        self,
        *,
        voter: VoterIdentity,
        database: Database,
        patterns: IdentityPatterns,
        stage: Stage,
        scene: Scene,
        store: Callable[[], int],
        answered: Callable[[Attempt], None],
    ) -> None:
        """`store` writes the turn before it is asked, blocking, and returns its number; `answered` hears of answers."""
        super().__init__(scene.battle_id, voter)
        self._database = database
        self._patterns = patterns
        self._stage = stage
        self._scene = scene
        self._store = store
        self._answered = answered
        self._turn = 0
        self._sent_at = asyncio.get_running_loop().time()
        self._frame = Frame(("", ""), (True, True), begun=False, failed=False)

    async def start(self) -> None:
        """See `Run.start`."""
        battle_in_log.set(self.key)
        self._turn = await self._database.run(self._store)
        self._stage.start(self._sent_at)

    async def frames(self) -> AsyncGenerator[BattleView]:
        """See `Run.frames`."""
        async with aclosing(self._stage.frames()) as frames:
            async for frame in frames:
                self._frame = frame
                yield self._view(
                    Phase.STREAMING if frame.begun or frame.failed else Phase.WAITING,
                    frame.texts,
                    waiting=frame.waiting,
                    notice=VOID_NOTICE if frame.failed else None,
                )

    def halt(self) -> None:
        """See `Run.halt`."""
        self._stage.stop()

    def queued(self, place: int) -> BattleView:
        """See `Run.queued`."""
        return self._view(Phase.QUEUED, ("", ""), notice=place_in_line(place))

    def unserved(self) -> BattleView:
        """See `Run.unserved`."""
        return self._last_view(BattleState.ABANDONED)

    async def finish(self, reason: str | None) -> BattleView:
        """See `Run.finish`: complete answers make it votable, a failed side void, anything else abandoned."""
        battle_in_log.set(self.key)
        await self._stage.stopped_streams()
        outcome = self._outcome(reason)
        await self._database.run(self._write, outcome, reason)
        for seat in self._stage.seats:
            if seat.complete:
                self._answered(seat.current)
        return self._last_view(outcome)

    def _outcome(self, reason: str | None) -> BattleState:
        if self._stage.complete:
            return BattleState.VOTABLE
        return BattleState.VOID if self._stage.failed or reason == "error" else BattleState.ABANDONED

    def _write(self, outcome: BattleState, reason: str | None) -> None:
        texts = self._stage.texts
        complete = outcome is BattleState.VOTABLE
        a, b = (find_identity(text, self._patterns) if complete else [] for text in texts)
        end_turn(
            self._database,
            EndedTurn(
                battle_id=self.key,
                turn=self._turn,
                outcome=outcome,
                reason=reason or self._stage.failures,
                attempts=(self._stage.seats[0].attempts, self._stage.seats[1].attempts),
                findings=(a, b),
                first_shown_ms=self._stage.first_shown_ms,
                answered_ms=self._stage.answered_ms,
            ),
        )

    def _last_view(self, outcome: BattleState) -> BattleView:
        if outcome is BattleState.VOTABLE:
            return self._view(Phase.VOTABLE, self._stage.texts)
        if outcome is BattleState.VOID:
            return self._view(Phase.VOID, self._frame.texts, notice=VOID_NOTICE)
        if self._scene.answered_before:
            scene = self._scene
            return BattleView(
                scene.battle_id, Phase.VOTABLE, scene.question, scene.earlier, notice=STOPPED_NOTICE, can_follow_up=True
            )
        return self._view(Phase.ABANDONED, self._frame.texts)

    def _view(
        self,
        phase: Phase,
        texts: tuple[str, str],
        *,
        waiting: tuple[bool, bool] = (False, False),
        notice: str | None = None,
    ) -> BattleView:
        scene = self._scene
        return BattleView(
            battle_id=scene.battle_id,
            phase=phase,
            question=scene.question,
            turns=(*scene.earlier, TurnView(scene.prompt, texts)),
            waiting=waiting,
            notice=notice,
            can_follow_up=phase is Phase.VOTABLE and scene.can_follow_up,
        )
