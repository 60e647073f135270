"""The Side by side page: two models of the visitor's choice, the same four votes, never rated."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from arena.errors import ArenaError
from arena.ui.composer import Composer
from arena.ui.context import PageContext
from arena.ui.desk import Desk
from arena.ui.html import fragment, render
from arena.ui.readiness import LOOK_AGAIN_S, readiness
from arena.ui.sampling import model_choice, name_of, read_sampling, ready_models, sampling_fold
from arena.ui.stage import Stage, Updates, Wording
from arena.ui.wiring import AT_ONCE, STREAMING

_HINT = "You know who answers here: this vote moves no rating. Keys: A, B, T for a tie, X for both bad"
_IDLE = ("The first model’s answer appears here.", "The second model’s answer appears here.")


def build_side_by_side_page(context: PageContext) -> None:
    """Lay the page out and wire it."""
    _SideBySidePage(context).wire()


class _SideBySidePage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        hero = fragment(render("side_by_side_intro.html"), elem_id="hero")
        self._readiness = fragment(elem_id="readiness")
        self._waiting = gr.Timer(LOOK_AGAIN_S, active=False)
        with gr.Row(elem_id="choices") as choices:
            self._models = [model_choice("Model A", "choice-a"), model_choice("Model B", "choice-b")]
        self._composer = Composer("Your prompt", "Ask both models…", around=(hero, choices, self._readiness))
        with self._composer.fold:
            self._sampling = sampling_fold()
        with self._composer.actions:
            self._send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=120)
        stage = Stage(
            Wording(context.settings.question, _HINT, _IDLE, context.rubric, fresh="New comparison", can_continue=False)
        )
        self._desk = Desk(context, self._composer, stage)

    def wire(self) -> None:
        """Connect every button and the page's loading."""
        desk, stage = self._desk, self._desk.stage
        desk.wire()
        desk.wire_next(self._next, [*self._models])
        controls = [*self._models, *self._sampling.inputs]
        prompt = self._composer.prompt
        gr.on([self._send.click, prompt.submit], self._fight, [prompt, *controls], desk.outputs, **STREAMING)
        stage.run_again.click(self._fight, [stage.again, *controls], desk.outputs, **STREAMING)
        given = [*self._models, self._readiness, self._waiting]
        gr.on(None, self._load, None, given, **AT_ONCE)
        self._waiting.tick(self._load, None, given, **AT_ONCE)

    async def _fight(
        self, prompt: str, a: str, b: str, temperature: float, top_p: float, tokens: float, request: gr.Request
    ) -> AsyncGenerator[Updates]:
        fleet = self._context.fleet
        try:
            titles = (name_of(fleet, a), name_of(fleet, b))
            sampling = read_sampling(temperature, top_p, tokens)
        except ArenaError as error:
            yield self._desk.refuse(error)
            return
        views = self._context.arena.fight_named(prompt, self._context.voter(request), (a, b), sampling)
        async with aclosing(self._desk.stream(views, titles)) as frames:
            async for frame in frames:
                yield frame

    async def _next(
        self, prompt: str, battle: str, side: str, a: str, b: str, request: gr.Request
    ) -> AsyncGenerator[Updates]:
        """A follow-up; the choices cannot have changed, as they are away while a comparison is on the page."""
        names = dict((model, name) for name, model in ready_models(self._context.fleet))
        titles = (names.get(a, ""), names.get(b, ""))
        views = self._desk.follow_up(prompt, battle, request)
        async with aclosing(self._desk.stream(views, titles, prompt)) as frames:
            async for frame in frames:
                yield frame

    def _load(self) -> dict[Any, Any]:
        ready = ready_models(self._context.fleet)
        chosen = [model for _, model in ready[:2]]
        return {
            **{
                choice: gr.update(choices=ready, value=chosen[place] if place < len(chosen) else None)
                for place, choice in enumerate(self._models)
            },
            **readiness(self._readiness, self._waiting, len(ready) >= 2, "A comparison needs two"),
        }
