"""The vote under two answers: what lies between its buttons and what is judged, a battle or a pair of a campaign."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import gradio as gr

from arena.errors import ArenaError, reason_of
from arena.tables import Winner
from arena.ui.context import PageContext
from arena.ui.stage import Stage, Updates
from arena.ui.wiring import AT_ONCE
from arena.voters import VoterIdentity

View = TypeVar("View")
View_co = TypeVar("View_co", covariant=True)


class Judged(Protocol[View_co]):
    """What takes votes; each is on what an id stands for."""

    async def vote(
        self,
        judged: str,
        voter: VoterIdentity,
        winner: Winner,
        criteria: Mapping[str, str] | None = None,
        rubric_version: str | None = None,
        /,
    ) -> View_co:
        """Store a verdict."""
        ...

    async def withdraw(self, judged: str, voter: VoterIdentity, /) -> View_co:
        """Take it back."""
        ...


class Ballot(Generic[View]):
    """The buttons of a vote. Each handler finds out for itself who asks."""

    def __init__(
        self, context: PageContext, stage: Stage, judged: Judged[View], show: Callable[[View], Updates]
    ) -> None:
        """`show` gives the page after a change."""
        self._context = context
        self._stage = stage
        self._judged = judged
        self._show = show

    def wire(self, outputs: Sequence[Any]) -> None:
        """Connect the buttons for a verdict, and the one that takes it back."""
        stage = self._stage
        given = [stage.battle, *stage.criteria.inputs]
        for winner, button in stage.votes.items():
            button.click(self._vote(winner), given, outputs, **AT_ONCE)
        stage.withdraw.click(self._withdraw, [stage.battle], outputs, **AT_ONCE)

    def refuse(self, error: ArenaError, judged: str = "") -> Updates:
        """Say why something was not done, and have it counted."""
        self._context.refused(reason_of(error), judged)
        return self._stage.refuse(str(error))

    def _vote(self, winner: Winner) -> Callable[..., Awaitable[Updates]]:
        async def vote(request: gr.Request, judged: str, *criteria: str) -> Updates:
            voter = self._context.voter(request)
            rated = self._stage.criteria.read(*criteria)
            return await self._settle(self._judged.vote(judged, voter, winner, *rated), judged)

        return vote

    async def _withdraw(self, judged: str, request: gr.Request) -> Updates:
        return await self._settle(self._judged.withdraw(judged, self._context.voter(request)), judged)

    async def _settle(self, asked: Awaitable[View], judged: str) -> Updates:
        """Show the page after one change, or say why there was none."""
        try:
            return self._show(await asked)
        except ArenaError as error:
            return self.refuse(error, judged)
