"""Krippendorff's alpha against published worked examples, and its interval against simulated judges."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from arena.agreement import Metric, agree, tabulate

BINARY = ("0100000010", "1110010000")
TWO_OBSERVERS = ("aabbdcccedda", "babbbccceddd")
FOUR_OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
"""Rows are observers, columns units, a dot is a missing judgement: examples A, B and C of Krippendorff (2011)."""


def table_of(observers: Sequence[str]) -> NDArray[np.int64]:
    values = sorted(set("".join(observers)) - {"."})
    said = [(unit, values.index(value)) for row in observers for unit, value in enumerate(row) if value != "."]
    return tabulate([unit for unit, _ in said], [value for _, value in said], len(values))


@pytest.mark.parametrize(
    ("observers", "metric", "published"),
    [
        (BINARY, "nominal", 0.095),
        (TWO_OBSERVERS, "nominal", 0.692),
        (FOUR_OBSERVERS, "nominal", 0.743),
        (FOUR_OBSERVERS, "ordinal", 0.815),
    ],
)
def test_alpha_is_that_of_the_published_worked_examples(
    observers: Sequence[str], metric: Metric, published: float
) -> None:
    assert agree(table_of(observers), metric).value == pytest.approx(published, abs=5e-4)


def test_units_judged_once_say_nothing() -> None:
    found = agree(table_of(FOUR_OBSERVERS))

    assert (found.units, found.judgements) == (11, 40)
    assert agree(table_of(("12", ".."))).sentence.startswith("Nothing was judged by two people yet")


@pytest.mark.slow
def test_the_interval_is_that_of_drawing_units_one_by_one() -> None:
    table = table_of(FOUR_OBSERVERS)
    rng = np.random.default_rng(5)
    drawn = [agree(table[rng.integers(len(table), size=len(table))], draws=1).value for _ in range(3000)]
    low, high = np.percentile([value for value in drawn if value is not None], [2.5, 97.5])

    found = agree(table)

    # The unit that was judged once takes part in the slow way alone, which so has up to one unit less.
    assert found.low == pytest.approx(low, abs=0.04)
    assert found.high == pytest.approx(high, abs=0.01)


def test_the_interval_is_near_a_published_one() -> None:
    """R's irr and boot on example C, ordinal, 1,000 draws of its units, percentiles: 0.4297 to 1.0000."""
    found = agree(table_of(FOUR_OBSERVERS), metric="ordinal")

    assert found.value == pytest.approx(0.815, abs=5e-4)
    assert found.low == pytest.approx(0.4297, abs=0.05)
    assert found.high == pytest.approx(1.0, abs=5e-4)


def judgements(rng: np.random.Generator, units: int, people: int, care: float) -> NDArray[np.int64]:
    """Each unit has a true answer, which each judge gives with chance `care`, else any of the three."""
    truth = rng.integers(3, size=units)
    guess = rng.integers(3, size=(people, units))
    said = np.where(rng.random((people, units)) < care, truth, guess)
    return tabulate(np.tile(np.arange(units), people), said.ravel(), 3)


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    truth = agree(judgements(rng, 200_000, 3, 0.7), draws=1).value
    assert truth is not None
    assert truth == pytest.approx(0.49, abs=0.01)  # care squared

    found = [agree(judgements(rng, 60, 3, 0.7), draws=400) for _ in range(300)]

    edges = [(alpha.low, alpha.high) for alpha in found if alpha.low is not None and alpha.high is not None]
    covered = np.mean([low <= truth <= high for low, high in edges])
    assert len(edges) == 300
    assert 0.91 <= covered <= 0.98


def test_people_who_toss_coins_are_not_said_to_agree_and_careful_ones_are() -> None:
    rng = np.random.default_rng(11)

    coins, careful = agree(judgements(rng, 200, 3, 0.0)), agree(judgements(rng, 200, 3, 0.95))

    assert coins.sentence.startswith("It is not shown that people agree more than by chance")
    assert careful.sentence.startswith("People agree, reliably")


def test_alpha_does_not_depend_on_which_answer_is_called_the_first() -> None:
    rng = np.random.default_rng(13)
    table = judgements(rng, 40, 3, 0.6)
    renamed = table.copy()
    renamed[::3] = table[::3, [2, 1, 0]]

    for metric in ("nominal", "ordinal"):
        assert agree(table, metric, (0, 2)) == agree(renamed, metric, (0, 2))
    assert agree(table).value != agree(renamed).value


def test_judgements_that_are_all_the_same_have_no_alpha_and_say_so() -> None:
    found = agree(tabulate([0, 0, 1, 1], [2, 2, 2, 2], 3))

    assert found.value is None
    assert found.sentence.startswith("All judgements are the same (2 pairs of answers with 4 judgements)")
