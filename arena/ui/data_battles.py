"""The battles behind a count, with what was asked and answered; any can be withheld from training, or released."""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from arena.errors import ArenaError
from arena.pair_battles import FoundBattle, read_battles
from arena.preferences.gates import SENTENCES
from arena.preferences.withholding import reasons_of, release, withhold
from arena.ui.context import PageContext
from arena.ui.data_pairs import KEPT
from arena.ui.html import fragment, render
from arena.ui.wiring import LISTENING

_BEGINNING = 60
"""Characters of a prompt that a choice shows."""


class BattlesSection:
    """The section and its handlers."""

    def __init__(self, context: PageContext, locked: Callable[[], dict[Any, Any]]) -> None:
        self._context = context
        self._locked = locked
        self._body = fragment(elem_id="data-battles")
        with gr.Column(visible=False, elem_classes=["data-desk"]) as self._form:
            self._battle = gr.Dropdown(
                [], label="Battle", elem_classes=["choice"], filterable=False, interactive=True, elem_id="which-battle"
            )
            self._reason = gr.Textbox(label="Why it is withheld", max_lines=3)
            with gr.Row():
                self._withhold = gr.Button("Withhold from training", elem_id="withhold", size="sm")
                self._release = gr.Button("Release", elem_id="release", size="sm")
        self._said = fragment(elem_id="data-battle-said")
        self.components: list[Any] = [
            *(self._body, self._form, self._battle, self._reason, self._withhold, self._release, self._said)
        ]

    def wire(self, outputs: list[Any]) -> None:
        """Connect the buttons."""
        self._withhold.click(self._take_out, [self._battle, self._reason], outputs, **LISTENING)
        self._release.click(self._let_in, [self._battle], outputs, **LISTENING)

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {
            self._body: "",
            self._form: gr.update(visible=False),
            self._battle: gr.update(choices=[], value=None),
            self._said: "",
        }

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The list, and the form below it."""
        html, battles = await self._read(asked)
        choices = [(f"{place}. {_beginning(battle)}", battle.id) for place, battle in enumerate(battles, start=1)]
        return {
            self._body: html,
            self._form: gr.update(visible=bool(battles)),
            self._battle: gr.update(choices=choices, value=choices[0][1] if choices else None),
        }

    async def renew(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The list."""
        return {self._body: (await self._read(asked))[0]}

    async def _read(self, asked: Mapping[str, str]) -> tuple[str, list[FoundBattle]]:
        database, desk = self._context.database, self._context.preferences
        reason, page = asked["reason"], asked["page"]
        found = None
        ids = [asked["battle"]]
        if not asked["battle"]:
            number = int(page) if page.isdecimal() and len(page) < 10 else 1
            found = await database.run(desk.battles, None if reason == KEPT else reason, number)
            ids = list(found.battles)
        battles = list(await database.run(read_battles, database, ids))
        withheld = await database.run(reasons_of, database, ids)
        title = (
            "One battle" if found is None else "Kept" if reason == KEPT else SENTENCES.get(reason, "No such reason.")
        )
        html = render("data_battles.html", title=title, found=found, reason=reason, battles=battles, withheld=withheld)
        return html, battles

    async def _take_out(self, battle: str | None, reason: str, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        said = "Withheld: it goes into no file from now on; its vote counts as before. “Look again” counts anew."
        return await self._settle(request, said, withhold, battle or "", reason)

    async def _let_in(self, battle: str | None, request: gr.Request) -> dict[Any, Any]:
        if not self._context.is_operator(request):
            return self._locked()
        said = "Released: it may go into files again. “Look again” counts anew."
        return await self._settle(request, said, release, battle or "")

    async def _settle(self, request: gr.Request, said: str, change: Callable[..., None], *given: str) -> dict[Any, Any]:
        try:
            await self._context.database.run(change, self._context.database, *given)
        except ArenaError as error:
            return {self._said: render("notice.html", text=str(error), kind="refused")}
        asked = {name: str(request.query_params.get(name, "")) for name in ("reason", "page", "battle")}
        return {**await self.renew(asked), self._said: render("notice.html", text=said, kind="done"), self._reason: ""}


def _beginning(battle: FoundBattle) -> str:
    prompt = " ".join(battle.read.turns[-1].prompt.split()) if battle.read.turns else battle.id
    return prompt if len(prompt) <= _BEGINNING else f"{prompt[:_BEGINNING]}…"
