"""What the pages with two panes have in common: the handlers between a visitor's clicks and the arena."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import gradio as gr

from arena.battle import BattleView, Phase
from arena.errors import ArenaError
from arena.ui.ballot import Ballot
from arena.ui.composer import Composer
from arena.ui.context import PageContext
from arena.ui.stage import Stage, Updates
from arena.ui.wiring import AT_ONCE, STREAMING

View = TypeVar("View")


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
        self._ballot = Ballot(context, stage, context.arena, self.show)

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

    def refuse(self, error: ArenaError, battle: str = "") -> Updates:
        """Say why something was not done, and have it counted."""
        return self._ballot.refuse(error, battle)

    def wire(self) -> None:
        """Connect the stage's own buttons: the vote, withdrawing, stopping, a new battle."""
        stage = self.stage
        self._ballot.wire(self.outputs)
        stage.stop.click(self._stop, [stage.battle], self.outputs, **AT_ONCE)
        stage.fresh.click(self.clear, None, self.outputs, **AT_ONCE)

    def wire_next(self, handler: Callable[..., AsyncGenerator[Updates]], more: Sequence[Any] = ()) -> None:
        """Connect the box below the panes: `handler` takes its prompt, the battle's id, the side, and `more`."""
        stage = self.stage
        given = [stage.next_prompt, stage.battle, stage.side, *more]
        gr.on([stage.next_send.click, stage.next_prompt.submit], handler, given, self.outputs, **STREAMING)

    async def _stop(self, battle: str, request: gr.Request) -> Updates:
        try:
            await self._context.arena.stop(battle, self._context.voter(request))
        except ArenaError as error:
            return self.refuse(error, battle)
        return {self.stage.stop: gr.update(visible=False)}

    def follow_up(self, prompt: str, battle: str, request: gr.Request) -> AsyncGenerator[BattleView]:
        """Ask both models of a battle something more."""
        return self._context.arena.follow_up(battle, prompt, self._context.voter(request))
