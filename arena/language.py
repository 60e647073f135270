"""Which language a prompt is written in, told by py3langid's model of 140 languages."""

import threading
from array import array
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from arena.packed import Stretches

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SURE_ENOUGH = 0.5
"""Least probability with which a language is believed; two or three words of most languages stay below it."""

_ENOUGH_CHARACTERS = 2_000
_loading = threading.Lock()


def tell_language(text: str) -> tuple[str | None, str]:
    """The ISO 639 code of `text`'s language, or `None` where it is too short to tell; and the method with its version.

    Blocking, and the first call loads the model for a second or two: call it in a thread.
    """
    code, probability = _identifier().classify(text[:_ENOUGH_CHARACTERS])
    return (str(code) if probability >= SURE_ENOUGH else None), _method()


def _identifier() -> "LanguageIdentifier":
    with _loading:  # two battles at once must not both load it
        return _loaded()


@cache
def _loaded() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - a start need not wait for it
    from py3langid.modelio import load_model  # noqa: PLC0415

    weights, priors, codes, steps, rows, features = load_model(MODEL_DIR / MODEL_FILE)
    # What the detector does at each byte takes 39 MB as it comes and 5 MB so, and tells the same.
    steps, features = Stretches(steps), array("i", features)
    return LanguageIdentifier(weights, priors, codes, steps, features, norm_probs=True, tk_row=rows)


@cache
def _method() -> str:
    return f"py3langid {version('py3langid')}"
