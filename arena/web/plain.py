"""Pages without Gradio: small forms in the arena's own colours."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

_TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_TOKENS = Path(__file__).parent.parent / "ui" / "assets" / "tokens.css"
NEVER_STORED = {"Cache-Control": "no-store"}
"""Headers of what is one visitor's own, or changes with the next vote."""


def plain_page(template: str, **values: object) -> str:
    """Render a page; every value is escaped."""
    return _TEMPLATES.get_template(template).render(colours=_colours(), **values)


@cache
def _colours() -> str:
    """The arena's colours for a page without Gradio's theme switch: dark where the reader's system is."""
    light, _, dark = _TOKENS.read_text(encoding="utf-8").partition(".dark {")
    return light + "@media (prefers-color-scheme: dark) { :root {" + dark.rstrip() + " }"
