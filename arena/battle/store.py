"""What is written of battles: before a turn streams, and when it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from arena.battle.record import NOT_YOURS, BattleRecord
from arena.battle.seats import Attempt
from arena.database import Database
from arena.errors import BattleError
from arena.language import tell_language
from arena.providers.base import Message
from arena.revisions import revision_ids
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

# Rows are written by statements that are made once: the session's own bookkeeping takes ten times as long as SQLite.
_CONVERSATIONS: Table = Conversation.__table__  # type: ignore[assignment]
_PROMPTS: Table = Prompt.__table__  # type: ignore[assignment]
_SEATS: Table = Seat.__table__  # type: ignore[assignment]
_ANSWERS: Table = Answer.__table__  # type: ignore[assignment]
_BATTLES: Table = Battle.__table__  # type: ignore[assignment]
_NEW_CONVERSATION = insert(_CONVERSATIONS)
_NEW_BATTLE = insert(_BATTLES)
_NEW_PROMPT = insert(_PROMPTS)
_NEW_SEATS = insert(_SEATS)
_RUNNING = (
    select(_BATTLES.c.conversation_id)
    .where(
        _BATTLES.c.id == bindparam("battle"),
        _BATTLES.c.state == BattleState.RUNNING,
        _BATTLES.c.turn == bindparam("at_turn"),
    )
    .with_for_update()
)
_CLOSED = update(_BATTLES).where(_BATTLES.c.id == bindparam("battle"))
_TURN_BEFORE = select(func.max(_SEATS.c.turn)).where(
    _SEATS.c.battle_id == bindparam("battle"), _SEATS.c.turn < bindparam("turn")
)


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
    # Told before the transaction, not in one of its own beside the battle: that took three times as long in all.
    language, method = tell_language(new.prompt)
    with database.write() as session:
        ensure_voter(session, new.voter_id)
        revisions = _revisions_of(session, new.attempts)
        kind = ConversationKind.SIDE_BY_SIDE if new.mode is Mode.SIDE_BY_SIDE else ConversationKind.BATTLE
        conversation = {
            "id": new.conversation_id,
            "kind": kind,
            "voter_id": new.voter_id,
            "history": [{"role": m.role, "content": m.content} for m in new.history],
            "language": language,
            "language_method": method,
            "challenge_id": new.challenge_id,
            "challenge_tags": list(new.challenge_tags),
        }
        session.execute(_NEW_CONVERSATION, conversation)
        battle = {
            "id": new.id,
            "conversation_id": new.conversation_id,
            "voter_id": new.voter_id,
            "mode": new.mode,
            "revision_a": revisions[0],
            "revision_b": revisions[1],
            "question": new.question,
            "question_version": new.question_version,
            "continues_battle_id": new.continues[0] if new.continues else None,
            "continues_side": new.continues[1] if new.continues else None,
        }
        session.execute(_NEW_BATTLE, battle)
        _add_turn(session, new.conversation_id, 1, new.prompt, new.attempts, revisions)
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
        revisions = _revisions_of(session, attempts)
        if revisions != list(record.revisions):
            raise BattleError("This conversation cannot go on: a model has changed meanwhile. You can still vote.")
        latest = session.scalar(select(func.max(Prompt.turn)).where(Prompt.conversation_id == record.conversation_id))
        turn = (latest or 0) + 1
        battle.state = BattleState.RUNNING
        battle.turn = turn
        _add_turn(session, record.conversation_id, turn, prompt, attempts, revisions)
        return turn


def end_turn(database: Database, ended: EndedTurn) -> None:
    """Close a turn: every attempt with what came of it, the seats of a complete one, the battle's state.

    A further turn that was stopped leaves the battle votable on the turns before it; its prompt and what was received
    stay as a trace without seats. A battle that somebody else closed meanwhile is left as it is; one whose
    voter was forgotten is gone.
    """
    with database.write() as session:
        running = {"battle": ended.battle_id, "at_turn": ended.turn}
        conversation_id = session.scalar(_RUNNING, running)
        if conversation_id is None:
            return
        made = [(attempt, side) for side, attempts in zip(Side, ended.attempts, strict=True) for attempt in attempts]
        revisions = _revisions_of(session, [attempt for attempt, _ in made])
        last = [attempts[-1].id for attempts in ended.attempts]
        findings = dict(zip(last, ended.findings, strict=True))
        _write_attempts(
            session,
            [
                _row_of(conversation_id, ended.turn, attempt, side, revision, findings.get(attempt.id, []))
                for (attempt, side), revision in zip(made, revisions, strict=True)
            ],
        )
        if ended.outcome is BattleState.VOTABLE:
            at = {"battle_id": ended.battle_id, "turn": ended.turn}
            session.execute(
                _NEW_SEATS, [{**at, "side": side, "answer_id": seated} for side, seated in zip(Side, last, strict=True)]
            )
        first_turn: dict[str, Any] = {}
        if ended.turn == 1:
            of_answer = {attempt.id: revision for (attempt, _), revision in zip(made, revisions, strict=True)}
            seats = {"revision_a": of_answer[last[0]], "revision_b": of_answer[last[1]]}
            first_turn = {**seats, "first_shown_ms": ended.first_shown_ms, "answered_ms": ended.answered_ms}
        close_battle(session, ended.battle_id, ended.turn, ended.outcome, ended.reason, first_turn)


def close_battle(
    session: Session,
    battle_id: str,
    turn: int,
    outcome: BattleState,
    reason: str | None,
    also: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Give a running battle its state; a further turn that was abandoned leaves it votable on the turns before.

    `also` are values of its other columns.
    """
    before = None
    if outcome is BattleState.ABANDONED:
        before = session.scalar(_TURN_BEFORE, {"battle": battle_id, "turn": turn})
    closed: dict[str, Any] = (
        {"state": outcome, "state_reason": reason} if before is None else {"state": BattleState.VOTABLE, "turn": before}
    )
    session.execute(_CLOSED, {"battle": battle_id, "closed_at": now(), **closed, **also})


