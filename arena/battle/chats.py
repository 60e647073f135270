"""Direct chat with one named model: stored apart from battles, without seats, and never rated."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arena.battle.line import place_in_line
from arena.battle.runs import Run
from arena.battle.seats import Attempt, Seat
from arena.battle.store import write_attempt
from arena.battle.tempo import Tempo
from arena.battle.views import ChatView
from arena.database import Database
from arena.errors import BattleError
from arena.providers.base import Message
from arena.tables import Answer, Conversation, ConversationKind, Prompt
from arena.voters import VoterIdentity, ensure_voter

LEFT_NOTICE = "You have left the line, and nothing was asked."
FAILED_NOTICE = "The model could not finish its answer. You can send it again."


@dataclass(frozen=True, slots=True)
class ChatRecord:
    """A chat as it is stored, with the turns that have an answer."""

    conversation_id: str
    voter_id: str
    turns: tuple[tuple[str, str], ...] = ()
    """(prompt, answer)."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything that was said."""
        return tuple(
            message for prompt, said in self.turns for message in (Message("user", prompt), Message("assistant", said))
        )


def read_chat(database: Database, conversation_id: str, voter_id: str) -> ChatRecord:
    """The voter's own chat. An answer that was stopped counts as far as it came, a failed one does not.

    Raises:
        BattleError: there is none of that id, or it is somebody else's.

    """
    with database.read() as session:
        conversation = session.get(Conversation, conversation_id)
        if conversation is None or conversation.voter_id != voter_id or conversation.kind != ConversationKind.CHAT:
            raise BattleError("This chat is not yours, or it no longer exists.", reason="not_yours")
        rows = session.execute(
            select(Prompt.text, Answer.text)
            .join(Answer, (Answer.conversation_id == Prompt.conversation_id) & (Answer.turn == Prompt.turn))
            .where(Prompt.conversation_id == conversation_id, Answer.failure.is_(None), Answer.text != "")
            .order_by(Prompt.turn)
        )
        return ChatRecord(conversation_id, voter_id, tuple((prompt, said) for prompt, said in rows))


class ChatRun(Run[ChatView]):
    """One turn of a chat, shown as it comes: the model is named, so its speed is no secret."""

    def __init__(
        self,
        *,
        voter: VoterIdentity,
        database: Database,
        seat: Callable[[Callable[[], bool]], Seat],
        chat: ChatRecord,
        prompt: str,
        tempo: Tempo,
        answered: Callable[[Attempt], None],
    ) -> None:
        """`seat` makes the seat, given what tells whether an attempt may still be replaced unseen."""
        super().__init__(chat.conversation_id, voter)
        self._database = database
        self._shown = False
        self.seat = seat(lambda: not self._shown)
        self._chat = chat
        self._prompt = prompt
        self._tempo = tempo
        self._answered = answered
        self._turn = 0
        self._task: asyncio.Task[None] | None = None
        self._halted = False

    async def start(self) -> None:
        """See `Run.start`."""
        self._turn = await self._database.run(self._store)
        if not self._halted:
            self._task = asyncio.create_task(self.seat.run())

    async def frames(self) -> AsyncGenerator[ChatView]:
        """See `Run.frames`."""
        shown, due = -1, self._loop.time()
        while self._task is not None and not self._halted:
            length = len(self.seat.current.progress.text)
            if length != shown:
                shown = length
                self._shown = length > 0
                yield self._view(running=True)
            if self._task.done() and not self._halted:
                self._task.result()  # a bug surfaces here
                return
            due = self._tempo.next_frame(due)
            await asyncio.sleep(due - self._loop.time())

    def halt(self) -> None:
        """See `Run.halt`."""
        self._halted = True
        if self._task is not None:
            self._task.cancel()

    def queued(self, place: int) -> ChatView:
        """See `Run.queued`."""
        return ChatView(self.key, (*self._chat.turns, (self._prompt, "")), running=True, notice=place_in_line(place))

    def unserved(self) -> ChatView:
        """See `Run.unserved`."""
        return ChatView(self.key, self._chat.turns, running=False, notice=LEFT_NOTICE)

    async def finish(self, reason: str | None) -> ChatView:
        """See `Run.finish`."""
        del reason  # a chat has no outcome; a stopped answer is one without a finish reason
        if self._task is not None:
            await asyncio.wait({self._task})
        await self._database.run(self._write)
        if self.seat.complete:
            self._answered(self.seat.current)
        return self._view(running=False)

    def _view(self, *, running: bool) -> ChatView:
        turns = (*self._chat.turns, (self._prompt, self.seat.current.progress.text))
        return ChatView(self.key, turns, running, FAILED_NOTICE if self.seat.failed else None)

    def _store(self) -> int:
        try:
            with self._database.write() as session:
                return self._store_turn(session)
        except IntegrityError as error:
            raise BattleError("This chat is still being answered.") from error

    def _store_turn(self, session: Session) -> int:
        if not self._chat.turns and session.get(Conversation, self.key) is None:
            ensure_voter(session, self.voter.voter_id)
            session.add(Conversation(id=self.key, kind=ConversationKind.CHAT, voter_id=self.voter.voter_id))
            session.flush()
        turn = (session.scalar(select(func.max(Prompt.turn)).where(Prompt.conversation_id == self.key)) or 0) + 1
        session.add(Prompt(conversation_id=self.key, turn=turn, text=self._prompt))
        write_attempt(session, self.key, turn, self.seat.current, None)
        return turn

    def _write(self) -> None:
        with self._database.write() as session:
            if session.get(Conversation, self.key) is None:
                return  # its voter was forgotten meanwhile
            for attempt in self.seat.attempts:
                write_attempt(session, self.key, self._turn, attempt, None)
