"""A battle as it is stored: what its voter may go back to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from arena.errors import BattleError
from arena.providers.base import Message, Sampling
from arena.tables import Answer, Battle, BattleState, Conversation, Mode, ModelRevision, Prompt, Seat, Side

NOT_YOURS = "This battle is not yours, or it no longer exists."


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that both sides answered."""

    number: int
    prompt: str
    answers: tuple[str, str]
    answer_ids: tuple[str, str]


@dataclass(frozen=True, slots=True)
class BattleRecord:
    """A battle as it is stored."""

    id: str
    voter_id: str
    conversation_id: str
    mode: Mode
    state: BattleState
    question: str
    revisions: tuple[int, int]
    models: tuple[str, str]
    """Their ids in the roster."""
    samplings: tuple[Sampling, Sampling] | None
    """Of the latest answers; `None` before the first."""
    history: tuple[Message, ...]
    turns: tuple[Turn, ...]
    """Those that both sides answered."""
    open_prompt: Prompt | None
    """That of a later turn that was not finished."""

    def conversation(self, side: Side) -> tuple[Message, ...]:
        """Everything that was said on one side."""
        place = 0 if side is Side.A else 1
        said = [
            message
            for turn in self.turns
            for message in (Message("user", turn.prompt), Message("assistant", turn.answers[place]))
        ]
        return (*self.history, *said)


def read_battle(session: Session, battle_id: str, voter_id: str) -> BattleRecord:
    """The voter's own battle.

    Raises:
        BattleError: there is none of that id, or it is somebody else's.

    """
    battle = session.get(Battle, battle_id)
    if battle is None or battle.voter_id != voter_id:
        raise BattleError(NOT_YOURS, reason="not_yours")
    conversation = session.get_one(Conversation, battle.conversation_id)
    prompts = session.scalars(
        select(Prompt).where(Prompt.conversation_id == conversation.id).order_by(Prompt.turn)
    ).all()
    seats = session.execute(
        select(Seat.turn, Answer)
        .join(Answer, Answer.id == Seat.answer_id)
        .where(Seat.battle_id == battle.id)
        .order_by(Seat.turn, Seat.side)
    ).all()
    texts = {prompt.turn: prompt.text for prompt in prompts}
    pairs = [(a.turn, a.Answer, b.Answer) for a, b in zip(seats[::2], seats[1::2], strict=True)]
    turns = tuple(Turn(turn, texts[turn], (a.text, b.text), (a.id, b.id)) for turn, a, b in pairs)
    return BattleRecord(
        id=battle.id,
        voter_id=battle.voter_id,
        conversation_id=battle.conversation_id,
        mode=battle.mode,
        state=battle.state,
        question=battle.question,
        revisions=(battle.revision_a, battle.revision_b),
        models=(_model_id(session, battle.revision_a), _model_id(session, battle.revision_b)),
        samplings=(Sampling(**pairs[-1][1].sampling), Sampling(**pairs[-1][2].sampling)) if pairs else None,
        history=messages_of(conversation.history),
        turns=turns,
        open_prompt=prompts[-1] if prompts and prompts[-1].turn > (turns[-1].number if turns else 0) else None,
    )


def messages_of(history: Sequence[Mapping[str, str]]) -> tuple[Message, ...]:
    """A stored history as messages."""
    return tuple(Message("user" if m["role"] == "user" else "assistant", m["content"]) for m in history)


def _model_id(session: Session, revision_id: int) -> str:
    return session.get_one(ModelRevision, revision_id).model_id


def latest_battle_id(session: Session, voter_id: str, mode: Mode) -> str | None:
    """The battle that the voter started last."""
    return session.scalar(
        select(Battle.id)
        .where(Battle.voter_id == voter_id, Battle.mode == mode)
        .order_by(Battle.created_at.desc())
        .limit(1)
    )
