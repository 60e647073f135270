"""HTML from templates, always escaped, in a form that Gradio shows without evaluating code.

Gradio's HTML component compiles its content as a JavaScript template, which the pages' content policy forbids. Its
Markdown component passes a block of HTML through untouched as long as it holds no empty line. So templates are rendered
onto one line, and line breaks in values become character references.
"""

import re
from functools import lru_cache

import gradio as gr
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_SHORT = 200
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that let what follows be read backwards: in a name they would turn the arena's own words around."""


def _on_one_line(value: object) -> object:
    """Escape a value and spell its line breaks so that they cannot end a block of HTML."""
    if value is None or isinstance(value, Markup):
        return value
    spelled = _TURNED.sub("", str(escape(value)))
    return Markup(spelled.replace("\r\n", "&#10;").replace("\r", "&#10;").replace("\n", "&#10;"))  # noqa: S704


_TEMPLATES = Environment(
    loader=PackageLoader("arena.ui"),
    auto_reload=False,  # else each rendering asks the system whether its file has changed
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_on_one_line,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """Render `arena/ui/templates/<template>` onto one line; every value is escaped.

    The template's outermost element must be a block (`div`, `section`, …).
    """
    if all(type(value) is str and len(value) < _SHORT for value in values.values()):  # Markup is another type
        return _rendered(template, tuple(values.items()))
    return _on_a_line(document(template, **values))


@lru_cache(maxsize=512)
def _rendered(template: str, values: tuple[tuple[str, object], ...]) -> str:
    """What short texts make of a template: a state, a question, a heading, all shown again and again."""
    return _on_a_line(document(template, **dict(values)))


def _on_a_line(html: str) -> str:
    return " ".join(line.strip() for line in html.splitlines() if line.strip())


def document(template: str, **values: object) -> str:
    """Render a template as it is, line breaks and all: for what is served, not shown through Gradio."""
    return _TEMPLATES.get_template(template).render(values)


def fragment(
    html: str = "", *, elem_id: str | None = None, classes: tuple[str, ...] = (), visible: bool = True
) -> gr.Markdown:
    """A place on a page for HTML made by `render`; it takes such HTML as its value.

    All that it shows was escaped by its template, so the browser does not sanitise it again, which would open every
    link in a new tab.
    """
    return gr.Markdown(
        html,
        elem_id=elem_id,
        elem_classes=["fragment", *classes],
        sanitize_html=False,
        latex_delimiters=[],
        container=False,
        visible=visible,
    )
