"""What Gradio prints of errors, told as the arena tells its own: Gradio prints what a visitor sent with them."""

import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace

from gradio import queueing, route_utils, routes

from arena.mistakes import Mistakes


def tell_errors(refused: Callable[[str, str], None]) -> None:
    """From now on log and count errors in handlers, where Gradio would print them with all that led to them."""
    mistakes = Mistakes()

    def print_exc() -> None:
        error = sys.exc_info()[1]
        if error is not None:
            mistakes.tell(error)
            refused("mistake", "")

    for module in (queueing, routes, route_utils):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": print_exc})  # type: ignore[attr-defined]
