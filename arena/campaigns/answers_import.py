"""Answers produced elsewhere, brought into a campaign from JSONL, each once and with a report."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from arena.battle.store import storable
from arena.campaigns.archive import keep_answer
from arena.campaigns.wanted import Wanted, find_campaign, model_ids, needed_answers, stored_answers
from arena.database import Database
from arena.errors import ConfigError
from arena.identity import IdentityPatterns, find_identity, identity_patterns
from arena.revisions import ensure_revision, foreign_revision
from arena.roster import ModelEntry, Roster
from arena.tables import Answer, ModelRevision, new_id

_AT_ONCE = 200
"""Lines stored in one transaction: the arena beside it waits no longer for the lock than for these."""


@dataclass(slots=True)
class AnswersReport:
    """What became of the lines."""

    read: int = 0
    imported: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    wrong: list[str] = field(default_factory=list)
    """`file:line: what is wrong`, for lines that cannot be used at all."""


@dataclass(frozen=True, slots=True)
class _Line:
    prompt: str
    """Its id in the campaign, or its words."""
    model: str
    text: str
    finish_reason: str
    tokens: tuple[int | None, int | None]


def import_answers(
    database: Database, roster: Roster, campaign_id: str, files: Sequence[Path], *, as_roster: bool = False
) -> AnswersReport:
    """Read JSON objects with `prompt` (its id in the campaign, or its words), `model` and `answer`, one a line.

    `finish_reason`, `input_tokens` and `output_tokens` are kept where given. An answer that is there already stays. The
    answers belong to revisions of their own, since nobody can tell that they come from what the roster names today;
    `as_roster` says that they do.

    Raises:
        ConfigError: a file cannot be read, or there is no such campaign.

    """
    report = AnswersReport()
    with database.read() as session:
        campaign = find_campaign(session, campaign_id)
        models = model_ids(session, campaign_id)
        needed = needed_answers(session, campaign)
    entries = [
        roster.models.get(m) or ModelEntry(id=m, api_type="openai", model_name=m, display_name=m) for m in models
    ]
    importer = _Importer(roster if as_roster else Roster({}), identity_patterns(entries), models, needed, report)
    portion: list[_Line] = []
    for line in _lines(files, report):
        portion.append(line)
        if len(portion) == _AT_ONCE:
            importer.store(database, campaign_id, portion)
            portion = []
    importer.store(database, campaign_id, portion)
    return report


class _Importer:
    def __init__(
        self,
        roster: Roster,
        patterns: IdentityPatterns,
        models: Sequence[str],
        needed: Sequence[Wanted],
        report: AnswersReport,
    ) -> None:
        self._roster = roster
        self._patterns = patterns
        self._models = models
        self._report = report
        self._wanted = {(one.prompt, one.model_id): one for one in needed}
        self._wanted |= {(one.key, one.model_id): one for one in needed}

    def store(self, database: Database, campaign_id: str, lines: Sequence[_Line]) -> None:
        with database.write() as session:
            stored = stored_answers(session, campaign_id)
            for line in lines:
                self._store(session, line, stored)

    def _store(self, session: Session, line: _Line, stored: set[tuple[str, str]]) -> None:
        wanted = self._wanted.get((line.prompt, line.model))
        if wanted is None:
            known = line.model in self._models
            self._report.skipped["no such prompt in this campaign" if known else "no such model in this campaign"] += 1
            return
        place = (wanted.conversation_id, wanted.model_id)
        if place in stored:
            self._report.skipped["this answer is there already"] += 1
            return
        stored.add(place)
        answer = Answer(
            id=new_id(),
            conversation_id=wanted.conversation_id,
            revision_id=self._revision(session, line.model).id,
            turn=1,
            attempt=1,
            text=storable(line.text),
            finish_reason=line.finish_reason,
            sampling={},
            input_tokens=line.tokens[0],
            output_tokens=line.tokens[1],
            identity_findings=find_identity(line.text, self._patterns),
        )
        session.add(answer)
        session.flush()
        keep_answer(session, wanted, answer.id, paid=False)
        self._report.imported += 1

    def _revision(self, session: Session, model: str) -> ModelRevision:
        entry = self._roster.models.get(model)
        return foreign_revision(session, model) if entry is None else ensure_revision(session, entry, None)


def _lines(files: Sequence[Path], report: AnswersReport) -> Iterator[_Line]:
    for file in files:
        try:
            with file.open(encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        report.read += 1
                        try:
                            yield _parse(json.loads(line))
                        except ValueError as error:
                            report.wrong.append(f"{file}:{number}: {error}")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: cannot be read as text: {error}.") from None


def _parse(given: object) -> _Line:
    if not isinstance(given, dict):
        raise ValueError("is no JSON object.")  # noqa: TRY004 - told, not raised on
    prompt, model, text = (_word(given, name) for name in ("prompt", "model", "answer"))
    finish = given.get("finish_reason", "stop")
    if not isinstance(finish, str):
        raise ValueError("`finish_reason` must be a text.")  # noqa: TRY004 - as above
    return _Line(prompt, model, text, finish, (_number(given, "input_tokens"), _number(given, "output_tokens")))


def _word(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and name == "prompt":
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"has no `{name}`.")
    return value if name == "answer" else value.strip()


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"`{name}` must be a whole number.")
    return value
