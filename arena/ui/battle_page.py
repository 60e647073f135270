"""The Battle page: a challenge, two unnamed answers, a vote, and then the names."""

import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr

from arena.errors import ArenaError
from arena.tables import Side
from arena.ui.composer import Composer
from arena.ui.context import PageContext
from arena.ui.desk import Desk
from arena.ui.html import fragment, render
from arena.ui.readiness import LOOK_AGAIN_S, readiness
from arena.ui.stage import Stage, Updates, Wording
from arena.ui.wiring import AT_ONCE, STREAMING

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
        self._waiting = gr.Timer(LOOK_AGAIN_S, active=False)
        with gr.Column(elem_id="notes", render=False) as notes:
            fragment(render("battle_notes.html"))
        self._composer = Composer(
            "Your challenge", "Ask for something that is not there yet…", around=(hero, notes, self._readiness)
        )
        with self._composer.actions:
            self._surprise = gr.Button("Surprise me", elem_id="surprise", elem_classes=["quiet"], scale=0)
            self._send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=120)
        stage = Stage(Wording(context.settings.question, _HINT, _IDLE, context.rubric))
        notes.render()
        self._desk = Desk(context, self._composer, stage)

    def wire(self) -> None:
        """Connect every button and the page's loading."""
        desk, stage = self._desk, self._desk.stage
        desk.wire()
        desk.wire_next(self._next)
        prompt = self._composer.prompt
        gr.on([self._send.click, prompt.submit], self._fight, [prompt], desk.outputs, **STREAMING)
        stage.run_again.click(self._again, [stage.again, stage.origin], desk.outputs, **STREAMING)
        self._surprise.click(self._surprising, [prompt], [prompt], **AT_ONCE)
        for side, button in zip(Side, stage.continues, strict=True):
            button.click(lambda side=side: stage.ask_next(side), None, desk.outputs, **AT_ONCE)
        gr.on(None, self._restore, None, desk.outputs, **AT_ONCE)
        gr.on(None, self._look, None, [self._readiness, self._waiting], **AT_ONCE)
        self._waiting.tick(self._look, None, [self._readiness, self._waiting], **AT_ONCE)

    async def _fight(self, prompt: str, request: gr.Request) -> AsyncGenerator[Updates]:
        voter = self._context.voter(request)
        views = self._context.arena.fight(prompt, voter, challenge_id=self._challenges.get(prompt.strip()))
        async with aclosing(self._desk.stream(views)) as frames:
            async for frame in frames:
                yield frame

    async def _next(self, prompt: str, battle: str, side: str, request: gr.Request) -> AsyncGenerator[Updates]:
        """A follow-up to both models, or a new battle that goes on from one side's answer."""
        if side:
            frames = self._continue(prompt, f"{battle}/{side}", request)
        else:
            frames = self._desk.stream(self._desk.follow_up(prompt, battle, request), further=prompt)
        async with aclosing(frames):
            async for frame in frames:
                yield frame

    async def _again(self, prompt: str, origin: str, request: gr.Request) -> AsyncGenerator[Updates]:
        """Run a void battle's prompt again, with the history that it had."""
        async with aclosing(
            self._continue(prompt, origin, request) if origin else self._fight(prompt, request)
        ) as frames:
            async for frame in frames:
                yield frame

    async def _continue(self, prompt: str, origin: str, request: gr.Request) -> AsyncGenerator[Updates]:
        battle, _, side = origin.partition("/")
        if side not in {known.value for known in Side}:
            yield self._desk.stage.refuse("This battle cannot be continued.")
            return
        views = self._context.arena.continue_from(battle, Side(side), prompt, self._context.voter(request))
        async with aclosing(self._desk.stream(views)) as frames:
            async for frame in frames:
                yield {**frame, self._desk.stage.origin: origin}

    def _surprising(self, prompt: str) -> str:
        others = [text for text in self._challenges if text != prompt]
        return random.choice(others) if others else prompt  # noqa: S311 - a surprise, not a secret

    async def _restore(self, request: gr.Request) -> Updates:
        try:
            restored = await self._context.arena.restore(self._context.voter(request))
        except ArenaError as error:
            return self._desk.stage.refuse(str(error))
        if restored.view is None and not restored.prompt:
            # An empty box would wipe what was typed while the page was still loading.
            return {self._composer.prompt: gr.skip()}
        if restored.view is None:
            return self._composer.clear(restored.prompt)
        turn = self._desk.stage.ask_next(None, restored.prompt) if restored.prompt else {}
        return {**self._desk.show(restored.view), **turn}

    def _look(self) -> Updates:
        enough = len(self._context.fleet.drawable()) >= 2
        return readiness(self._readiness, self._waiting, enough, "A battle needs two", self._context.keeper.note)
