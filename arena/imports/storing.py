"""Foreign votes into the database, a batch in one transaction, each with its battle and whatever text there is."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from arena.counts import Verdict, add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.identity import IdentityPatterns, find_identity, identity_patterns
from arena.imports.foreign import ForeignTurn, ForeignVote
from arena.language import tell_language
from arena.revisions import foreign_revision
from arena.roster import ModelEntry
from arena.tables import (
    Answer,
    Base,
    Battle,
    BattleState,
    Conversation,
    ConversationKind,
    ImportedVote,
    Mode,
    ModelRevision,
    Prompt,
    Seat,
    Side,
    Vote,
    Voter,
    VoteState,
    new_id,
    now,
)
from arena.voter_decisions import SetAside, set_aside
from arena.voters import hash_address

LEAK = "an answer gave away who wrote it"
ALREADY_IMPORTED = "already imported"
SECOND_VOTE = "a second vote on the same conversations"
OWN_VOTE = "this arena's own vote"

_TABLES = (Voter, Conversation, Prompt, Answer, Battle, Seat, Vote, ImportedVote)
"""In the order in which rows may be inserted."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one batch."""

    imported: int
    unrated: Counter[str]
    skipped: Counter[str]


@dataclass(slots=True)
class _Batch:
    """Rows to insert, by table, and what they count for."""

    rows: dict[type[Base], list[dict[str, Any]]] = field(default_factory=lambda: {table: [] for table in _TABLES})
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unrated: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Facts:
    """One vote with what the database calls its parts."""

    vote: ForeignVote
    voter: str
    sequence: int
    revisions: tuple[int, int]
    aside: SetAside | None
    """What the operator decided about the voter, where its votes do not count."""
    battle: str = field(default_factory=new_id)
    imported_at: datetime = field(default_factory=now)

    @property
    def at(self) -> datetime:
        """When the vote was given; when it was imported, where the source does not say."""
        return self.vote.at or self.imported_at

    @property
    def turns(self) -> int:
        """How many turns the conversation had; a vote without text is taken to be about one."""
        return len(self.vote.turns) or 1


def _battle_row(facts: _Facts, conversation: str) -> dict[str, Any]:
    return {
        "id": facts.battle,
        "conversation_id": conversation,
        "voter_id": facts.voter,
        "mode": Mode.IMPORTED,
        "state": BattleState.VOTED,
        "turn": facts.turns,
        "revision_a": facts.revisions[0],
        "revision_b": facts.revisions[1],
        "question": "",
        "question_version": "imported",
        "created_at": facts.at,
        "closed_at": facts.at,
    }


def _vote_row(facts: _Facts, reason: str | None, aside: SetAside | None) -> dict[str, Any]:
    """`reason` says why the vote is not rated, `aside` how it is stored if only its voter keeps it from counting."""
    return {
        "battle_id": facts.battle,
        "winner": facts.vote.winner,
        "turn": facts.turns,
        "voter_id": facts.voter,
        "state": aside.state if aside else VoteState.COUNTED,
        "rated": reason is None and aside is None,
        "state_reason": aside.reason if aside else reason,
        "sequence": facts.sequence,
        "created_at": facts.at,
        "changed_at": facts.at,
    }


