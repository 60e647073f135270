"""The arena: starts battles and chats, takes votes, and tells what may be shown."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

from arena.battle.admission import Admission
from arena.battle.beside import Beside
from arena.battle.casting import Casting
from arena.battle.chats import ChatRecord, read_chat
from arena.battle.figures import count_battles
from arena.battle.requests import check_named
from arena.battle.retelling import Retelling, turn_views
from arena.battle.runs import Runs
from arena.battle.seats import Attempt, Part
from arena.battle.turns import Turns
from arena.battle.verdicts import Ballot
from arena.battle.views import BattleView, ChatView, Figures, Restored
from arena.challenges import Challenge
from arena.config import Settings
from arena.database import Database
from arena.draw_forecast import Forecast
from arena.errors import BattleError
from arena.evidence import VoteEvidence
from arena.fleet import Fleet
from arena.forgetting import forget
from arena.leaderboard import Leaderboard
from arena.limits import Limits
from arena.moderation import Moderation
from arena.providers.base import Gathering, Message, Sampling
from arena.rubric import NO_RUBRIC, Rubric
from arena.tables import BattleState, Side, Winner, new_id
from arena.voters import VoterIdentity

AnswerListener = Callable[[str, float, float], None]  # the model's id, the seconds to its first token and to its end


class Arena:
    """The battles. One per process; its async methods belong to the event loop."""

    def __init__(
        self,
        *,
        database: Database,
        fleet: Fleet,
        leaderboard: Leaderboard,
        limits: Limits,
        settings: Settings,
        moderation: Moderation | None = None,
        challenges: Sequence[Challenge] = (),
        rubric: Rubric = NO_RUBRIC,
        rng: random.Random | None = None,
        gathering: Gathering | None = None,
    ) -> None:
        """`challenges` are those whose id may be stored with a battle; `rubric` holds what a vote may rate.

        `rng` is the only source of chance. `gathering` is told how often answers are worth reading.
        """
        self._database = database
        self._fleet = fleet
        self._settings = settings
        self._challenges = {challenge.id: challenge for challenge in challenges}
        self._evidence = VoteEvidence(database)
        self._casting = Casting(fleet, rng or random.SystemRandom(), settings.draw, lambda: self._evidence.latest)
        self._retelling = Retelling(database, leaderboard, rubric, max_turns=settings.max_turns, demo=settings.demo)
        self._runs = Runs(settings.max_battles, settings.max_waiting, settings.frames_per_s)
        if gathering is not None:
            gathering.seconds = self._runs.tempo.reading_s
        self._admission = Admission(database, fleet, self._runs, settings, limits, moderation or Moderation())
        self._beside = Beside(database, self._evidence, learns=settings.draw != "uniform")
        self._turns = Turns(
            database=database,
            fleet=fleet,
            casting=self._casting,
            runs=self._runs,
            beside=self._beside,
            settings=settings,
            answered=self._answered,
        )
        self._listeners: list[AnswerListener] = []
        self._stored: Callable[[str], None] | None = None

    def on_answered(self, listener: AnswerListener) -> None:
        """From now on tell `listener` of every finished answer of battles and chats, once its turn is stored."""
        self._listeners.append(listener)

    def on_stored(self, listener: Callable[[str], None]) -> None:
        """From now on call `listener` with the battle's id after each vote or withdrawal, once it is stored.

        It may block, and is done before the voter is answered.
        """
        self._stored = listener

    async def fight(
        self, prompt: str, voter: VoterIdentity, *, challenge_id: str | None = None
    ) -> AsyncGenerator[BattleView]:
        """Start an anonymous battle and yield what to show, at most `frames_per_s` times a second, to its end.

        Closing the generator cancels both answers within 0.1 s and marks the battle abandoned. A challenge's id is
        stored only if the prompt is that challenge's text.
        Raises `BattleError` for an empty or too long prompt, a limit, or fewer than two models that can be drawn.
        """
        asked, challenge = (Message("user", prompt),), self._challenge(challenge_id, prompt)
        async with (
            self._admission.turn(asked, voter, 0) as bill,
            aclosing(self._turns.first(asked, voter, bill, challenge=challenge)) as views,
        ):
            async for view in views:
                yield view

    async def follow_up(self, battle_id: str, prompt: str, voter: VoterIdentity) -> AsyncGenerator[BattleView]:
        """Send a further turn to both sides of a votable battle (of any mode), each with its own history.

        A turn that is stopped leaves the battle votable on the turns before it. One that fails is tried again once,
        by the same model; if that fails too the battle is void.
        """
        record = await self._database.run(self._retelling.read, battle_id, voter.voter_id)
        if record.state is not BattleState.VOTABLE or record.samplings is None:
            raise BattleError("A further turn is possible only after both answers and before the vote.")
        if not {model.id for model in self._fleet.nameable()}.issuperset(record.models):
            raise BattleError("A further turn is not possible at the moment. You can vote, or try again in a minute.")
        messages = [(*record.conversation(side), Message("user", prompt)) for side in Side]
        a, b = (Part(*part) for part in zip(record.models, messages, record.samplings, strict=True))
        longest = max(messages, key=lambda said: sum(len(message.content) for message in said))
        async with (
            self._admission.turn(longest, voter, len(turn_views(record)), record.models) as bill,
            aclosing(self._turns.further(record, (a, b), voter, bill)) as views,
        ):
            async for view in views:
                yield view

    async def continue_from(
        self, battle_id: str, side: Side, prompt: str, voter: VoterIdentity
    ) -> AsyncGenerator[BattleView]:
        """Start a new anonymous battle whose shared history is that side's conversation in a voted battle."""
        record = await self._database.run(self._retelling.read, battle_id, voter.voter_id)
        if record.state is not BattleState.VOTED:
            raise BattleError("You can continue from an answer after your vote.")
        history = record.conversation(side)
        asked = (*history, Message("user", prompt))
        async with (
            self._admission.turn(asked, voter, len(history) // 2) as bill,
            aclosing(self._turns.first(asked, voter, bill, continues=(battle_id, side))) as views,
        ):
            async for view in views:
                yield view

    async def fight_named(
        self, prompt: str, voter: VoterIdentity, model_ids: tuple[str, str], sampling: Sampling
    ) -> AsyncGenerator[BattleView]:
        """Start a side-by-side battle between two different models of the visitor's choice; never rated."""
        check_named(model_ids, sampling, self._fleet)
        asked = (Message("user", prompt),)
        async with (
            self._admission.turn(asked, voter, 0, model_ids, sampling) as bill,
            aclosing(self._turns.first(asked, voter, bill, models=model_ids, sampling=sampling)) as views,
        ):
            async for view in views:
                yield view

    async def chat(
        self, prompt: str, voter: VoterIdentity, model_id: str, sampling: Sampling, conversation_id: str | None = None
    ) -> AsyncGenerator[ChatView]:
        """Say something to one named model, in a new conversation or a further turn of the voter's own."""
        check_named((model_id,), sampling, self._fleet)
        chat = ChatRecord(new_id(), voter.voter_id)
        if conversation_id is not None:
            chat = await self._database.run(read_chat, self._database, conversation_id, voter.voter_id)
        if any(run.key == chat.conversation_id for run in self._runs):
            raise BattleError("This chat is still being answered.")
        part = Part(model_id, (*chat.messages, Message("user", prompt)), sampling)
        async with (
            self._admission.turn(part.messages, voter, len(chat.turns), (model_id,), sampling) as bill,
            aclosing(self._turns.of_chat(chat, part, voter, bill)) as views,
        ):
            async for view in views:
                yield view

    async def vote(
        self,
        battle_id: str,
        voter: VoterIdentity,
        winner: Winner,
        criteria: Mapping[str, str] | None = None,
        rubric_version: str | None = None,
    ) -> BattleView:
        """Store the voter's verdict in one transaction, then reveal.

        `criteria` maps ids of the rubric to `model_a`, `model_b` or `tie`; what was not rated is absent.
        `rubric_version` is that of the criteria which the voter was shown.
        Raises `BattleError` when the battle is not the voter's, not votable, or already voted on, or the rubric is
        another one.
        """
        ballot = Ballot(battle_id, voter.voter_id, winner, criteria or {}, rubric_version)
        view = await self._database.run(self._retelling.vote, ballot)
        await self._tell_stored(battle_id)
        self._beside.learn()
        return view

    async def withdraw(self, battle_id: str, voter: VoterIdentity) -> BattleView:
        """Take the voter's own vote back: kept, marked, and never rated or exported again. Twice is not an error."""
        view = await self._database.run(self._retelling.withdraw, battle_id, voter.voter_id)
        await self._tell_stored(battle_id)
        return view

    async def _tell_stored(self, battle_id: str) -> None:
        if self._stored is not None:
            await self._database.run(self._stored, battle_id)

    async def stop(self, battle_id: str, voter: VoterIdentity) -> None:
        """Stop a running battle or chat turn of the voter's; its generator then yields its last view and ends.

        What both models had answered to the end stays votable. Stopping what does not run is not an error.
        """
        runs = [run for run in self._runs if run.key == battle_id and run.voter.voter_id == voter.voter_id]
        await asyncio.gather(*(asyncio.shield(run.end("stopped by the visitor")) for run in runs))

    async def forget(self, voter: VoterIdentity) -> None:
        """Stop what the voter runs, then forget the voter; what becomes of votes is a setting."""
        runs = [run for run in self._runs if run.voter.voter_id == voter.voter_id]
        await asyncio.gather(*(asyncio.shield(run.end("forgotten")) for run in runs))
        await self._database.run(forget, self._database, voter.voter_id, self._settings.forgotten_votes)

    def leave(self, session: str) -> None:
        """The page of that session is gone: cancel what it was streaming, keep what was finished. From any thread."""
        for run in self._runs:
            if session and run.voter.session == session:
                run.end_soon("the visitor left")

    async def restore(self, voter: VoterIdentity) -> Restored:
        """What a reloaded Battle page shows: the voter's latest battle if it waits for its vote, else its prompt if it
        was interrupted in the last hour, else nothing.

        A battle whose further turn was interrupted comes with both: what can be voted on, and that turn's prompt.
        """
        return await self._database.run(self._retelling.restore, voter.voter_id)

    async def figures(self, since: datetime | None = None) -> Figures:
        """Battles by outcome, from the database; with `since`, only those that started then or later."""
        return await self._database.run(count_battles, self._database, len(self._runs), since)

    @property
    def waiting(self) -> int:
        """How many visitors wait in line before the full arena."""
        return self._runs.waiting

    def warm_up(self) -> None:
        """Make what the first battle would wait for; blocking, so call it in a thread."""
        self._casting.patterns()

    def forecast(self) -> Forecast:
        """What the next draw looks like and why, for the operator."""
        return self._casting.forecast()

    async def drain(self, seconds: float) -> int:
        """Refuse new battles, let running ones finish for up to `seconds`, cancel the rest; returns how many it cut."""
        cut = await self._runs.drain(seconds)
        await self._beside.finish()
        return cut

    def _challenge(self, challenge_id: str | None, prompt: str) -> Challenge | None:
        challenge = self._challenges.get(challenge_id or "")
        return challenge if challenge and challenge.text.strip() == prompt.strip() else None

    def _answered(self, attempt: Attempt) -> None:
        progress = attempt.progress
        for listener in self._listeners:
            listener(attempt.model.id, (progress.first_token_ms or 0.0) / 1000, (progress.total_ms or 0.0) / 1000)
