"""Votes with their battles, written out for other programs: CSV, JSON lines, or FastChat's log format.

A withdrawn vote and a demonstration model's battle are never written. An excluded vote is, with its state and reason,
but not to a FastChat log, which could not say so.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TextIO

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from arena.database import Database
from arena.spreadsheets import Table
from arena.tables import Answer, Battle, Conversation, Mode, ModelRevision, Prompt, Seat, Side, Vote, VoteState, Winner

Format = Literal["csv", "jsonl", "fastchat"]
Record = dict[str, Any]

_PORTION = 500
"""Votes read at a time, so that neither memory nor a read lock grows with the number of votes."""

_FASTCHAT_TYPES: Mapping[Winner, str] = {
    Winner.MODEL_A: "leftvote",
    Winner.MODEL_B: "rightvote",
    Winner.TIE: "tievote",
    Winner.BOTH_BAD: "bothbad_vote",
}

_CSV_COLUMNS = (
    "battle_id",
    "model_a",
    "model_b",
    "winner",
    "turn",
    "voted_at",
    "mode",
    "rated",
    "state",
    "state_reason",
    "voter",
    "criteria",
    "rubric_version",
    "question",
    "question_version",
    "language",
    "challenge_id",
    *(f"{name}_{letter}" for name in ("platform", "api_name", "revision", "conversation") for letter in "ab"),
)


@dataclass(slots=True)
class ExportReport:
    """What an export wrote, and what it left out."""

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def export_votes(
    database: Database,
    file_format: Format,
    out: TextIO,
    progress: Callable[[float], None] = lambda share: None,
) -> ExportReport:
    """Write every vote in the order of their numbers to `out`, which stays open.

    `progress` is called now and then with the share that is done, 0 to 1.
    """
    report = ExportReport()
    write = _writer(file_format, out)
    with database.read() as session:
        last = session.scalar(select(func.max(Vote.sequence))) or 1
    for record in _records(database):
        reason = _left_out(record, file_format)
        if reason is None:
            write(record)
            report.written += 1
        else:
            report.left_out[reason] += 1
        progress(min(record["sequence"] / last, 1.0))
    return report


def _left_out(record: Record, file_format: Format) -> str | None:
    """Why a vote is not written; `None` if it is."""
    if record["state"] == VoteState.WITHDRAWN:
        return "withdrawn by the voter"
    if "demo" in {side["platform"] for side in record["sides"].values()}:
        return "a demonstration model took part"
    if file_format == "fastchat" and record["state"] in (VoteState.HELD, VoteState.EXCLUDED):
        return f"{record['state']}, which a FastChat log cannot say"
    if file_format == "fastchat" and not record["sides"]["a"]["turns"]:
        return "imported without its text"
    return None


def _writer(file_format: Format, out: TextIO) -> Callable[[Record], object]:
    if file_format == "csv":
        table = Table(out, _CSV_COLUMNS)
        return lambda record: table.write(_csv_row(record))

    def write_line(record: Record) -> None:
        line = _fastchat(record) if file_format == "fastchat" else record
        out.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write_line


def _csv_row(record: Record) -> Record:
    row = {name: record[name] for name in _CSV_COLUMNS if name in record}
    row["rated"] = str(record["rated"]).lower()
    row["criteria"] = json.dumps(record["criteria"], ensure_ascii=False)
    for letter, side in record["sides"].items():
        row |= {f"{name}_{letter}": side[name] for name in ("platform", "api_name", "revision")}
        messages = [{"role": role, "content": text} for role, text in _messages(record, side)]
        row[f"conversation_{letter}"] = json.dumps(messages, ensure_ascii=False)
    return row


def _fastchat(record: Record) -> Record:
    """A line of FastChat's log. Voters stay told apart: their pseudonym stands where FastChat has the address."""
    return {
        "tstamp": datetime.fromisoformat(record["voted_at"]).timestamp(),
        "type": _FASTCHAT_TYPES[Winner(record["winner"])],
        "models": ["", ""] if record["anonymous"] else [record["model_a"], record["model_b"]],
        "states": [_fastchat_state(record, letter, side) for letter, side in record["sides"].items()],
        "ip": record["voter"],
    }


def _fastchat_state(record: Record, letter: str, side: Record) -> Record:
    return {
        "template_name": "arena",
        "system_message": side["system_prompt"] or "",
        "roles": ["user", "assistant"],
        "messages": [[role, text] for role, text in _messages(record, side)],
        "offset": 0,
        "conv_id": f"{record['battle_id']}:{letter}",
        "model_name": side["model"],
    }


def _messages(record: Record, side: Record) -> Iterator[tuple[str, str]]:
    """Everything said on one side, shared history first."""
    for message in record["history"]:
        yield message["role"], message["content"]
    for prompt, turn in zip(record["prompts"], side["turns"], strict=True):
        yield "user", prompt
        yield "assistant", turn["text"]


