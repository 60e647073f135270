"""The turns of battles and chats: who is asked what, what their views have in common, and where they are stored."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial

from arena.battle.beside import Beside
from arena.battle.bills import Bill
from arena.battle.casting import Casting
from arena.battle.chats import ChatRecord, ChatRun
from arena.battle.record import BattleRecord
from arena.battle.retelling import history_views, turn_views
from arena.battle.run import BattleRun, Scene
from arena.battle.runs import Runs
from arena.battle.seats import Attempt, Part, Seat
from arena.battle.stage import Stage
from arena.battle.store import NewBattle, start_battle, start_turn
from arena.battle.views import BattleView, ChatView, Phase, TurnView
from arena.challenges import Challenge
from arena.config import Settings
from arena.database import Database
from arena.errors import BattleError
from arena.fleet import Fleet
from arena.providers.base import Message, Sampling
from arena.tables import Mode, Side
from arena.voters import VoterIdentity


class Turns:
    """Plays admitted turns, and puts the seats of each into its bill. One per arena."""

    def __init__(
        self,
        *,
        database: Database,
        fleet: Fleet,
        casting: Casting,
        runs: Runs,
        beside: Beside,
        settings: Settings,
        answered: Callable[[Attempt], None],
    ) -> None:
        """`answered` hears of every complete answer, once its turn is stored."""
        self._database = database
        self._fleet = fleet
        self._casting = casting
        self._runs = runs
        self._beside = beside
        self._settings = settings
        self._answered = answered

    async def first(
        self,
        messages: tuple[Message, ...],
        voter: VoterIdentity,
        bill: Bill,
        *,
        models: tuple[str, str] | None = None,
        sampling: Sampling | None = None,
        continues: tuple[str, Side] | None = None,
        challenge: Challenge | None = None,
    ) -> AsyncGenerator[BattleView]:
        """A battle's first turn, its prompt the last message; models are drawn, and replaced, unless they are named."""
        history, prompt = messages[:-1], messages[-1].content
        a, b = models or self._casting.pair()
        parts = (Part(a, messages, sampling), Part(b, messages, sampling))
        stage = self._stage(parts, bill, replaceable=models is None)
        new = NewBattle(
            voter_id=voter.voter_id,
            mode=Mode.SIDE_BY_SIDE if models else Mode.BATTLE,
            prompt=prompt,
            attempts=stage.first_attempts,
            question=self._settings.question,
            question_version=self._settings.question_version,
            history=history,
            continues=continues,
            challenge_id=challenge.id if challenge else None,
            challenge_tags=challenge.tags if challenge else (),
        )
        earlier = history_views(history)
        scene = Scene(new.id, new.question, prompt, earlier, answered_before=False, can_follow_up=self._room(earlier))
        run = self._battle_run(voter, stage, scene, partial(start_battle, self._database, new))
        async with aclosing(self._runs.play(run)) as views:
            stored = False
            async for view in views:
                yield view
                if not stored and view.phase not in (Phase.QUEUED, Phase.ABANDONED):
                    stored = True
                    self._beside.learn()

    def further(
        self, record: BattleRecord, parts: tuple[Part, Part], voter: VoterIdentity, bill: Bill
    ) -> AsyncGenerator[BattleView]:
        """A further turn of a battle; what either side is asked ends with the same prompt."""
        stage = self._stage(parts, bill, replaceable=False)
        prompt, earlier = parts[0].messages[-1].content, turn_views(record)
        scene = Scene(
            record.id, record.question, prompt, earlier, answered_before=True, can_follow_up=self._room(earlier)
        )
        store = partial(start_turn, self._database, record, prompt, stage.first_attempts)
        return self._runs.play(self._battle_run(voter, stage, scene, store))

    def of_chat(self, chat: ChatRecord, part: Part, voter: VoterIdentity, bill: Bill) -> AsyncGenerator[ChatView]:
        """A turn of a chat, its prompt the last message."""
        run = ChatRun(
            voter=voter,
            database=self._database,
            seat=lambda unseen: Seat(self._fleet, self._settings, part, may_restart=unseen, affords=bill.affords),
            chat=chat,
            prompt=part.messages[-1].content,
            tempo=self._runs.tempo,
            answered=self._answered,
        )
        bill.seats = (run.seat,)
        return self._runs.play(run)

    def _room(self, earlier: Sequence[TurnView]) -> bool:
        """Whether a further turn may follow the one after `earlier`."""
        return len(earlier) + 1 < self._settings.max_turns

    def _stage(self, parts: tuple[Part, Part], bill: Bill, *, replaceable: bool) -> Stage:
        replacement = self._casting.replacement if replaceable else None
        try:
            tempo = self._runs.tempo
            stage = Stage(self._fleet, self._settings, parts, replacement, tempo=tempo, affords=bill.affords)
        except KeyError as error:
            raise BattleError("This conversation cannot go on: a model has left. You can still vote.") from error
        bill.seats = stage.seats
        return stage

    def _battle_run(self, voter: VoterIdentity, stage: Stage, scene: Scene, store: Callable[[], int]) -> BattleRun:
        return BattleRun(
            voter=voter,
            database=self._database,
            patterns=self._casting.patterns(),
            stage=stage,
            scene=scene,
            store=store,
            answered=self._answered,
        )
