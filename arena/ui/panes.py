"""The two answer panes: how a conversation is shown so that a model's text cannot pretend to be the page."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import gradio as gr

from arena.battle import TurnView
from arena.tables import Side
from arena.ui.html import fragment, render

SIDES = (Side.A, Side.B)

_LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
    {"left": "$", "right": "$", "display": False},
]
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
MOST_EMPHASIS = 2_000
"""Asterisks and underscores in one paragraph; browsers match them in a time that grows with the square."""
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


def conversation(elem_id: str, *, visible: bool = True) -> gr.Chatbot:
    """A place for messages made by `said` and `asked`, without any of the Chatbot's own furniture."""
    return gr.Chatbot(
        elem_id=elem_id,
        elem_classes=["conversation"],
        show_label=False,
        container=False,
        height="auto",
        autoscroll=False,
        layout="panel",
        buttons=[],
        feedback_options=None,
        latex_delimiters=_LATEX,
        sanitize_html=True,
        allow_tags=False,
        group_consecutive_messages=False,
        visible=visible,
    )


def pane(side: Side, idle: str) -> tuple[gr.Markdown, gr.Chatbot]:
    """Lay out one side's pane: its heading and its conversation. The script names it as a region for screen readers."""
    with gr.Column(elem_id=f"pane-{side.value}", elem_classes=["pane"], min_width=280):
        head = fragment(heading(side, idle=idle), elem_id=f"head-{side.value}")
        return head, conversation(f"answer-{side.value}")


@lru_cache(maxsize=64)
def heading(side: Side, *, title: str = "", detail: str = "", state: str = "", idle: str = "") -> str:
    """A pane's heading; without a `title` the model is just 'Model A' or 'Model B'."""
    letter = side.value.upper()
    return render(
        "pane_head.html", letter=letter, title=title or f"Model {letter}", detail=detail, state=state, idle=idle
    )


def messages(turns: Sequence[TurnView], side: int) -> list[dict[str, Any]]:
    """One side's conversation as messages. The first prompt is not among them: it stands above both panes."""
    shown: list[dict[str, Any]] = []
    for number, turn in enumerate(turns):
        if number:
            shown.append(asked(turn.prompt))
        if turn.answers[side]:
            shown.append(said(turn.answers[side]))
    return shown


def said(text: str) -> dict[str, Any]:
    """A model's message, shown as the Markdown it is (the browser sanitises it), unless that would hang the page."""
    return _message("assistant", _spelled_out(text) if _too_emphatic(text) else text)


def asked(text: str) -> dict[str, Any]:
    """A visitor's message, shown as typed."""
    return _message("user", _spelled_out(text))


def _spelled_out(text: str) -> str:
    """Spell every character that could mean something to Markdown."""
    spelled = _PUNCTUATION.sub(lambda character: f"&#{ord(character.group())};", text)
    return _INDENT.sub(lambda indent: "&nbsp;" * len(indent.group().expandtabs(4)), spelled)


def _too_emphatic(text: str) -> bool:
    """Whether a paragraph has so many marks of emphasis that matching them keeps a browser busy for minutes."""
    if text.count("*") + text.count("_") <= MOST_EMPHASIS:
        return False
    return any(part.count("*") + part.count("_") > MOST_EMPHASIS for part in _PARAGRAPHS.split(text))


def _message(role: str, text: str) -> dict[str, Any]:
    """A message in the form in which the Chatbot takes it without postprocessing (which would reindent the text)."""
    return {"role": role, "metadata": None, "content": [{"text": text, "type": "text"}], "options": None}
