"""How much may be asked for: by one voter, from one address, and in all; in a minute, in a day, and in money.

The counts are in the database, so that every process of an arena holds the same limits, also after a restart. A turn
takes one transaction of two statements. Its first row is that of `all`: whoever has it locked is the only one who
counts, so nobody waits in a circle and nothing is counted twice.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Table, case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from arena.config import Settings
from arena.database import Database
from arena.errors import BattleError
from arena.passwords import forget_old_passwords
from arena.tables import StartCount, StartSlot
from arena.voters import VoterIdentity

WINDOW_S = 60.0
"""The window in which starts are counted, wherever it begins."""

ADDRESS_SHARE = 5
"""How many voters' worth of turns one address may start: a school or an office shares one."""

ALL = "all"
MILLIONTHS = 1_000_000
_COUNTS: Table = StartCount.__table__  # type: ignore[assignment]
_SLOTS: Table = StartSlot.__table__  # type: ignore[assignment]
_WHOSE: Mapping[str, str] = {"voter": "you", "address": "your network", ALL: "all visitors together"}


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for a turn that runs, all its attempts; given back, less what they cost, by `Limits.settle`."""

    day: str
    millionths: int


@dataclass(frozen=True, slots=True)
class Today:
    """The day so far, in UTC."""

    starts: int
    """Turns of battles and chats that were admitted."""
    dollars: float | None
    """Costs of ended turns and estimates of running ones; `None` where no cap is set, so that nobody counts."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """Somebody whose turns are counted, with what they may start; `None` is without a limit."""

    name: str
    a_minute: int | None
    a_day: int | None

    @property
    def whose(self) -> str:
        return _WHOSE[self.name.partition(":")[0]]


class Limits:
    """Counts turns and money, and refuses what is too much. Blocking; safe from any thread and any process."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._database = database
        self._settings = settings
        self._clock = clock
        dollars = settings.spend_per_day
        self._cap = None if dollars is None else round(dollars * MILLIONTHS)

    @property
    def counts_money(self) -> bool:
        """Whether there is a cap, so that estimates and costs are wanted."""
        return self._cap is not None

    def admit(self, voter: VoterIdentity, estimate: int = 0) -> Reservation | None:
        """Count one more turn that will cost at most `estimate` millionths of a dollar.

        A refused turn is not counted, so that waiting always helps. The reservation is `None` without a cap.

        Raises:
            BattleError: a limit is reached; says which, and when to come back.

        """
        now = self._clock()
        today = datetime.fromtimestamp(now, UTC).date().isoformat()
        subjects = self._subjects(voter)
        reserved = estimate if self._cap is not None else 0
        with self._database.write() as session:
            counted = _count(session, subjects, today, reserved)
            for subject in subjects:
                _, starts, _ = counted[subject.name]
                if subject.a_day is not None and starts > subject.a_day:
                    raise _too_many_today(subject, now)
            if self._cap is not None and counted[ALL][2] > self._cap:
                raise BattleError(
                    f"The arena has spent what it may spend in a day. Please come back {_tomorrow(now)}.",
                    reason="limit_spending",
                )
            _take_slots(session, subjects, {name: total for name, (total, _, _) in counted.items()}, now)
            if counted[ALL][1] == 1:
                _tidy(session, now)
        return Reservation(today, reserved) if self._cap is not None else None

    def extend(self, reservation: Reservation, more: int) -> Reservation | None:
        """Set more money aside for a turn that runs, in the same account; `None` if the cap does not leave so much.

        A turn that outlasts its day goes on as it began: that account is closed, and nobody counts in it any more.
        """
        account = (StartCount.subject == ALL, StartCount.day == reservation.day)
        with self._database.write() as session:
            # Locked, so that of two turns which ask at once the second sees what the first was given.
            spent = session.scalar(select(StartCount.spent).where(*account).with_for_update())
            if spent is not None and self._cap is not None and spent + more > self._cap:
                return None
            session.execute(update(StartCount).where(*account).values(spent=StartCount.spent + more))
        return Reservation(reservation.day, reservation.millionths + more)

    def settle(self, reservation: Reservation, cost: int) -> None:
        """Replace a turn's estimate by its cost, in the account of the day on which it was admitted."""
        with self._database.write() as session:
            session.execute(
                update(StartCount)
                .where(StartCount.subject == ALL, StartCount.day == reservation.day)
                .values(spent=StartCount.spent + (cost - reservation.millionths))
            )

    def today(self) -> Today:
        """What all visitors together started and spent since midnight UTC."""
        today = datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
        with self._database.read() as session:
            query = select(StartCount.starts, StartCount.spent).where(
                StartCount.subject == ALL, StartCount.day == today
            )
            starts, spent = session.execute(query).one_or_none() or (0, 0)
        return Today(starts, spent / MILLIONTHS if self.counts_money else None)

    def _subjects(self, voter: VoterIdentity) -> Sequence[_Subject]:
        """Who is counted: `all` first, always in the same order."""
        given = self._settings
        daily = given.battles_per_day
        subjects = [_Subject(ALL, given.battles_per_minute_in_all, given.battles_per_day_in_all)]
        if voter.address_hash:
            shared = None if daily is None else daily * ADDRESS_SHARE
            subjects.append(_Subject(f"address:{voter.address_hash}", given.battles_per_minute * ADDRESS_SHARE, shared))
        return [*subjects, _Subject(f"voter:{voter.voter_id}", given.battles_per_minute, daily)]


