"""What a page says while too few models can be asked, and how it finds out that this has changed."""

import gradio as gr

from arena.ui.html import render
from arena.ui.stage import Updates

LOOK_AGAIN_S = 4.0
"""How often a page that waits for models asks again; a page that has them does not ask."""


def readiness(place: gr.Markdown, timer: gr.Timer, ready: bool, needed: str, note: str | None = None) -> Updates:
    """Say in `place` what is missing and let `timer` look again, or stop both; with all there, say `note` if any."""
    noted = render("notice.html", kind="plain", text=note) if note else ""
    return {
        place: noted if ready else render("no_models.html", needed=needed),
        timer: gr.update(active=not ready),
    }
