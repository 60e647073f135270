"""What a visitor may ask for: prompts, lengths, named models and their sampling. Refusals say what to change."""

from collections.abc import Sequence

from arena.config import Settings
from arena.errors import BattleError
from arena.fleet import Fleet
from arena.providers.base import Sampling

MOST_NEW_TOKENS = 32_000
"""Most tokens that a visitor of a named page may ask for."""


def check_prompt(prompt: str, earlier_turns: int, settings: Settings) -> None:
    """Refuse an empty prompt, one that is too long or cannot be stored, and a turn too many; never cut anything."""
    if not prompt.strip():
        raise BattleError("Write a challenge first.")
    most = settings.max_prompt_characters
    if len(prompt) > most:
        raise BattleError(f"This is {len(prompt):,} characters long; the limit is {most:,}. Please shorten it.")
    if "\x00" in prompt or any("\ud800" <= character <= "\udfff" for character in prompt):
        raise BattleError("This holds characters that are not text. Please remove them.")
    if earlier_turns >= settings.max_turns:
        raise BattleError(f"A conversation has at most {settings.max_turns} turns. Please start a new one.")


def check_named(model_ids: Sequence[str], sampling: Sampling, fleet: Fleet) -> None:
    """Refuse models that cannot be chosen by name now, and sampling that no platform takes."""
    if not {model.id for model in fleet.nameable()}.issuperset(model_ids):
        raise BattleError("This model is not available now. Please choose another one.")
    if len(set(model_ids)) < len(model_ids):
        raise BattleError("Choose two different models.")
    if not (0 <= sampling.temperature <= 2 and 0 < sampling.top_p <= 1):
        raise BattleError("Temperature must be from 0 to 2, and top-p above 0 and at most 1.")
    if not 1 <= sampling.max_new_tokens <= MOST_NEW_TOKENS:
        raise BattleError(f"The answer's length must be from 1 to {MOST_NEW_TOKENS:,} tokens.")
