"""The family trees of versions: what each was trained on, and whether it beats the one before it."""

from collections.abc import Mapping, Sequence
from typing import Any

from arena.background import Background
from arena.finetune import Member
from arena.ui.context import PageContext
from arena.ui.html import fragment, render

_LEAD = "Each version, what it was trained on, and whether it beats the one that it came from."


class LineageSection:
    """The section: worked out in the background after votes, for it reads every vote between two versions."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._body = fragment(elem_id="data-lineage")
        self._trees: Background[Sequence[Member]] = Background(context.database, self._read)
        self.components: list[Any] = [self._body]

    def wire(self, outputs: list[Any]) -> None:
        """Nothing can be clicked but links."""

    def clear(self) -> dict[Any, Any]:
        """Nothing."""
        return {self._body: ""}

    async def show(self, asked: Mapping[str, str]) -> dict[Any, Any]:
        """The trees as last worked out."""
        return await self.renew(asked)

    async def renew(self, _: Mapping[str, str]) -> dict[Any, Any]:
        """The same."""
        stamp = await self._context.database.run(self._stamp)
        trees = self._trees.current(stamp)
        members = None if trees is None else [list(tree.walk()) for tree in trees]
        # Families with several versions come first; a model on its own has no story yet.
        told = sorted(members or [], key=lambda tree: -len(tree))
        return {self._body: render("data_lineage.html", trees=told, known=trees is not None, lead=_LEAD)}

    def _stamp(self) -> object:
        models = tuple(status.model for status in self._context.fleet.statuses())
        return self._context.leaderboard.standings().votes, len(self._context.tuning.models()), models

    def _read(self) -> Sequence[Member]:
        entries = [status.model for status in self._context.fleet.statuses()]
        return self._context.tuning.lineage(entries, self._context.leaderboard)
