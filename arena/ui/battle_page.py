"""The Battle page: a challenge, two unnamed answers, a vote, and then the names."""

import random
from collections.abc import AsyncGenerator

import gradio as gr

from arena.database import Side
from arena.ui.composer import Composer
from arena.ui.context import PageContext
from arena.ui.desk import AT_ONCE, STREAMING, Desk
from arena.ui.html import fragment, render
from arena.ui.stage import Stage, Updates, Wording

_HINT = "Keys: A, B, T for a tie, X for both bad, N for a new battle"
_IDLE = ("The first answer appears here, unsigned.", "The second appears here, beside it.")


def build_battle_page(context: PageContext) -> None:
    """Lay the page out and wire it."""
    _BattlePage(context).wire()


class _BattlePage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._challenges = {challenge.text: challenge.id for challenge in context.challenges}
        hero = fragment(render("battle_intro.html"), elem_id="hero")
        self._readiness = fragment(elem_id="readiness")
        with gr.Column(elem_id="notes", render=False) as notes:
            fragment(render("battle_notes.html"))
        self._composer = Composer(
            "Your challenge", "Ask for something that is not there yet…", around=(hero, notes, self._readiness)
        )
        with self._composer.actions:
            self._surprise = gr.Button("Surprise me", elem_id="surprise", elem_classes=["quiet"], scale=0)
            self._send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=120)
        stage = Stage(Wording(context.settings.question, _HINT, _IDLE))
        notes.render()
        self._desk = Desk(context, self._composer, stage)

    def wire(self) -> None:
        """Connect every button and the page's loading."""
        desk, stage = self._desk, self._desk.stage
        desk.wire()
        desk.wire_next(self._next)
        prompt = self._composer.prompt
        gr.on([self._send.click, prompt.submit], self._fight, [prompt], desk.outputs, **STREAMING)
        stage.run_again.click(self._fight, [stage.again], desk.outputs, **STREAMING)
        self._surprise.click(self._surprising, [prompt], [prompt], **AT_ONCE)
        for side, button in zip(Side, stage.continues, strict=True):
            button.click(lambda side=side: stage.ask_next(side), None, desk.outputs, **AT_ONCE)
        gr.on(None, self._restore, None, desk.outputs, **AT_ONCE)

    async def _fight(self, prompt: str, request: gr.Request) -> AsyncGenerator[Updates]:
        voter = self._context.voter(request)
        views = self._context.arena.fight(prompt, voter, challenge_id=self._challenges.get(prompt.strip()))
        async for frame in self._desk.stream(views):
            yield frame

    async def _next(self, prompt: str, battle: str, side: str, request: gr.Request) -> AsyncGenerator[Updates]:
        desk = self._desk
        views = desk.continue_from(prompt, battle, side, request) if side else desk.follow_up(prompt, battle, request)
        async for frame in desk.stream(views):
            yield frame

    def _surprising(self, prompt: str) -> str:
        others = [text for text in self._challenges if text != prompt]
        return random.choice(others) if others else prompt  # noqa: S311 - a surprise, not a secret

    async def _restore(self, request: gr.Request) -> Updates:
        restored = await self._context.arena.restore(self._context.voter(request))
        if restored.view is not None:
            return self._desk.show(restored.view)
        return {**self._composer.clear(restored.prompt), **self._ready()}

    def _ready(self) -> Updates:
        enough = len(self._context.fleet.drawable()) >= 2
        return {self._readiness: "" if enough else render("no_models.html", needed="A battle needs two")}
