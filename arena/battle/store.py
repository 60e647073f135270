"""What is written of battles: before a turn streams, and when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.battle.record import NOT_YOURS, BattleRecord
from arena.battle.seats import Attempt
from arena.database import Database
from arena.errors import BattleError
from arena.providers.base import Message
from arena.revisions import ensure_revision
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Conversation,
    ConversationKind,
    Mode,
    Prompt,
    Seat,
    Side,
    new_id,
    now,
)
from arena.voters import ensure_voter


@dataclass(frozen=True, slots=True)
class NewBattle:
    """A battle about to begin."""

    voter_id: str
    mode: Mode
    prompt: str
    attempts: tuple[Attempt, Attempt]
    """Each seat's first attempt."""
    question: str
    question_version: str
    history: tuple[Message, ...] = ()
    """Shared by both sides."""
    continues: tuple[str, Side] | None = None
    """The battle and the side whose conversation the history is."""
    challenge_id: str | None = None
    challenge_tags: tuple[str, ...] = ()
    id: str = field(default_factory=new_id)
    conversation_id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class EndedTurn:
    """How a turn ended, and all that came of it."""

    battle_id: str
    turn: int
    outcome: BattleState
    """`VOTABLE`, `VOID` or `ABANDONED`."""
    reason: str | None
    attempts: tuple[Sequence[Attempt], Sequence[Attempt]]
    findings: tuple[list[str], list[str]]
    """Where each side's answer names its maker or model."""
    first_shown_ms: float | None
    answered_ms: float | None


def start_battle(database: Database, new: NewBattle) -> int:
    """Store a battle with its prompt and its two first attempts, before anything is asked; returns the turn, 1."""
    with database.write() as session:
        ensure_voter(session, new.voter_id)
        revisions = _ensure_revisions(session, new.attempts)
        kind = ConversationKind.SIDE_BY_SIDE if new.mode is Mode.SIDE_BY_SIDE else ConversationKind.BATTLE
        session.add(
            Conversation(
                id=new.conversation_id,
                kind=kind,
                voter_id=new.voter_id,
                history=[{"role": m.role, "content": m.content} for m in new.history],
                challenge_id=new.challenge_id,
                challenge_tags=list(new.challenge_tags),
            )
        )
        session.flush()
        session.add(
            Battle(
                id=new.id,
                conversation_id=new.conversation_id,
                voter_id=new.voter_id,
                mode=new.mode,
                revision_a=revisions[0],
                revision_b=revisions[1],
                question=new.question,
                question_version=new.question_version,
                continues_battle_id=new.continues[0] if new.continues else None,
                continues_side=new.continues[1] if new.continues else None,
            )
        )
        _add_turn(session, new.conversation_id, 1, new.prompt, new.attempts)
    return 1


def start_turn(database: Database, record: BattleRecord, prompt: str, attempts: tuple[Attempt, Attempt]) -> int:
    """Reopen a votable battle for a further turn; returns the turn's number.

    Raises:
        BattleError: the battle was voted on or went on in another tab, or a model is no longer what it was.

    """
    with database.write() as session:
        battle = locked_battle(session, record.id)
        if battle.state is not BattleState.VOTABLE or battle.turn != record.turns[-1].number:
            raise BattleError("This battle went on in another window. Reload the page to see it.")
        if _ensure_revisions(session, attempts) != list(record.revisions):
            raise BattleError("This conversation cannot go on: a model has changed meanwhile. You can still vote.")
        latest = session.scalar(select(func.max(Prompt.turn)).where(Prompt.conversation_id == record.conversation_id))
        turn = (latest or 0) + 1
        battle.state = BattleState.RUNNING
        battle.turn = turn
        _add_turn(session, record.conversation_id, turn, prompt, attempts)
        return turn


