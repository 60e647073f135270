"""Fewer runs while frames are late: what visitors in line meet."""

import logging
from itertools import pairwise

import pytest

from arena.battle.headroom import Headroom
from arena.battle.line import Line, Ticket

LATE, IN_TIME = 0.2, 0.005


class Crowd:
    """A line, its headroom, and a clock."""

    def __init__(self, running: int, *, limit: int = 200) -> None:
        self.now = 100.0
        self.line = Line(limit, 500)
        self.headroom = Headroom(self.line, lambda: self.now)
        self.running = [self.line.join(f"voter {number}") for number in range(running)]

    def show(self, late_s: float, *, seconds: float = 0.5, one: float | None = None) -> None:
        """Let some seconds pass with frames that are so late; `one` of each ten may be later than the others."""
        for number in range(round(seconds * 100)):
            self.now += 0.01
            self.headroom.note(one if one is not None and number % 10 == 0 else late_s)

    def come(self, number: int) -> list[Ticket]:
        """So many visitors come."""
        return [self.line.join(f"newcomer {self.now} {place}") for place in range(number)]

    def leave(self, number: int) -> None:
        """So many runs end."""
        for _ in range(number):
            self.line.leave(self.running.pop())


def served(tickets: list[Ticket]) -> int:
    return sum(ticket.served for ticket in tickets)


def test_while_frames_are_late_newcomers_wait_and_nobody_who_streams_loses_the_place() -> None:
    crowd = Crowd(100)
    crowd.show(LATE, seconds=1.1)

    newcomers = crowd.come(10)

    assert served(newcomers) == 0
    assert served(crowd.running) == 100
    crowd.leave(9)
    assert served(newcomers) == 0
    crowd.leave(2)
    assert served(newcomers) == 1


def test_once_frames_are_in_time_those_who_waited_are_served_a_few_at_a_time() -> None:
    crowd = Crowd(100)
    crowd.show(LATE, seconds=0.6)
    newcomers = crowd.come(30)

    came = []
    for _ in range(8):
        crowd.show(IN_TIME)
        came.append(served(newcomers))

    steps = [later - earlier for earlier, later in pairwise([0, *came])]
    assert came[-1] == 30
    assert max(steps) <= 6


def test_those_who_still_wait_long_after_late_frames_do_not_begin_all_at_once() -> None:
    crowd = Crowd(100)
    crowd.show(LATE, seconds=3)
    crowd.leave(crowd.line.running - crowd.line.limit)
    newcomers = crowd.come(60)

    crowd.show(0.07, seconds=12)
    crowd.show(IN_TIME, seconds=3)

    assert 1 <= served(newcomers) <= 20


@pytest.mark.parametrize("late_s", [0.0, 0.05])
def test_an_arena_that_keeps_up_serves_up_to_its_limit_at_once(late_s: float) -> None:
    crowd = Crowd(100, limit=120)
    crowd.show(late_s, seconds=5)

    assert served(crowd.come(30)) == 20


def test_few_runs_are_not_what_makes_frames_late() -> None:
    crowd = Crowd(19)
    crowd.show(LATE, seconds=5)

    assert served(crowd.come(1)) == 1


def test_however_late_frames_are_some_are_served() -> None:
    crowd = Crowd(100)
    crowd.show(LATE, seconds=60)
    newcomers = crowd.come(10)

    crowd.leave(90)

    assert served(newcomers) == 10


def test_a_page_that_stalls_holds_nobody_back() -> None:
    crowd = Crowd(100)
    crowd.show(IN_TIME, seconds=5, one=30.0)

    assert served(crowd.come(1)) == 1


def test_a_crowd_that_comes_long_after_late_frames_is_served_at_once() -> None:
    crowd = Crowd(60)
    crowd.show(LATE, seconds=30)
    crowd.leave(50)
    crowd.now += 3600
    crowd.show(IN_TIME, seconds=0.6)

    assert served(crowd.come(150)) == 150


def test_the_operator_is_told_once_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    crowd = Crowd(100)
    crowd.show(LATE, seconds=5)
    crowd.show(IN_TIME, seconds=11)

    begun, ended = caplog.messages
    assert "cannot keep up with 100 battles" in begun
    assert "keeps up again" in ended
