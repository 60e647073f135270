"""What the pages with two panes have in common: the handlers between a visitor's clicks and the arena."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import gradio as gr

from arena.battle import BattleView, Phase
from arena.errors import ArenaError, reason_of
from arena.tables import Winner
from arena.ui.composer import Composer
from arena.ui.context import PageContext
from arena.ui.stage import Stage, Updates

View = TypeVar("View")

LISTENING: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "once",
    "postprocess": False,
}
"""How every event is wired: hidden from programs, without Gradio's progress, and values sent as they are."""
STREAMING: dict[str, Any] = {**LISTENING, "concurrency_limit": None}
AT_ONCE: dict[str, Any] = {**LISTENING, "queue": False}


async def changes(views: AsyncGenerator[View], show: Callable[[View], Updates]) -> AsyncGenerator[Updates]:
    """What `show` makes of each view, less what the page shows already. Closing this closes `views`."""
    shown: Updates = {}
    async with aclosing(views):
        async for view in views:
            frame = show(view)
            changed = {part: value for part, value in frame.items() if part not in shown or shown[part] != value}
            shown |= frame
            if changed:
                yield changed


def _only_writes_on(before: BattleView, view: BattleView) -> bool:
    """Nothing but the panes can have changed between two frames of a battle."""
    return before.phase is view.phase is Phase.STREAMING and before.notice == view.notice


class Desk:
    """A composer, a stage, and what happens between them and the arena. Each handler finds out for itself who asks."""

    def __init__(self, context: PageContext, composer: Composer, stage: Stage) -> None:
        self._context = context
        self.composer = composer
        self.stage = stage
        self.outputs = [*composer.components, *stage.components]

    def show(self, view: BattleView, titles: tuple[str, str] = ("", "")) -> Updates:
        """The whole page for a battle."""
        return {**self.stage.show(view, titles), **self.composer.show(view)}

    def clear(self) -> Updates:
        """The whole page before a battle."""
        return {**self.stage.clear(), **self.composer.clear()}

    async def stream(
        self, views: AsyncGenerator[BattleView], titles: tuple[str, str] = ("", ""), further: str = ""
    ) -> AsyncGenerator[Updates]:
        """Show a battle while it runs; each frame carries only what changed since the last one.

        `further` is the prompt of a further turn: if that turn was stopped, its prompt goes back into its box.
        """
        latest: BattleView | None = None

        def show(view: BattleView) -> Updates:
            nonlocal latest
            before, latest = latest, view
            if before is not None and _only_writes_on(before, view):
                return self.stage.write_on(view, titles)
            return self.show(view, titles)

        try:
            async with aclosing(changes(views, show)) as frames:
                async for frame in frames:
                    yield frame
        except ArenaError as error:
            yield self.refuse(error)
            return
        if further and latest is not None and latest.turns and latest.turns[-1].prompt != further:
            yield self.stage.ask_next(None, further)

    async def settle(self, asked: Awaitable[BattleView], battle: str) -> Updates:
        """Show the battle after one change, or say why there was none."""
        try:
            return self.show(await asked)
        except ArenaError as error:
            return self.refuse(error, battle)

    def refuse(self, error: ArenaError, battle: str = "") -> Updates:
        """Say why something was not done, and have it counted."""
        self._context.refused(reason_of(error), battle)
        return self.stage.refuse(str(error))

    def wire(self) -> None:
        """Connect the stage's own buttons: the vote, withdrawing, stopping, a new battle."""
        stage = self.stage
        ballot = [stage.battle, *stage.criteria.inputs]
        for winner, button in stage.votes.items():
            button.click(self._vote(winner), ballot, self.outputs, **AT_ONCE)
        stage.withdraw.click(self._withdraw, [stage.battle], self.outputs, **AT_ONCE)
        stage.stop.click(self._stop, [stage.battle], self.outputs, **AT_ONCE)
        stage.fresh.click(self.clear, None, self.outputs, **AT_ONCE)

    def wire_next(self, handler: Callable[..., AsyncGenerator[Updates]], more: Sequence[Any] = ()) -> None:
        """Connect the box below the panes: `handler` takes its prompt, the battle's id, the side, and `more`."""
        stage = self.stage
        given = [stage.next_prompt, stage.battle, stage.side, *more]
        gr.on([stage.next_send.click, stage.next_prompt.submit], handler, given, self.outputs, **STREAMING)

    def _vote(self, winner: Winner) -> Callable[..., Awaitable[Updates]]:
        async def vote(request: gr.Request, battle: str, *criteria: str) -> Updates:
            voter = self._context.voter(request)
            rated = self.stage.criteria.read(*criteria)
            return await self.settle(self._context.arena.vote(battle, voter, winner, *rated), battle)

        return vote

    async def _withdraw(self, battle: str, request: gr.Request) -> Updates:
        return await self.settle(self._context.arena.withdraw(battle, self._context.voter(request)), battle)

    async def _stop(self, battle: str, request: gr.Request) -> Updates:
        try:
            await self._context.arena.stop(battle, self._context.voter(request))
        except ArenaError as error:
            return self.refuse(error, battle)
        return {self.stage.stop: gr.update(visible=False)}

    def follow_up(self, prompt: str, battle: str, request: gr.Request) -> AsyncGenerator[BattleView]:
        """Ask both models of a battle something more."""
        return self._context.arena.follow_up(battle, prompt, self._context.voter(request))
