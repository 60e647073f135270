"""Facts for tests: models, voters and votes written straight into a database, as the battle core writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alembic import command
from alembic.config import Config
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.config import SHIPPED_DIR
from arena.counts import add_verdicts, next_sequence, verdicts_of
from arena.database import Database
from arena.rubric import Criterion, Pole, Rubric
from arena.tables import (
    Answer,
    Battle,
    BattleState,
    Conversation,
    ConversationKind,
    Mode,
    ModelRevision,
    Prompt,
    Seat,
    Side,
    Vote,
    Voter,
    VoteState,
    Winner,
    new_id,
    now,
)


def criterion(name: str) -> Criterion:
    """A criterion of that id, with words of its own."""
    pole = Pole(f"{name}, much of it", f"It shows {name}.", f"A sentence full of {name}.")
    return Criterion(name, name.title(), f"Which answer has more {name}?", pole, replace(pole, name=f"no {name}"))


RUBRIC = Rubric("1", (criterion("clarity"), criterion("warmth")))


def add_models(database: Database, *ids: str, platform: str = "openai", **columns: str) -> Sequence[int]:
    """A revision of each id; one that is there already gets its next number. Returns the revisions' ids."""
    with database.write() as session:
        return [_add_model(session, model_id, platform, columns) for model_id in ids]


def _add_model(session: Session, model_id: str, platform: str, columns: Mapping[str, str]) -> int:
    earlier = session.scalar(select(func.count()).where(ModelRevision.model_id == model_id)) or 0
    revision = ModelRevision(
        fingerprint=new_id(),
        model_id=model_id,
        number=earlier + 1,
        platform=platform,
        api_name=model_id,
        sampling={},
        **{"display_name": model_id.title(), **columns},
    )
    session.add(revision)
    session.flush()
    return revision.id


def add_vote(
    database: Database,
    revision_a: int,
    revision_b: int,
    winner: Winner,
    *,
    mode: Mode = Mode.BATTLE,
    voter: str = "someone",
    criteria: Mapping[str, str] | None = None,
    rubric_version: str | None = None,
    rated: bool = True,
    state: VoteState = VoteState.COUNTED,
    turns: Sequence[tuple[str, str, str]] = (("Name a bird.", "A heron.", "A wren."),),
    at: datetime | None = None,
    history: Sequence[Mapping[str, str]] = (),
    challenge_id: str | None = None,
    language: str | None = None,
    tags: Sequence[str] = (),
) -> str:
    """A voted battle whose `turns` are (prompt, answer A, answer B), after a shared `history`; returns its id."""
    with database.write() as session:
        sequence = next_sequence(session)
        at = at or now()
        session.merge(Voter(id=voter, created_at=at))
        session.flush()
        conversation = Conversation(
            kind=ConversationKind(mode.value),
            voter_id=voter,
            created_at=at,
            history=[dict(message) for message in history],
            challenge_id=challenge_id,
            challenge_tags=list(tags),
            language=language,
        )
        session.add(conversation)
        session.flush()
        battle = Battle(
            conversation_id=conversation.id,
            voter_id=voter,
            mode=mode,
            state=BattleState.VOTED,
            turn=len(turns),
            revision_a=revision_a,
            revision_b=revision_b,
            question="Which is better?",
            question_version="1",
            created_at=at,
        )
        session.add(battle)
        session.flush()
        _add_turns(session, battle, turns)
        vote = Vote(
            battle_id=battle.id,
            winner=winner,
            turn=len(turns),
            criteria=dict(criteria or {}),
            rubric_version=rubric_version,
            voter_id=voter,
            state=state,
            rated=rated,
            sequence=sequence,
            created_at=at,
            changed_at=at,
        )
        session.add(vote)
        if rated and state is VoteState.COUNTED:
            verdicts = verdicts_of(mode, revision_a, revision_b, winner, criteria or {}, rubric_version)
            add_verdicts(session, dict.fromkeys(verdicts, 1), sequence)
        return battle.id


def judge_again(
    database: Database,
    battle_id: str,
    winner: Winner,
    *,
    voter: str,
    swapped: bool = False,
    criteria: Mapping[str, str] | None = None,
    rubric_version: str | None = None,
    mode: Mode = Mode.CAMPAIGN,
) -> str:
    """A further battle over the same two answers, `swapped` against those of the first, and its vote."""
    with database.write() as session:
        sequence = next_sequence(session)
        session.merge(Voter(id=voter))
        session.flush()
        first = session.get_one(Battle, battle_id)
        revisions = (first.revision_a, first.revision_b)
        battle = Battle(
            conversation_id=first.conversation_id,
            voter_id=voter,
            mode=mode,
            state=BattleState.VOTED,
            turn=first.turn,
            revision_a=revisions[swapped],
            revision_b=revisions[not swapped],
            question=first.question,
            question_version=first.question_version,
        )
        session.add(battle)
        session.flush()
        for seat in session.scalars(select(Seat).where(Seat.battle_id == battle_id)).all():
            side = seat.side if not swapped else Side.B if seat.side is Side.A else Side.A
            session.add(Seat(battle_id=battle.id, side=side, turn=seat.turn, answer_id=seat.answer_id))
        vote = Vote(
            battle_id=battle.id,
            winner=winner,
            turn=first.turn,
            criteria=dict(criteria or {}),
            rubric_version=rubric_version,
            voter_id=voter,
            rated=False,
            sequence=sequence,
        )
        session.add(vote)
        return battle.id


def _add_turns(session: Session, battle: Battle, turns: Sequence[tuple[str, str, str]]) -> None:
    for turn, (prompt, *texts) in enumerate(turns, start=1):
        session.add(Prompt(conversation_id=battle.conversation_id, turn=turn, text=prompt))
        seated = zip(Side, (battle.revision_a, battle.revision_b), texts, strict=True)
        for side, revision, text in seated:
            answer = Answer(
                conversation_id=battle.conversation_id,
                revision_id=revision,
                turn=turn,
                attempt=1,
                side=side,
                text=text,
                finish_reason="stop",
                sampling={"temperature": 0.7, "top_p": 1.0, "max_new_tokens": 2000},
            )
            session.add(answer)
            session.flush()
            session.add(Seat(battle_id=battle.id, side=side, turn=turn, answer_id=answer.id))


def take_back(database: Database, revision: str) -> None:
    """Give a database the tables of an earlier release, as the migrations leave them on the way down."""
    config = Config()
    config.set_main_option("script_location", str(SHIPPED_DIR / "arena" / "migrations"))
    with database.engine.execution_options(write=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def withdraw_vote(database: Database, battle_id: str) -> None:
    """Take a counted vote back, as its voter would."""
    with database.write() as session:
        sequence = next_sequence(session)
        vote = session.get_one(Vote, battle_id)
        battle = session.get_one(Battle, battle_id)
        vote.state = VoteState.WITHDRAWN
        verdicts = verdicts_of(
            battle.mode, battle.revision_a, battle.revision_b, vote.winner, vote.criteria, vote.rubric_version
        )
        add_verdicts(session, dict.fromkeys(verdicts, -1), sequence)