def forget_subject(session: Session, voter_id: str) -> None:
    """Delete what the limits know of a voter."""
    for table in (StartSlot, StartCount):
        session.execute(delete(table).where(table.subject == f"voter:{voter_id}"))


def _count(
    session: Session, subjects: Sequence[_Subject], today: str, reserved: int
) -> Mapping[str, tuple[int, int, int]]:
    """Add one turn to each subject, and the money to `all`; (total, starts today, spent today) by subject."""
    rows = [
        {"subject": s.name, "total": 1, "day": today, "starts": 1, "spent": reserved if s.name == ALL else 0}
        for s in subjects
    ]
    counted = session.execute(_counting(session.get_bind().dialect.name), rows)
    return {subject: (total, starts, spent) for subject, total, starts, spent in counted}


def _take_slots(session: Session, subjects: Sequence[_Subject], totals: Mapping[str, int], now: float) -> None:
    """Take a place of the minute for each subject: the one that was taken longest ago, if that is long enough ago."""
    limited = {s.name: s for s in subjects if s.a_minute is not None}
    rows = [{"subject": s.name, "slot": totals[s.name] % (s.a_minute or 1), "at": now} for s in limited.values()]
    taken = set(session.scalars(_taking(session.get_bind().dialect.name), rows))
    refused = limited.keys() - taken
    if not refused:
        return
    waits = {name: _wait(session, name, totals[name] % (limited[name].a_minute or 1), now) for name in refused}
    longest = max(waits, key=waits.__getitem__)
    raise BattleError(
        f"That was a lot of battles in one minute for {limited[longest].whose}. "
        f"You can start the next one in {_seconds(waits[longest])}.",
        reason="limit_minute",
    )


def _wait(session: Session, subject: str, slot: int, now: float) -> float:
    taken_at = session.get_one(StartSlot, (subject, slot)).at
    return taken_at + WINDOW_S - now


def _tidy(session: Session, now: float) -> None:
    """With the first turn of a day forget whom nobody has to know any more."""
    yesterday = (datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)).isoformat()
    session.execute(delete(StartCount).where(StartCount.day < yesterday))
    session.execute(delete(StartSlot).where(StartSlot.at < now - WINDOW_S))
    forget_old_passwords(session, now)


def _too_many_today(subject: _Subject, now: float) -> BattleError:
    sentence = f"That was all the battles that one day has for {subject.whose}."
    return BattleError(f"{sentence} Please come back {_tomorrow(now)}.", reason="limit_day")


def _tomorrow(now: float) -> str:
    """When the next day begins, in words."""
    minutes = math.ceil((86_400 - now % 86_400) / 60)
    if minutes <= 90:
        return "in a minute" if minutes == 1 else f"in {minutes} minutes"
    return f"in {math.ceil(minutes / 60)} hours, at midnight UTC"


def _seconds(wait: float) -> str:
    whole = math.ceil(wait)
    return "a second" if whole <= 1 else f"{whole} seconds"


@cache
def _counting(dialect: str) -> ReturningInsert[Any]:
    """What counts one turn; made once, since making it takes longer than running it."""
    insert = _insert(dialect, _COUNTS)
    same_day = _COUNTS.c.day == insert.excluded.day
    return insert.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "total": _COUNTS.c.total + 1,
            "starts": case((same_day, _COUNTS.c.starts + 1), else_=1),
            "spent": case((same_day, _COUNTS.c.spent + insert.excluded.spent), else_=insert.excluded.spent),
            "day": insert.excluded.day,
        },
    ).returning(_COUNTS.c.subject, _COUNTS.c.total, _COUNTS.c.starts, _COUNTS.c.spent)


@cache
def _taking(dialect: str) -> ReturningInsert[Any]:
    """What takes a place of the minute where it is free."""
    insert = _insert(dialect, _SLOTS)
    # One from the future was written before the clock was put back.
    free = or_(_SLOTS.c.at <= insert.excluded.at - WINDOW_S, _SLOTS.c.at > insert.excluded.at + WINDOW_S)
    return insert.on_conflict_do_update(
        index_elements=["subject", "slot"], set_={"at": insert.excluded.at}, where=free
    ).returning(_SLOTS.c.subject)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can turn into an UPDATE, in the words of a database."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