class Store:
    """Stores the votes of one file. Two imports of the same votes at once store each of them once."""

    def __init__(self, database: Database, source: str, name: str, secret: str) -> None:
        """`source` is the fingerprint of the file's content, `name` what the operator calls the file."""
        self._database = database
        self._source = source
        self._name = name
        self._secret = secret
        self._mine: set[str] = set()
        self._models: frozenset[str] = frozenset()
        self._patterns: IdentityPatterns = identity_patterns(())

    def add(self, votes: Sequence[ForeignVote]) -> Stored:
        """Store the votes that are not here yet, in one transaction."""
        self._know_models(votes)
        with self._database.write() as session:
            next_sequence(session, 0)  # from here on no other import writes, and nothing read below can change
            fresh, skipped = self._fresh(session, votes)
            if not fresh:
                return Stored(0, Counter(), skipped)
            batch = self._prepare(session, fresh, next_sequence(session, len(fresh)))
            for table, rows in batch.rows.items():
                if rows:
                    session.execute(insert(table), rows)
            add_verdicts(session, batch.verdicts, int(batch.rows[Vote][-1]["sequence"]))
        self._mine |= {vote.key for vote in fresh}
        return Stored(len(fresh), batch.unrated, skipped)

    def _know_models(self, votes: Sequence[ForeignVote]) -> None:
        """Patterns for what gives a writer away cover every model that the file has named so far."""
        models = self._models | {model for vote in votes if vote.turns for model in vote.models}
        if models != self._models:
            self._models = models
            entries = [ModelEntry(id=m, api_type="openai", model_name=m, display_name=m) for m in sorted(models)]
            self._patterns = identity_patterns(entries)

    def _fresh(self, session: Session, votes: Sequence[ForeignVote]) -> tuple[Sequence[ForeignVote], Counter[str]]:
        """The votes that are not here yet, and why the others are left out."""
        known = set(session.scalars(select(ImportedVote.key).where(ImportedVote.key.in_([v.key for v in votes]))))
        named = [vote.own_battle for vote in votes if vote.own_battle]
        own = set(session.scalars(select(Battle.id).where(Battle.id.in_(named)))) if named else set()
        seen = set(self._mine)
        fresh: list[ForeignVote] = []
        skipped: Counter[str] = Counter()
        for vote in votes:
            if vote.own_battle in own:
                skipped[OWN_VOTE] += 1
            elif vote.key in seen:
                skipped[SECOND_VOTE] += 1
            elif vote.key in known:
                skipped[ALREADY_IMPORTED] += 1
            else:
                fresh.append(vote)
                seen.add(vote.key)
        return fresh, skipped

    def _prepare(self, session: Session, votes: Sequence[ForeignVote], last_sequence: int) -> _Batch:
        batch = _Batch()
        revisions = _revisions(session, {model for vote in votes for model in vote.models})
        voters = [f"imported:{hash_address(self._secret, vote.address) or self._source}" for vote in votes]
        known = set(session.scalars(select(Voter.id).where(Voter.id.in_(set(voters)))))
        aside = set_aside(session, known)
        batch.rows[Voter] = [{"id": voter} for voter in sorted(set(voters) - known)]
        sequences = range(last_sequence - len(votes) + 1, last_sequence + 1)
        for vote, voter, sequence in zip(votes, voters, sequences, strict=True):
            seated = (revisions[vote.models[0]], revisions[vote.models[1]])
            facts = _Facts(vote, voter, sequence, seated, aside.get(voter))
            self._add_vote(session, batch, facts)
        return batch

    def _add_vote(self, session: Session, batch: _Batch, facts: _Facts) -> None:
        vote = facts.vote
        conversation = self._add_conversation(session, batch, facts)
        findings = [self._add_turn(batch, facts, conversation, n, turn) for n, turn in enumerate(vote.turns, start=1)]
        reason = vote.unrated_reason or (LEAK if any(findings) else None)
        aside = facts.aside if reason is None else None
        batch.rows[Battle].append(_battle_row(facts, conversation))
        batch.rows[Vote].append(_vote_row(facts, reason, aside))
        batch.rows[ImportedVote].append({"key": vote.key, "battle_id": facts.battle, "source": self._name})
        if aside is not None:
            batch.unrated[aside.reason] += 1
        elif reason is None:
            batch.verdicts.update(verdicts_of(Mode.IMPORTED, *facts.revisions, vote.winner, {}))
        else:
            batch.unrated[reason] += 1

    def _add_conversation(self, session: Session, batch: _Batch, facts: _Facts) -> str:
        """A conversation of its own for a vote with text; votes without share one, which stands for their file."""
        row: dict[str, Any] = {"kind": ConversationKind.IMPORTED, "voter_id": facts.voter, "created_at": facts.at}
        if facts.vote.turns:
            language, method = tell_language(facts.vote.turns[0].prompt)
            row |= {"id": new_id(), "language": language, "language_method": method}
        else:
            row |= {"id": f"imported:{self._source}", "language": None, "language_method": None}
            if any(other["id"] == row["id"] for other in batch.rows[Conversation]):
                return str(row["id"])
            if session.get(Conversation, row["id"]) is not None:
                return str(row["id"])
        batch.rows[Conversation].append(row)
        return str(row["id"])

    def _add_turn(self, batch: _Batch, facts: _Facts, conversation: str, number: int, turn: ForeignTurn) -> list[str]:
        """One prompt with its two answers; returns the phrases that give their writers away."""
        prompt = {"conversation_id": conversation, "turn": number, "text": turn.prompt, "created_at": facts.at}
        batch.rows[Prompt].append(prompt)
        found: list[str] = []
        for side, revision, text in zip(Side, facts.revisions, turn.answers, strict=True):
            findings = find_identity(text, self._patterns)
            answer = {
                "id": new_id(),
                "conversation_id": conversation,
                "revision_id": revision,
                "turn": number,
                "attempt": 1,
                "side": side,
                "text": text,
                "finish_reason": "unknown",
                "sampling": {},
                "started_at": facts.at,
                "identity_findings": findings,
            }
            batch.rows[Answer].append(answer)
            seat = {"battle_id": facts.battle, "side": side, "turn": number, "answer_id": answer["id"]}
            batch.rows[Seat].append(seat)
            found += findings
        return found


def _revisions(session: Session, models: Set[str]) -> Mapping[str, int]:
    """The revision of each imported model by its id, made where it is new. A roster's namesake is another model."""
    imported = select(ModelRevision.model_id, ModelRevision.id).where(
        ModelRevision.platform == "imported", ModelRevision.model_id.in_(models)
    )
    known = dict(session.execute(imported).all())
    known |= {model: foreign_revision(session, model).id for model in sorted(models - known.keys())}
    return known
