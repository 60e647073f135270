"""Which votes a selection is made from, and how strict its gates are."""

from dataclasses import asdict, dataclass
from typing import Any

from arena.config import Settings


@dataclass(frozen=True, slots=True)
class Filters:
    """What was asked for. Votes of battles and campaigns always take part: their voters did not know the models."""

    criterion: str = ""
    """A criterion's id instead of the overall verdict."""
    imported: bool = False
    """Imported votes too."""
    side_by_side: bool = False
    """Votes on named models too, though the voter knew who wrote what."""
    negatives: bool = False
    """Both answers of a "both are bad" vote too, as bad examples (KTO)."""
    strict: bool = False
    """Hold back, too, what different people decided differently about other answers of the same models to a prompt."""
    length_ratio: float = 5.0
    """A longer answer than so many times the other is held back."""
    near_identical: float = 0.95
    """Answers at least so alike, 0 to 1, are held back."""

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def filters_of(settings: Settings, **asked: Any) -> Filters:  # noqa: ANN401 - the fields of Filters
    """Filters with the operator's thresholds."""
    return Filters(length_ratio=settings.pairs_length_ratio, near_identical=settings.pairs_near_identical, **asked)
