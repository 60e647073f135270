"""Battles by outcome, and what a stopped process left behind."""

from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from arena.battle.runs import INTERRUPTED
from arena.battle.store import close_battle
from arena.battle.views import Figures
from arena.database import Database
from arena.tables import Battle, BattleState, Mode, Prompt, now

_STRAGGLER = timedelta(minutes=10)
"""Longer than any turn may take: on PostgreSQL an older running battle belongs to no other process."""


def count_battles(database: Database, running: int, since: datetime | None = None) -> Figures:
    """Battles by outcome; imported ones and campaigns, which no visitor started, left out. `running` is passed on.

    With `since`, only battles that started at that moment or later.
    """
    cut_off = func.sum(case((Battle.state_reason == INTERRUPTED, 1), else_=0))
    columns = select(Battle.state, func.count(), func.count(Battle.answered_ms), cut_off)
    wanted = [Battle.mode.in_((Mode.BATTLE, Mode.SIDE_BY_SIDE))] + ([Battle.created_at >= since] if since else [])
    with database.read() as session:
        rows = session.execute(columns.where(*wanted).group_by(Battle.state)).all()
    counts: dict[BattleState, tuple[int, int, int]] = {
        state: (every, answered, cut) for state, every, answered, cut in rows
    }

    def total(state: BattleState) -> int:
        return counts.get(state, (0, 0, 0))[0]

    unanswered = counts.get(BattleState.RUNNING, (0, 0, 0))
    return Figures(
        started=sum(every for every, _, _ in counts.values()),
        votable=sum(answered for _, answered, _ in counts.values()),
        voted=total(BattleState.VOTED),
        void=total(BattleState.VOID),
        abandoned=total(BattleState.ABANDONED),
        running=running,
        undecided=unanswered[0] - unanswered[1],
        interrupted=counts.get(BattleState.ABANDONED, (0, 0, 0))[2],
    )


def recover_interrupted(database: Database) -> int:
    """At start: battles that a stopped process left running become abandoned, or votable again if a further turn ran.

    Several processes may share a PostgreSQL database, so there only turns older than any may last are taken. Returns
    how many battles there were.
    """
    running = select(Battle).where(Battle.state == BattleState.RUNNING).with_for_update()
    if database.engine.dialect.name == "postgresql":
        asked = select(Prompt.conversation_id).where(
            Prompt.conversation_id == Battle.conversation_id,
            Prompt.turn == Battle.turn,
            Prompt.created_at < now() - _STRAGGLER,
        )
        running = running.where(asked.exists())
    with database.write() as session:
        battles = session.scalars(running).all()
        for battle in battles:
            close_battle(session, battle.id, battle.turn, BattleState.ABANDONED, INTERRUPTED)
        return len(battles)
