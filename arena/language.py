"""Which language a prompt is written in, told by py3langid's model of 140 languages."""

import threading
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

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
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - 35 MB that a start need not wait for

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _method() -> str:
    return f"py3langid {version('py3langid')}"
