"""Somebody with a script whose requests carry headers of their own."""

from collections.abc import Mapping

from tests.scripted_visitor import ScriptedVisitor


class Stranger(ScriptedVisitor):
    """One visitor without a browser, behind a proxy or with a forged cookie."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(url, headers=headers or {})
