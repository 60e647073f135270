"""How an answer looks: its length and its Markdown, counted outside code; pure."""

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_LIST_ITEM = re.compile(r"^[ \t>]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE)
_BOLD = re.compile(r"(?<!\*)\*\*(?=[^\s*])[^*\n]*(?<=\S)\*\*|(?<!\w)__(?=[^\s_])[^_\n]*(?<=\S)__(?!\w)")


@dataclass(frozen=True, slots=True)
class AnswerLook:
    """What a reader sees of an answer before reading it."""

    characters: int
    headings: int
    lists: int
    """List items of any depth."""
    bold: int
    """Bold passages."""


def measure(text: str) -> AnswerLook:
    """Measure an answer, in time proportional to its length. Code counts for the length alone."""
    prose = _INLINE_CODE.sub("", _outside_fences(text))
    return AnswerLook(
        characters=len(text.strip()),
        headings=len(_HEADING.findall(prose)),
        lists=len(_LIST_ITEM.findall(prose)),
        bold=len(_BOLD.findall(prose)),
    )


def _outside_fences(text: str) -> str:
    """The text without fenced code; a fence that is never closed reaches to the end, as in CommonMark."""
    if "```" not in text and "~~~" not in text:
        return text
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1][0] == fence[0] and len(mark[1]) >= len(fence) and not line[mark.end() :].strip()
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        else:
            kept.append(line)
    return "\n".join(kept)
