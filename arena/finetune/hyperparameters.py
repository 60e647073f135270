"""What may be chosen about a training run: which settings a platform takes for which method, and their values. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from arena.errors import ConfigError
from arena.finetune.platform import Method, PlatformName
from arena.roster import PLATFORM_NAMES

AUTO = "auto"
"""The platform chooses; nothing is sent."""
Value = int | float
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One setting."""

    name: str
    """The platform's word for it."""
    label: str
    """What people read; the same for the same thing at another platform."""
    accepted: str
    """What it may be, in words."""
    read: Callable[[str], Value | None]
    """The value that a text stands for; `None` if it stands for none."""
    of: frozenset[Method] = frozenset({"preference", "supervised"})
    """The methods that have it."""


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < _DIGITS and int(text) > 0 else None


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < inf else None


def _adapter_size(text: str) -> int | None:
    return int(text) if text in ("1", "2", "4", "8", "16") else None


def _beta() -> Hyperparameter:
    accepted = "a number above 0, such as 0.1"
    return Hyperparameter("beta", "Beta", accepted, _positive, frozenset({"preference"}))


EPOCHS = "Epochs"


def _epochs(name: str) -> Hyperparameter:
    return Hyperparameter(name, EPOCHS, "a whole number from 1 on", _whole)


def _rate() -> Hyperparameter:
    accepted = "a number above 0, such as 0.5"
    return Hyperparameter("learning_rate_multiplier", "Learning rate multiplier", accepted, _positive)


_ALL: Mapping[str, Sequence[Hyperparameter]] = {
    "openai": (
        _epochs("n_epochs"),
        _beta(),
        _rate(),
        Hyperparameter("batch_size", "Batch size", "a whole number from 1 on", _whole),
    ),
    "vertex": (
        _epochs("epoch_count"),
        _beta(),
        _rate(),
        Hyperparameter("adapter_size", "Adapter size", "1, 2, 4, 8 or 16", _adapter_size),
    ),
}
LABELS = tuple(dict.fromkeys(one.label for offered in _ALL.values() for one in offered))


def hyperparameters_of(platform: str, method: str) -> Sequence[Hyperparameter]:
    """What the platform lets people choose for this method."""
    return [one for one in _ALL[platform] if method in one.of]


def in_words(platform: str, method: str, chosen: Mapping[str, Any]) -> str:
    """Every setting that the method has, with its value."""
    offered = hyperparameters_of(platform, method)
    return ", ".join(f"{one.label.lower()} {chosen.get(one.name, AUTO)}" for one in offered)


def choose_hyperparameters(
    platform: PlatformName, method: Method, configured: Mapping[str, Any], wished: Mapping[str, Any]
) -> dict[str, Value]:
    """What is sent: the wishes over what the configuration says; what is `auto` or `None` is left to the platform.

    The configuration is for all methods of a model: what this one lacks is passed over there, and refused in a wish.

    Raises:
        ConfigError: the platform has no such setting, or a value is none of it; says which are accepted.

    """
    known = {one.name: one for one in hyperparameters_of(platform, method)}
    elsewhere = {one.name for one in _ALL[platform]} - set(known)
    asked = {**{name: value for name, value in configured.items() if name not in elsewhere}, **wished}
    if unknown := sorted(set(asked) - set(known)):
        raise ConfigError(
            f"{', '.join(unknown)}: no hyperparameter of {method} tuning at {PLATFORM_NAMES[platform]}; "
            f"accepted are {', '.join(sorted(known))}."
        )
    read = {name: _read(one, asked[name]) for name, one in known.items() if name in asked}
    return {name: value for name, value in read.items() if value is not None}


def _read(hyperparameter: Hyperparameter, given: object) -> Value | None:
    text = "" if given is None else str(given).strip().lower()
    if text in ("", AUTO):
        return None
    value = hyperparameter.read(text)
    if value is None:
        raise ConfigError(f"{hyperparameter.label} must be {hyperparameter.accepted}, or {AUTO}, not “{given}”.")
    return value
