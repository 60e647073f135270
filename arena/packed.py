"""A large table of numbers that mostly repeats itself, kept small and read as if it were whole."""

from array import array

_BITS = 4
_LENGTH = 1 << _BITS


class Stretches:
    """Whole numbers of which equal stretches of sixteen are kept once."""

    __slots__ = ("_numbers", "_places")

    def __init__(self, numbers: "array[int]") -> None:
        """`numbers` fill their last stretch."""
        size = _LENGTH * numbers.itemsize
        seen: dict[bytes, int] = {}
        with memoryview(numbers).cast("B") as raw:
            self._places = array(
                "L", (seen.setdefault(bytes(raw[at : at + size]), len(seen)) for at in range(0, len(raw), size))
            )
        if len(seen) <= 1 << 16:
            self._places = array("H", self._places)
        self._numbers = array(numbers.typecode, b"".join(seen))

    def __getitem__(self, place: int) -> int:
        return self._numbers[self._places[place >> _BITS] << _BITS | place & _LENGTH - 1]