def end_turn(database: Database, ended: EndedTurn) -> None:
    """Close a turn: every attempt with what came of it, the seats of a complete one, the battle's state.

    A further turn that was stopped leaves the battle votable on the turns before it; its prompt and what was received
    stay as a trace without seats. A battle that somebody else closed meanwhile is left as it is; one whose
    voter was forgotten is gone.
    """
    with database.write() as session:
        battle = session.get(Battle, ended.battle_id, with_for_update=True)
        if battle is None or battle.state is not BattleState.RUNNING or battle.turn != ended.turn:
            return
        _ensure_revisions(session, [attempt for attempts in ended.attempts for attempt in attempts])
        seated = []
        for side, attempts, findings in zip(Side, ended.attempts, ended.findings, strict=True):
            for attempt in attempts:
                revision = write_attempt(session, battle.conversation_id, ended.turn, attempt, side)
            seated.append(revision)
            session.get_one(Answer, attempts[-1].id).identity_findings = findings
            if ended.outcome is BattleState.VOTABLE:
                session.add(Seat(battle_id=battle.id, side=side, turn=ended.turn, answer_id=attempts[-1].id))
        if ended.turn == 1:
            battle.revision_a, battle.revision_b = seated
            battle.first_shown_ms, battle.answered_ms = ended.first_shown_ms, ended.answered_ms
        close_battle(session, battle, ended.outcome, ended.reason)


def close_battle(session: Session, battle: Battle, outcome: BattleState, reason: str | None) -> None:
    """Give a running battle its state; a further turn that was abandoned leaves it votable on the turns before."""
    before = session.scalar(select(func.max(Seat.turn)).where(Seat.battle_id == battle.id, Seat.turn < battle.turn))
    battle.closed_at = now()
    if outcome is BattleState.ABANDONED and before is not None:
        battle.state, battle.turn = BattleState.VOTABLE, before
    else:
        battle.state, battle.state_reason = outcome, reason


def _ensure_revisions(session: Session, attempts: Sequence[Attempt]) -> list[int]:
    """The revisions behind the attempts; always made in the same order, so that two new battles never deadlock."""
    made = {
        a.id: ensure_revision(session, a.model, a.deployment).id for a in sorted(attempts, key=lambda a: a.model.id)
    }
    return [made[attempt.id] for attempt in attempts]


def write_attempt(session: Session, conversation_id: str, turn: int, attempt: Attempt, side: Side | None) -> int:
    """Write an attempt as far as it has come, whether its row is there or not; returns its model's revision."""
    revision = ensure_revision(session, attempt.model, attempt.deployment).id
    progress = attempt.progress
    finish = progress.finish
    session.merge(
        Answer(
            id=attempt.id,
            conversation_id=conversation_id,
            revision_id=revision,
            turn=turn,
            attempt=attempt.number,
            side=side,
            text=storable(progress.text),
            reasoning=storable(progress.reasoning),
            finish_reason=finish.reason if finish else None,
            failure=progress.error.kind if progress.error else None,
            sampling={
                "temperature": attempt.sampling.temperature,
                "top_p": attempt.sampling.top_p,
                "max_new_tokens": attempt.sampling.max_new_tokens,
            },
            input_tokens=finish.input_tokens if finish else None,
            output_tokens=finish.output_tokens if finish else None,
            request_id=finish.request_id if finish else None,
            started_at=attempt.started_at,
            first_token_ms=progress.first_token_ms,
            total_ms=progress.total_ms,
        )
    )
    session.flush()
    return revision


def storable(text: str) -> str:
    """`text` without the two things that a database refuses in text: NUL and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def locked_battle(session: Session, battle_id: str) -> Battle:
    """The battle, locked against other writers until the transaction ends.

    Raises:
        BattleError: there is none.

    """
    battle = session.get(Battle, battle_id, with_for_update=True)
    if battle is None:
        raise BattleError(NOT_YOURS, reason="not_yours")
    return battle


def write_language(database: Database, conversation_id: str, code: str | None, method: str) -> None:
    """Note which language a conversation is held in, and what told it."""
    with database.write() as session:
        conversation = session.get(Conversation, conversation_id)
        if conversation is not None:  # its voter may have been forgotten meanwhile
            conversation.language, conversation.language_method = code, method


def _add_turn(
    session: Session, conversation_id: str, turn: int, prompt: str, attempts: tuple[Attempt, Attempt]
) -> None:
    session.add(Prompt(conversation_id=conversation_id, turn=turn, text=prompt))
    for side, attempt in zip(Side, attempts, strict=True):
        write_attempt(session, conversation_id, turn, attempt, side)
