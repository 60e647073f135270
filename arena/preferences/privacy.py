"""Does a text hold a person's address or number, or somebody's key? Pure.

Telephone numbers are told by `phonenumbers`, keys by the forms of `detect_secrets` (those of keys alone: its
guesses from entropy or variable names hold back too much prose) and a few forms it lacks.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Protocol

import phonenumbers

_KINDS = (
    "aws",
    "azure_storage_key",
    "basic_auth",
    "discord",
    "github_token",
    "gitlab_token",
    "jwt",
    "mailchimp",
    "npm",
    "openai",
    "private_key",
    "pypi_token",
    "sendgrid",
    "slack",
    "square_oauth",
    "stripe",
    "telegram_token",
    "twilio",
)
"""Plugins of `detect_secrets`, imported when the first suspicious word is met (0.2 s)."""

_EMAIL = re.compile(r"[\w.+-]+@((?:[\w-]+\.)+[a-z]{2,})", re.IGNORECASE)
_FICTIONAL = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)
"""Domains that belong to nobody (RFC 2606)."""
_MANY_DIGITS = re.compile(r"(?<![\w/.])\+?\(?\d(?:[ ().\-]{0,3}\d){6,}")
_DIGITS = re.compile(r"\d(?:[ ().\-]{0,3}\d){6}")
"""Stands in whatever `_MANY_DIGITS` finds, and is found three times as fast, for it begins with a digit."""
_REGION = "US"
"""Numbers without a country's prefix are read as North American ones; all others need theirs."""
_FURTHER_KEYS = re.compile(
    r"\bAIza[\w-]{35}|\bsk-(?:ant|proj|svcacct|or)-[\w-]{20,}|\bsk-[A-Za-z0-9]{40,}|\bhf_[A-Za-z0-9]{30,}|\bya29\.[\w-]{20,}"
    r"|\bgithub_pat_\w{30,}"
)
_SHORTEST_KEY = 20
_LONG_WORD = re.compile(rf"\S{{{_SHORTEST_KEY},}}")
_UP_TO_A_LONG_WORD = re.compile(rf"(?:\S{{0,{_SHORTEST_KEY - 1}}}+\s)*+\S{{{_SHORTEST_KEY}}}")
"""Matches a text with a `_LONG_WORD`, reading each character once."""
_BESIDE = 80
"""Characters on both sides of a long word: a key may be told by the name it is given."""


class Detector(Protocol):
    """A plugin of `detect_secrets`."""

    def analyze_string(self, string: str) -> Iterator[str]:
        """The secrets in the text."""


def personal_data(text: str) -> str | None:
    """What kind of personal data is in the text: `key`, `email` or `phone`; `None` if there is none."""
    if has_key(text):
        return "key"
    if has_email(text):
        return "email"
    return "phone" if has_phone(text) else None


def has_email(text: str) -> bool:
    """Whether an address stands in the text whose domain could be somebody's."""
    return "@" in text and any(not _FICTIONAL.search(found[1]) for found in _EMAIL.finditer(text))


def has_phone(text: str) -> bool:
    """Whether a telephone number stands in the text that exists by its country's numbering plan."""
    return _DIGITS.search(text) is not None and any(
        phonenumbers.PhoneNumberMatcher(found.group(), _REGION).has_next() for found in _MANY_DIGITS.finditer(text)
    )


def has_key(text: str) -> bool:
    """Whether a key, token or password to some service stands in the text."""
    return any(
        _FURTHER_KEYS.search(place)
        or any(next(iter(detector.analyze_string(place)), None) for detector in _detectors())
        for place in _suspicious(text)
    )


def _suspicious(text: str) -> Iterator[str]:
    """The few places that may hold a key, so that most of a text is never looked at by all detectors."""
    if _UP_TO_A_LONG_WORD.match(text):
        for word in _LONG_WORD.finditer(text):
            yield text[max(0, word.start() - _BESIDE) : word.end() + _BESIDE]
    if "PRIVATE KEY" in text or ("://" in text and "@" in text):
        yield text


@cache
def _detectors() -> tuple[Detector, ...]:
    modules = (import_module(f"detect_secrets.plugins.{name}") for name in _KINDS)
    return tuple(
        kind()
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "denylist")
    )
