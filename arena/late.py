"""Packages that others import at once, and the arena needs late or never: tens of MB of no use to any visitor."""

import importlib
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

_one_at_a_time = threading.RLock()


def import_without(package: str, *put_off: str) -> None:
    """Import `package`, but of the modules `put_off`, which it imports itself, each only once something of it is used.

    `package` then works as ever: what it took from those modules loads them when it is called or looked up. Modules
    that are there already, and whoever imports them afterwards, get the real ones.
    """
    with _one_at_a_time:
        if package in sys.modules:
            return
        stand_ins = [_StandIn(name) for name in put_off if name not in sys.modules]
        sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
        try:
            importlib.import_module(package)
        finally:
            for stand_in in stand_ins:
                with suppress(KeyError):
                    del sys.modules[stand_in.__name__]


class _StandIn(ModuleType):
    """Stands for a module while another one is imported, and for whoever took it then."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module holds
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return _called_later(self.__name__, name)
        return getattr(importlib.import_module(self.__name__), name)


def _called_later(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call
