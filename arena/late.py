"""What others import or do at once, and the arena needs late or never: tens of MB, and seconds at each start."""

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
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


def replace_at_import(module: str, name: str, function: Callable[..., object]) -> None:
    """Let `function` take the place of `module`'s own `name` as soon as the module is there; once for each module."""
    if module in sys.modules:
        setattr(sys.modules[module], name, function)
    elif not any(isinstance(finder, _Replacing) and finder.module == module for finder in sys.meta_path):
        sys.meta_path.insert(0, _Replacing(module, name, function))


class _Replacing(MetaPathFinder):
    """Finds one module where it always is, and gives it another function once it has run."""

    def __init__(self, module: str, name: str, function: Callable[..., object]) -> None:
        self.module = module
        self._name = name
        self._function = function

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, for that module only."""
        if fullname != self.module or (spec := PathFinder.find_spec(fullname, path, target)) is None:
            return None
        loader = spec.loader
        if loader is not None:
            run = loader.exec_module

            def run_and_replace(module: ModuleType) -> None:
                run(module)
                setattr(module, self._name, self._function)

            loader.exec_module = run_and_replace  # type: ignore[method-assign]
        return spec
