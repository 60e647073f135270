"""What Gradio prints of errors, told as the arena tells its own: Gradio prints what a visitor sent with them."""

import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace

from gradio import queueing, route_utils, routes

from arena.mistakes import Mistakes


def teller(refused: Callable[[str, str], None]) -> Callable[[BaseException], None]:
    """What logs an error in a handler, and counts it."""
    mistakes = Mistakes()

    def tell(error: BaseException) -> None:
        mistakes.tell(error)
        refused("mistake", "")

    return tell


def tell_errors(tell: Callable[[BaseException], None]) -> None:
    """From now on `tell` errors in handlers, where Gradio would print them with all that led to them."""

    def print_exc() -> None:
        error = sys.exc_info()[1]
        if error is not None:
            tell(error)

    for module in (queueing, routes, route_utils):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": print_exc})  # type: ignore[attr-defined]
