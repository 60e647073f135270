from dataclasses import dataclass

import pytest

from arena.battle.tempo import Tempo


@dataclass
class Core:
    """A clock, and how long the process has had the processor."""

    now: float = 0.0
    spent: float = 0.0

    def tempo(self, frames_per_s: float = 10) -> Tempo:
        return Tempo(frames_per_s, lambda: self.now, lambda: self.spent)

    def run(self, share: float) -> None:
        """Let some seconds pass, in which the process has so much of the processor."""
        self.now += 5
        self.spent += 5 * share


def frames_per_s(tempo: Tempo, runs: int) -> float:
    return round(1 / tempo.frame_s(runs), 6)


@pytest.mark.parametrize(("runs", "frames"), [(1, 10), (45, 10), (46, 8.5), (85, 8.5), (86, 8.5), (110, 8.5)])
def test_with_room_on_the_core_many_battles_are_shown_nearly_as_often_as_few(runs: int, frames: float) -> None:
    core = Core()
    tempo = core.tempo()
    core.run(0.6)
    assert frames_per_s(tempo, runs) == frames


@pytest.mark.parametrize(("runs", "frames"), [(1, 10), (46, 8.5), (85, 8.5), (86, 5), (200, 5)])
def test_on_a_full_core_very_many_battles_are_shown_less_often_instead_of_late(runs: int, frames: float) -> None:
    core = Core()
    tempo = core.tempo()
    core.run(0.9)
    assert frames_per_s(tempo, runs) == frames


def test_more_battles_than_any_core_has_room_for_are_shown_less_often_from_the_first_moment() -> None:
    assert frames_per_s(Core().tempo(), 111) == 5


def test_what_fewer_frames_have_saved_is_not_spent_at_once() -> None:
    core = Core()
    tempo = core.tempo()
    told = []
    for share in (0.8, 0.8 / 1.32, 0.5, 0.5 * 1.32):  # 1.32 times the work at the higher rate
        core.run(share)
        told.append(frames_per_s(tempo, 100))
    assert told == [5, 5, 8.5, 8.5]


def test_a_moment_of_work_is_not_a_full_core() -> None:
    core = Core()
    tempo = core.tempo()
    core.now, core.spent = 0.5, 0.5
    assert frames_per_s(tempo, 100) == 8.5


def test_an_arena_that_is_told_to_show_less_is_never_shown_more_often() -> None:
    core = Core()
    tempo = core.tempo(frames_per_s=4)
    for share in (0.1, 0.9):
        core.run(share)
        assert {frames_per_s(tempo, runs) for runs in (1, 60, 100)} == {4}
