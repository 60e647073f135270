"""What a page shows from its first moment: written into the page as it is served, before any event of it has run."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import orjson
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

log = logging.getLogger(__name__)

Opening = Callable[[Request], Awaitable[Mapping[str, str]]]
"""Values for the page that is asked for, by the names that `to_come` was given."""


PATIENCE_S = 0.5
"""How long a page waits for its first values, as after a restart; without them its own first event brings them."""


def to_come(name: str) -> str:
    """The value that a component is built with whose first value comes with each page; shows nothing by itself."""
    return f"<!-- {name} -->"


async def opened(html: str, opening: Opening, request: Request) -> str:
    """A page as Gradio serves it, with its first values in it; without any where they cannot be had soon."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            values = await opening(request)
    except TimeoutError:
        return html
    except SQLAlchemyError:
        log.warning("A page is served without its first values", exc_info=True)
        return html
    for name, value in values.items():
        html = html.replace(_as_script(to_come(name)), _as_script(value))
    return html


def _as_script(value: str) -> str:
    """JSON as Gradio writes it into a page's script: nothing in it ends the script."""
    text = orjson.dumps(value).decode()
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
