"""A packed table reads as the whole one."""

import random
from array import array

import pytest

from arena.packed import Stretches


@pytest.mark.slow
@pytest.mark.parametrize("code", ["H", "I", "L"])
@pytest.mark.parametrize("different", [1, 40, 70_000])
def test_every_number_is_read_as_it_was(code: str, different: int) -> None:
    chance = random.Random(different)
    stretches = [[chance.randrange(60_000) for _ in range(16)] for _ in range(different)]
    order = [*range(different), *(chance.randrange(different) for _ in range(500))]
    numbers = array(code, [number for which in order for number in stretches[which]])

    packed = Stretches(numbers)

    assert [packed[place] for place in range(len(numbers))] == numbers.tolist()
