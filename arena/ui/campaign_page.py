"""The Campaign page: pairs of finished answers, one after the other, blind; and how far it is, for the operator."""

import asyncio
from typing import Any

import gradio as gr

from arena.battle import BattleView
from arena.campaigns.judging import JudgingView, Place
from arena.campaigns.progress import campaign_progress, list_campaigns
from arena.errors import ArenaError
from arena.ui.ballot import Ballot
from arena.ui.context import PageContext
from arena.ui.html import fragment, render
from arena.ui.stage import Stage, Updates, Wording
from arena.ui.wiring import AT_ONCE

RENEW_S = 10.0
"""How often the operator's figures, and a voter's wait for answers, are renewed."""
_HINT = "Keys: A, B, T for a tie, X for both bad, then N for the next pair"
_IDLE = ("", "")


def build_campaign_page(context: PageContext) -> None:
    """Lay the page out and wire it."""
    _CampaignPage(context).wire()


class _CampaignPage:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._head = fragment(elem_id="campaign-head")
        self._begin = gr.Button("Judge as a voter", visible=False, elem_id="begin-judging", size="sm")
        with gr.Column(elem_id="campaign-room", visible=False) as self._room:
            wording = Wording(
                context.settings.question, _HINT, _IDLE, context.rubric, fresh="Next pair", can_continue=False
            )
            self._stage = Stage(wording)
            with self._stage.after:
                self._said = fragment(elem_id="said")
        self._waiting = gr.Timer(RENEW_S, active=False)
        self._renewing = gr.Timer(RENEW_S, active=False)
        own = [self._head, self._begin, self._room, self._said, self._waiting, self._renewing]
        self._outputs = [*own, *self._stage.components]

    def wire(self) -> None:
        """Connect every button and the page's loading."""
        Ballot(self._context, self._stage, self._context.judging, self._show).wire(self._outputs)
        self._stage.fresh.click(self._next, None, self._outputs, **AT_ONCE)
        self._begin.click(self._next, None, self._outputs, **AT_ONCE)
        self._waiting.tick(self._next, None, self._outputs, **AT_ONCE)
        self._renewing.tick(self._renew, None, self._outputs, **AT_ONCE)
        gr.on(None, self._load, None, self._outputs, **AT_ONCE)

    async def _load(self, request: gr.Request) -> Updates:
        if self._context.is_operator(request):
            return await self._renew(request)
        if not _campaign_of(request):
            return {self._head: render("campaign_state.html", place="closed", view=None)}
        return await self._next(request)

    async def _renew(self, request: gr.Request) -> Updates:
        """The operator's figures; looking at them reserves nothing."""
        if not self._context.is_operator(request):
            return {self._head: render("campaign_state.html", place="closed", view=None), **self._timers()}
        campaign = _campaign_of(request)
        prices = {status.model.id: status.model.price for status in self._context.fleet.statuses()}
        database = self._context.database
        if not campaign:
            campaigns = await asyncio.to_thread(list_campaigns, database, prices)
            return {self._head: render("campaign_list.html", campaigns=campaigns), **self._timers(renewing=True)}
        try:
            progress = await asyncio.to_thread(campaign_progress, database, campaign, prices)
        except ArenaError:
            return {self._head: render("campaign_state.html", place="unknown", view=None), **self._timers()}
        return {
            self._head: render("campaign_report.html", campaign=progress),
            self._begin: gr.update(visible=progress.ended_at is None),
            **self._timers(renewing=True),
        }

    async def _next(self, request: gr.Request) -> Updates:
        try:
            view = await self._context.judging.next(_campaign_of(request), self._context.voter(request))
        except ArenaError as error:
            return {**self._stage.refuse(str(error)), self._room: gr.update(visible=True)}
        return self._show(view)

    def _show(self, view: JudgingView) -> Updates:
        """The one place where a voter's place in a campaign becomes pixels."""
        updates: Updates = {
            self._head: render("campaign_state.html", place=view.place.value, view=view),
            self._begin: gr.update(visible=False),
            self._room: gr.update(visible=view.battle is not None),
            **self._timers(waiting=view.place is Place.WAITING),
        }
        if view.battle is None:
            return updates
        pair = self._chosen(view, view.battle) if view.place is Place.CHOSEN else self._judging(view, view.battle)
        return {**updates, **pair}

    def _judging(self, view: JudgingView, pair: BattleView) -> Updates:
        stage = self._stage
        return {
            **stage.show(pair),
            **stage.criteria.clear(),
            stage.status: render(
                "status.html",
                phase="judging",
                text=f"Pair {view.judged + 1} of {view.total}: both answers are there.",
            ),
            stage.after: gr.update(visible=False),
        }

    def _chosen(self, view: JudgingView, pair: BattleView) -> Updates:
        """After a vote the pair stays as it is; only its names come to it where the campaign tells them."""
        stage, said = self._stage, pair.notice or ""
        return {
            **(stage.show(pair) if pair.reveal is not None else {stage.ballot: gr.update(visible=False)}),
            stage.notice: "",
            stage.status: render("status.html", phase="chosen", text=said),
            stage.after: gr.update(visible=True),
            stage.withdraw: gr.update(visible=not view.withdrawn),
            self._said: render("said.html", said=said),
        }

    def _timers(self, *, waiting: bool = False, renewing: bool = False) -> dict[Any, Any]:
        return {self._waiting: gr.update(active=waiting), self._renewing: gr.update(active=renewing)}


def _campaign_of(request: gr.Request) -> str:
    """The campaign that the page's address names."""
    return str(request.query_params.get("id", "")).strip()
