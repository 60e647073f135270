"""Challenges that measure what training changed, and so must never be trained on."""

from collections.abc import Iterable
from functools import lru_cache

from arena.challenges import Challenge
from arena.preferences.pairs import Message
from arena.preferences.similarity import alike, plain

_ALIKE = 0.9


class HeldOut:
    """Tells a held-out challenge by its id, and by its words: visitors copy, quote and retouch them."""

    def __init__(self, challenges: Iterable[Challenge]) -> None:
        """Those of the challenges that are marked as held out."""
        marked = [challenge for challenge in challenges if challenge.held_out]
        self._ids = frozenset(challenge.id for challenge in marked)
        self._texts = tuple(plain(challenge.text) for challenge in marked)
        self._is_one = lru_cache(maxsize=4096)(self._told)

    def holds(self, challenge_id: str | None, messages: Iterable[Message]) -> bool:
        """Whether a conversation was begun with a held-out challenge, or any of its user turns repeats one."""
        if challenge_id in self._ids:
            return True
        return any(message["role"] == "user" and self._is_one(message["content"]) for message in messages)

    def _told(self, text: str) -> bool:
        words = plain(text)
        return any(held in words or alike(held, words, _ALIKE) for held in self._texts)
