from dataclasses import dataclass
from itertools import pairwise

import pytest

from arena.battle.tempo import Tempo


@dataclass
class Core:
    """A clock, and how long the process has had the processor."""

    now: float = 0.0
    spent: float = 0.0
    runs: int = 1

    def tempo(self, frames_per_s: float = 10) -> Tempo:
        tempo = Tempo(frames_per_s, lambda: self.runs, lambda: self.now, lambda: self.spent)
        tempo.frame_s()  # it is looked at from the start
        return tempo

    def run(self, share: float) -> None:
        """Let some seconds pass, in which the process has so much of the processor."""
        self.now += 5
        self.spent += 5 * share


def frames_per_s(core: Core, tempo: Tempo, runs: int) -> float:
    core.runs = runs
    return round(1 / tempo.frame_s(), 6)


@pytest.mark.parametrize(("runs", "frames"), [(1, 10), (45, 10), (46, 8.5), (85, 8.5), (86, 8.5), (110, 8.5)])
def test_with_room_on_the_core_many_battles_are_shown_nearly_as_often_as_few(runs: int, frames: float) -> None:
    core = Core()
    tempo = core.tempo()
    core.run(0.6)
    assert frames_per_s(core, tempo, runs) == frames


@pytest.mark.parametrize(("runs", "frames"), [(1, 10), (46, 8.5), (85, 8.5), (86, 5), (200, 5)])
def test_on_a_full_core_very_many_battles_are_shown_less_often_instead_of_late(runs: int, frames: float) -> None:
    core = Core()
    tempo = core.tempo()
    core.run(0.9)
    assert frames_per_s(core, tempo, runs) == frames


def test_more_battles_than_any_core_has_room_for_are_shown_less_often_from_the_first_moment() -> None:
    core = Core()
    assert frames_per_s(core, core.tempo(), 111) == 5


def test_what_fewer_frames_have_saved_is_not_spent_at_once() -> None:
    core = Core()
    tempo = core.tempo()
    told = []
    for share in (0.8, 0.8 / 1.32, 0.5, 0.5 * 1.32):  # 1.32 times the work at the higher rate
        core.run(share)
        told.append(frames_per_s(core, tempo, 100))
    assert told == [5, 5, 8.5, 8.5]


def test_a_moment_of_work_is_not_a_full_core() -> None:
    core = Core()
    tempo = core.tempo()
    core.now, core.spent = 0.5, 0.5
    assert frames_per_s(core, tempo, 100) == 8.5


def test_an_arena_that_is_told_to_show_less_is_never_shown_more_often() -> None:
    core = Core()
    tempo = core.tempo(frames_per_s=4)
    for share in (0.1, 0.9):
        core.run(share)
        assert {frames_per_s(core, tempo, runs) for runs in (1, 60, 100)} == {4}


def many_frames(core: Core, tempo: Tempo, begun: float) -> list[float]:
    """When a run is shown that begins then, on a loop that is never late."""
    shown = [begun]
    for _ in range(50):
        core.now = shown[-1]
        shown.append(tempo.next_frame(shown[-1]))
    return shown


@pytest.mark.parametrize(("runs", "moments"), [(1, 1), (20, 1), (21, 2), (45, 3), (80, 4), (120, 6)])
def test_up_to_twenty_runs_are_shown_at_the_same_moment_whenever_they_have_begun(runs: int, moments: int) -> None:
    core = Core(runs=runs)
    tempo = core.tempo()

    latest = {round(many_frames(core, tempo, 7 + begun / 1000)[-1] % tempo.frame_s(), 6) for begun in range(300)}

    assert len(latest) == moments


@pytest.mark.parametrize("runs", [1, 30, 80, 200])
def test_frames_keep_their_times_to_the_end(runs: int) -> None:
    core = Core(runs=runs)
    tempo = core.tempo()

    shown = many_frames(core, tempo, 7.03)

    apart = [later - earlier for earlier, later in pairwise(shown[1:])]
    assert apart == pytest.approx([tempo.frame_s()] * len(apart))


def test_the_frame_after_a_late_one_comes_no_sooner_than_half_a_frame_later() -> None:
    core = Core()
    tempo = core.tempo()
    for late in range(400):
        core.now = 7.01 + late / 1000
        assert 0.0499 <= tempo.next_frame(7.01) - core.now <= 0.1501


def test_answers_are_read_shortly_before_they_are_shown() -> None:
    core = Core(runs=40)
    tempo = core.tempo()
    for read in range(100):
        core.now = 7 + read / 1000
        next_reading = core.now + tempo.reading_s()
        core.now = next_reading
        assert tempo.next_frame(next_reading) - next_reading == pytest.approx(tempo.frame_s() + 0.01)
