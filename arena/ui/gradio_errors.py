"""Errors in handlers, told as the arena tells its own: Gradio prints what a visitor sent with them."""

import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from gradio import route_utils, routes
from gradio.exceptions import Error
from gradio.utils import error_payload

from arena.mistakes import Mistakes


def teller(refused: Callable[[str, str], None]) -> Callable[[BaseException], None]:
    """What logs an error in a handler, and counts it."""
    mistakes = Mistakes()

    def tell(error: BaseException) -> None:
        mistakes.tell(error)
        refused("mistake", "")

    return tell


def answer_to(error: BaseException, tell: Callable[[BaseException], None], show_error: bool) -> dict[str, Any]:
    """What a page is answered where its handler failed; `tell` hears of it unless it is for the visitor alone.

    Which errors are for visitors, and what they read of others, is Gradio's decision.
    """
    if not isinstance(error, Error) or error.print_exception:
        tell(error)
    return error_payload(error, show_error)


def tell_printed_errors(tell: Callable[[BaseException], None]) -> None:
    """From now on `tell` the errors that Gradio's own code would print with all that led to them."""

    def print_exc() -> None:
        error = sys.exc_info()[1]
        if error is not None:
            tell(error)

    for module in (routes, route_utils):
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": print_exc})  # type: ignore[attr-defined]
