"""Which prompts are for validation. Pure, and the same for ever: told by a hash of the prompt, never by chance."""

import hashlib

from arena.preferences.pairs import SharedPrompt
from arena.preferences.similarity import plain

POSITIONS = 1 << 62
"""Positions are below this."""


def position_of(prompt: SharedPrompt) -> int:
    """Where a prompt stands between 0 and `POSITIONS`; the lowest share of positions is for validation.

    A chain of continued battles stands where its opening stands: its later prompts hold the earlier ones.
    """
    return int.from_bytes(hashlib.sha256(plain(prompt.opening).encode()).digest()[:8]) >> 2


def boundary(share: float) -> int:
    """The position below which a share (0 to 1) of the prompts is expected."""
    return int(share * POSITIONS)
