"""Whether a prompt may be asked at all, where the operator wants that checked; off by default."""

import logging
from collections.abc import Sequence
from typing import Protocol

from arena.errors import BattleError, ProviderError

log = logging.getLogger(__name__)


class Classifier(Protocol):
    """Tells what is wrong with a text; see `arena.providers.openai_moderation`."""

    async def objections(self, text: str) -> Sequence[str]:
        """Name what the text is, in words for its writer; empty for nothing.

        Raises:
            ProviderError: it could not be told.

        """
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class Moderation:
    """Refuses prompts that a classifier objects to. Without one it lets everything through at once."""

    def __init__(self, classifier: Classifier | None = None, *, refuse_unchecked: bool = True) -> None:
        """`refuse_unchecked`: a prompt that cannot be checked is refused, too."""
        self._classifier = classifier
        self._refuse_unchecked = refuse_unchecked

    async def check(self, prompt: str) -> None:
        """Return if the prompt may be asked.

        Raises:
            BattleError: it may not; says why. Nothing of it is stored or logged.

        """
        if self._classifier is None:
            return
        try:
            objections = await self._classifier.objections(prompt)
        except ProviderError as error:
            log.warning("a prompt could not be moderated: %s", error.kind)
            if self._refuse_unchecked:
                raise BattleError(
                    "Prompts are checked before they are asked, and the check does not answer at the moment. "
                    "Please try again in a minute.",
                    reason="moderation_unavailable",
                ) from error
            return
        if objections:
            raise BattleError(
                f"This prompt was not asked, and not stored: the check of prompts takes it for "
                f"{_listed(objections)}. Please write it differently.",
                reason="moderated",
            )

    async def aclose(self) -> None:
        """Close what the classifier has open."""
        if self._classifier is not None:
            await self._classifier.aclose()


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
