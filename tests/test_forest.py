"""The plot of ratings: every point on the scale, nothing drawn outside it, and words for those who cannot see it."""

import random
from itertools import pairwise

import pytest

from arena.ui.forest import Interval, draw_forest
from arena.ui.html import render


def interval(rating: float, half: float = 40, *, tentative: bool = False, label: str = "A model") -> Interval:
    return Interval(label, rating, rating - half, rating + half, tentative)


def test_nothing_to_plot_is_no_plot() -> None:
    assert draw_forest([]) is None


def test_points_keep_the_order_and_the_distances_of_the_ratings() -> None:
    forest = draw_forest([interval(1200), interval(1000), interval(900)])
    assert forest is not None
    best, middle, last = (mark.point for mark in forest.marks)
    assert best > middle > last
    assert (best - middle) / (middle - last) == pytest.approx(2, abs=0.01)


def test_an_interval_reaches_from_its_low_to_its_high_end() -> None:
    forest = draw_forest([interval(1000, 50), interval(1100, 20)])
    assert forest is not None
    wide, narrow = (mark.end - mark.start for mark in forest.marks)
    assert wide / narrow == pytest.approx(2.5, abs=0.01)
    assert not any(mark.beyond_start or mark.beyond_end for mark in forest.marks)


def test_a_tentative_interval_does_not_squeeze_the_others_and_says_that_it_goes_on() -> None:
    decided = [interval(1060, 20), interval(980, 20)]
    alone, joined = draw_forest(decided), draw_forest([*decided, interval(1020, 900, tentative=True)])
    assert alone is not None
    assert joined is not None
    assert joined.marks[:2] == alone.marks
    newcomer = joined.marks[2]
    assert (newcomer.start, newcomer.end) == (0, 100)
    assert newcomer.beyond_start
    assert newcomer.beyond_end


def test_intervals_are_shown_whole_while_all_are_tentative() -> None:
    forest = draw_forest([interval(1131, 336, tentative=True), interval(869, 336, tentative=True)])
    assert forest is not None
    assert not any(mark.beyond_start or mark.beyond_end for mark in forest.marks)


def test_a_small_difference_does_not_fill_the_scale() -> None:
    forest = draw_forest([interval(1001, 1), interval(999, 1)])
    assert forest is not None
    assert forest.marks[0].point - forest.marks[1].point < 5


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_ratings_everything_stays_on_the_scale_and_ticks_stay_apart(seed: int) -> None:
    rng = random.Random(seed)
    spread = rng.choice([3, 60, 400, 3000])
    rows = [
        interval(rng.gauss(1000, spread), rng.uniform(1, 4 * spread), tentative=rng.random() < 0.3)
        for _ in range(rng.randint(1, 60))
    ]
    forest = draw_forest(rows)
    assert forest is not None
    for mark in forest.marks:
        assert 0 <= mark.start <= mark.point <= mark.end <= 100
    assert len(forest.few_ticks) <= 3
    assert {1000} & {tick.value for tick in forest.ticks} == {1000} & {tick.value for tick in forest.few_ticks}
    positions = [tick.position for tick in forest.ticks]
    assert 1 <= len(positions) <= 5
    assert all(0 < position < 100 for position in positions)
    assert all(later - earlier > 12 for earlier, later in pairwise(positions))


def test_the_mean_is_marked_where_it_is_on_the_scale_and_nowhere_else() -> None:
    on_scale, off_scale = draw_forest([interval(1000)]), draw_forest([interval(1600)])
    assert on_scale is not None
    assert off_scale is not None
    assert on_scale.mean == pytest.approx(50)
    assert off_scale.mean is None


def test_the_plot_tells_its_content_in_words() -> None:
    forest = draw_forest([interval(1064, 43, label="Heron"), interval(921, 47, label="Wren")])
    assert forest is not None
    assert forest.title == "Ratings of 2 models, with 95% intervals"
    assert forest.description == "Heron: 1064, between 1021 and 1107; Wren: 921, between 874 and 968."


def test_a_long_name_is_cut_in_the_plot_and_whole_in_the_description() -> None:
    name = "A tuned model with a name that nobody would want to type twice"
    forest = draw_forest([interval(1000, label=name)])
    assert forest is not None
    assert len(forest.marks[0].short_label) <= 42
    assert forest.marks[0].short_label.endswith("…")
    assert name in forest.description


def test_a_name_cannot_add_markup_to_the_drawing() -> None:
    forest = draw_forest([interval(1000, label="<img src=x onerror=alert(1)>")])
    drawn = render("leaderboard_plot.html", forest=forest)
    assert "<img" not in drawn
    assert "&lt;img" in drawn
