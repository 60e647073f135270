"""One pure writer for each format: a lesson becomes the lines that its readers take, as they published it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arena.preferences.formats.kto import kto_lines
from arena.preferences.formats.openai import openai_lines
from arena.preferences.formats.sft import sft_lines
from arena.preferences.formats.trl import trl_lines
from arena.preferences.formats.vertex import vertex_lines
from arena.preferences.manifest import FileFormat
from arena.preferences.pairs import Lesson

Line = Mapping[str, Any]

FORMATS: Mapping[FileFormat, Callable[[Lesson], Sequence[Line]]] = {
    "openai": openai_lines,
    "vertex": vertex_lines,
    "trl": trl_lines,
    "kto": kto_lines,
    "sft": sft_lines,
}
"""Each writer gives one line for a pair (`kto`: two); for two bad examples none but `kto`, which gives two."""