def _records(database: Database) -> Iterator[Record]:
    """Every vote with its battle, in the order of the votes' numbers."""
    last = 0
    while True:
        with database.read() as session:
            portion = _portion(session, last)
        yield from portion
        if len(portion) < _PORTION:
            return
        last = portion[-1]["sequence"]


def _portion(session: Session, after: int) -> Sequence[Record]:
    """The next votes above a number."""
    model_a, model_b = aliased(ModelRevision), aliased(ModelRevision)
    statement = (
        select(Vote, Battle, Conversation, model_a, model_b)
        .join(Battle, Battle.id == Vote.battle_id)
        .join(Conversation, Conversation.id == Battle.conversation_id)
        .join(model_a, model_a.id == Battle.revision_a)
        .join(model_b, model_b.id == Battle.revision_b)
        .where(Vote.sequence > after)
        .order_by(Vote.sequence)
        .limit(_PORTION)
    )
    rows = session.execute(statement).all()
    prompts = _prompts(session, [conversation.id for _, _, conversation, _, _ in rows])
    answers = _answers(session, [battle.id for _, battle, _, _, _ in rows])
    records = []
    for vote, battle, conversation, *revisions in rows:
        seated = {
            side.value: _side(revision, answers.get((battle.id, side), []))
            for side, revision in zip(Side, revisions, strict=True)
        }
        records.append(_record(vote, battle, conversation, prompts.get(conversation.id, []), seated))
    return records


def _prompts(session: Session, conversations: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Each conversation's prompts, by turn."""
    statement = select(Prompt).where(Prompt.conversation_id.in_(conversations)).order_by(Prompt.turn)
    found: dict[str, list[str]] = {}
    for prompt in session.scalars(statement):
        found.setdefault(prompt.conversation_id, []).append(prompt.text)
    return found


def _answers(session: Session, battles: Sequence[str]) -> Mapping[tuple[str, Side], Sequence[Answer]]:
    """What each side of each battle showed, by turn."""
    statement = (
        select(Seat, Answer)
        .join(Answer, Answer.id == Seat.answer_id)
        .where(Seat.battle_id.in_(battles))
        .order_by(Seat.turn)
    )
    found: dict[tuple[str, Side], list[Answer]] = {}
    for seat, answer in session.execute(statement):
        found.setdefault((seat.battle_id, seat.side), []).append(answer)
    return found


def _record(
    vote: Vote, battle: Battle, conversation: Conversation, prompts: Sequence[str], sides: Mapping[str, Record]
) -> Record:
    """Everything that is known of one vote, as JSON."""
    turns = min(len(side["turns"]) for side in sides.values())
    for side in sides.values():
        del side["turns"][turns:]
    return {
        "battle_id": battle.id,
        "mode": battle.mode.value,
        "model_a": sides["a"]["model"],
        "model_b": sides["b"]["model"],
        "winner": vote.winner.value,
        "criteria": vote.criteria,
        "rubric_version": vote.rubric_version,
        "turn": vote.turn,
        "rated": vote.rated,
        "anonymous": _anonymous(vote, battle, sides),
        "state": vote.state.value,
        "state_reason": vote.state_reason,
        "voter": vote.voter_id,
        "shown_first": vote.shown_first.value,
        "question": battle.question,
        "question_version": battle.question_version,
        "started_at": battle.created_at.isoformat(),
        "voted_at": vote.created_at.isoformat(),
        "sequence": vote.sequence,
        "language": conversation.language,
        "challenge_id": conversation.challenge_id,
        "challenge_tags": conversation.challenge_tags,
        "continues_battle_id": battle.continues_battle_id,
        "continues_side": battle.continues_side.value if battle.continues_side else None,
        "history": conversation.history,
        "prompts": list(prompts[:turns]),
        "sides": dict(sides),
    }


def _anonymous(vote: Vote, battle: Battle, sides: Mapping[str, Record]) -> bool:
    """Whether the voter did not know the models. An imported vote is unrated for no other reason, or for a leak."""
    if battle.mode is not Mode.IMPORTED or vote.rated or vote.state is not VoteState.COUNTED:
        return battle.mode is not Mode.SIDE_BY_SIDE
    return any(turn["identity_findings"] for side in sides.values() for turn in side["turns"])


def _side(revision: ModelRevision, answers: Sequence[Answer]) -> Record:
    return {
        "model": revision.model_id,
        "display_name": revision.display_name,
        "revision": revision.number,
        "platform": revision.platform,
        "api_name": revision.api_name,
        "deployment": revision.deployment,
        "family": revision.family,
        "version": revision.version,
        "parent": revision.parent,
        "system_prompt": revision.system_prompt,
        "turns": [_turn(answer) for answer in answers],
    }


def _turn(answer: Answer) -> Record:
    return {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "sampling": answer.sampling,
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "first_token_ms": answer.first_token_ms,
        "total_ms": answer.total_ms,
        "identity_findings": answer.identity_findings,
    }
