"""A battle as it is stored: what its voter may go back to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from arena.errors import BattleError
from arena.providers.base import Message, Sampling
from arena.tables import Answer, Battle, BattleState, Conversation, Mode, ModelRevision, Prompt, Seat, Side

NOT_YOURS = "This battle is not yours, or it no longer exists."


class StoredModel(NamedTuple):
    """Who sits on a side: a revision of a model."""

    revision: int
    model_id: str
    """In the roster."""
    display_name: str
    platform: str
    version: str | None
    family: str | None


class StoredAnswer(NamedTuple):
    """What a side showed at a turn; the words are those of the table."""

    text: str
    sampling: Mapping[str, Any]
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    first_token_ms: float | None
    total_ms: float | None
    identity_findings: Sequence[str]


class OpenPrompt(NamedTuple):
    """What was asked at a turn that was not finished."""

    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that both sides answered."""

    number: int
    prompt: str
    stored: tuple[StoredAnswer, StoredAnswer]

    @property
    def answers(self) -> tuple[str, str]:
        """Their texts."""
        return self.stored[0].text, self.stored[1].text


@dataclass(frozen=True, slots=True)
class BattleRecord:
    """A battle as it is stored."""

    id: str
    voter_id: str
    conversation_id: str
    mode: Mode
    scope: str
    """Of the pair counts in which its vote counts."""
    state: BattleState
    question: str
    seated: tuple[StoredModel, StoredModel]
    history: tuple[Message, ...]
    turns: tuple[Turn, ...]
    """Those that both sides answered."""
    open_prompt: OpenPrompt | None
    """That of a later turn that was not finished."""

    @property
    def revisions(self) -> tuple[int, int]:
        """Of the models."""
        return self.seated[0].revision, self.seated[1].revision

    @property
    def models(self) -> tuple[str, str]:
        """Their ids in the roster."""
        return self.seated[0].model_id, self.seated[1].model_id

    @property
    def samplings(self) -> tuple[Sampling, Sampling] | None:
        """Of the latest answers; `None` before the first."""
        if not self.turns:
            return None
        a, b = self.turns[-1].stored
        return Sampling(**a.sampling), Sampling(**b.sampling)

    def conversation(self, side: Side) -> tuple[Message, ...]:
        """Everything that was said on one side."""
        place = 0 if side is Side.A else 1
        said = [
            message
            for turn in self.turns
            for message in (Message("user", turn.prompt), Message("assistant", turn.answers[place]))
        ]
        return (*self.history, *said)


_BATTLES: Table = Battle.__table__  # type: ignore[assignment]
_PROMPTS: Table = Prompt.__table__  # type: ignore[assignment]
_ANSWERS: Table = Answer.__table__  # type: ignore[assignment]
_SEATS: Table = Seat.__table__  # type: ignore[assignment]
_CONVERSATIONS: Table = Conversation.__table__  # type: ignore[assignment]
_SIDES = [ModelRevision.__table__.alias(name) for name in ("revision_a", "revision_b")]
_MODEL = ("id", "model_id", "display_name", "platform", "version", "family")
_KEPT = ("voter_id", "conversation_id", "mode", "scope", "state", "question")
# Made once, and of plain columns: whole objects take several times as long to read, and every vote waits for them.
_READ_BATTLE = (
    select(
        *(_BATTLES.c[name] for name in _KEPT),
        _CONVERSATIONS.c.history,
        *(side.c[name] for side in _SIDES for name in _MODEL),
    )
    .join_from(_BATTLES, _CONVERSATIONS, _CONVERSATIONS.c.id == _BATTLES.c.conversation_id)
    .join(_SIDES[0], _SIDES[0].c.id == _BATTLES.c.revision_a)
    .join(_SIDES[1], _SIDES[1].c.id == _BATTLES.c.revision_b)
    .where(_BATTLES.c.id == bindparam("battle"))
)
_LOCK_BATTLE = _READ_BATTLE.with_for_update(of=_BATTLES)
_READ_PROMPTS = (
    select(_PROMPTS.c.turn, _PROMPTS.c.text, _PROMPTS.c.created_at)
    .where(_PROMPTS.c.conversation_id == bindparam("conversation"))
    .order_by(_PROMPTS.c.turn)
)
_READ_ANSWERS = (
    select(_SEATS.c.turn, *(_ANSWERS.c[name] for name in StoredAnswer._fields))
    .join_from(_SEATS, _ANSWERS, _ANSWERS.c.id == _SEATS.c.answer_id)
    .where(_SEATS.c.battle_id == bindparam("battle"))
    .order_by(_SEATS.c.turn, _SEATS.c.side)
)


def read_battle(session: Session, battle_id: str, voter_id: str, *, lock: bool = False) -> BattleRecord:
    """The voter's own battle; with `lock` nobody else changes it until the transaction ends.

    Raises:
        BattleError: there is none of that id, or it is somebody else's.

    """
    battle = {"battle": battle_id}
    found = session.execute(_LOCK_BATTLE if lock else _READ_BATTLE, battle).one_or_none()
    if found is None or found.voter_id != voter_id:
        raise BattleError(NOT_YOURS, reason="not_yours")
    models = found[len(_KEPT) + 1 :]
    prompts = session.execute(_READ_PROMPTS, {"conversation": found.conversation_id}).all()
    seats = session.execute(_READ_ANSWERS, battle).all()
    texts = {prompt.turn: prompt.text for prompt in prompts}
    turns = tuple(
        Turn(a.turn, texts[a.turn], (StoredAnswer(*a[1:]), StoredAnswer(*b[1:])))
        for a, b in zip(seats[::2], seats[1::2], strict=True)
    )
    unfinished = prompts and prompts[-1].turn > (turns[-1].number if turns else 0)
    return BattleRecord(
        id=battle_id,
        voter_id=voter_id,
        conversation_id=found.conversation_id,
        mode=found.mode,
        scope=found.scope or found.mode.value,
        state=found.state,
        question=found.question,
        seated=(StoredModel(*models[: len(_MODEL)]), StoredModel(*models[len(_MODEL) :])),
        history=messages_of(found.history),
        turns=turns,
        open_prompt=OpenPrompt(prompts[-1].text, prompts[-1].created_at) if unfinished else None,
    )


def messages_of(history: Sequence[Mapping[str, str]]) -> tuple[Message, ...]:
    """A stored history as messages."""
    return tuple(Message("user" if m["role"] == "user" else "assistant", m["content"]) for m in history)


def latest_battle_id(session: Session, voter_id: str, mode: Mode) -> str | None:
    """The battle that the voter started last."""
    return session.scalar(
        select(Battle.id)
        .where(Battle.voter_id == voter_id, Battle.mode == mode)
        .order_by(Battle.created_at.desc())
        .limit(1)
    )