def _revisions_of(session: Session, attempts: Sequence[Attempt]) -> list[int]:
    return revision_ids(session, [(attempt.model, attempt.deployment) for attempt in attempts])


def write_attempt(session: Session, conversation_id: str, turn: int, attempt: Attempt, side: Side | None) -> int:
    """Write an attempt as far as it has come, whether its row is there or not; returns its model's revision."""
    revision = _revisions_of(session, [attempt])[0]
    _write_attempts(session, [_row_of(conversation_id, turn, attempt, side, revision, [])])
    return revision


def _write_attempts(session: Session, rows: list[dict[str, Any]]) -> None:
    session.execute(_answering(session.get_bind().dialect.name), rows)


@cache
def _answering(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """What writes an answer, whether its row is there or not."""
    statement = postgresql.insert(_ANSWERS) if dialect == "postgresql" else sqlite.insert(_ANSWERS)
    written = {column.name: statement.excluded[column.name] for column in _ANSWERS.c if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=["id"], set_=written)


def _row_of(
    conversation_id: str, turn: int, attempt: Attempt, side: Side | None, revision: int, findings: Sequence[str]
) -> dict[str, Any]:
    """An attempt as far as it has come."""
    progress = attempt.progress
    finish = progress.finish
    return {
        "id": attempt.id,
        "conversation_id": conversation_id,
        "revision_id": revision,
        "turn": turn,
        "attempt": attempt.number,
        "side": side,
        "text": storable(progress.text),
        "reasoning": storable(progress.reasoning),
        "finish_reason": finish.reason if finish else None,
        "failure": progress.error.kind if progress.error else None,
        "sampling": asdict(attempt.sampling),
        "input_tokens": finish.input_tokens if finish else None,
        "output_tokens": finish.output_tokens if finish else None,
        "request_id": finish.request_id if finish else None,
        "started_at": attempt.started_at,
        "first_token_ms": progress.first_token_ms,
        "total_ms": progress.total_ms,
        "identity_findings": list(findings),
    }


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


def _add_turn(
    session: Session,
    conversation_id: str,
    turn: int,
    prompt: str,
    attempts: tuple[Attempt, Attempt],
    revisions: Sequence[int],
) -> None:
    session.execute(_NEW_PROMPT, {"conversation_id": conversation_id, "turn": turn, "text": prompt})
    rows = [
        _row_of(conversation_id, turn, attempt, side, revision, [])
        for side, attempt, revision in zip(Side, attempts, revisions, strict=True)
    ]
    _write_attempts(session, rows)
