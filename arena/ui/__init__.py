"""The Gradio face of the arena, the only importer of gradio."""

import warnings
from collections.abc import Callable, Mapping

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from arena.ui.analytics_page import build_analytics_page
from arena.ui.battle_page import build_battle_page
from arena.ui.campaign_page import build_campaign_page
from arena.ui.chat_page import build_chat_page
from arena.ui.context import PageContext
from arena.ui.data_page import build_data_page
from arena.ui.event_calls import CALL, HEAR, JOIN, CalledEvents, EventCalls
from arena.ui.event_stream import PATH, EventStream
from arena.ui.gradio_errors import tell_printed_errors, teller
from arena.ui.heartbeat import Heartbeat
from arena.ui.layout import ASSETS_DIR, ASSETS_URL, PAGES, PageFrame
from arena.ui.leaderboard_page import build_leaderboard_page
from arena.ui.lean import LeanBlocks
from arena.ui.lean_sessions import empty_mailbox, lighten_sessions
from arena.ui.matchup_page import build_matchup_page
from arena.ui.opening import Opening
from arena.ui.operations_page import build_operations_page
from arena.ui.side_by_side_page import build_side_by_side_page
from arena.ui.theme import ArenaTheme

__all__ = ["PageContext", "build_blocks", "mount_pages"]

_BUILDERS: Mapping[str, Callable[[PageContext], Opening | None]] = {
    "/": build_battle_page,
    "/side-by-side": build_side_by_side_page,
    "/chat": build_chat_page,
    "/leaderboard": build_leaderboard_page,
    "/analytics": build_analytics_page,
    "/campaign": build_campaign_page,
    "/data": build_data_page,
    "/operations": build_operations_page,
    "/matchup": build_matchup_page,
}


_SPARE_EVENTS = 100
"""Room for the events that Gradio queues beside battles: refusals, refreshes."""


def build_blocks(context: PageContext) -> tuple[LeanBlocks, Mapping[str, Opening]]:
    """Build every page of the arena in one Gradio app; with what pages show from their first moment, by path."""
    tell = teller(context.refused)
    demo = LeanBlocks(title="COAIA Arena", analytics_enabled=False, fill_width=True, tell_mistake=tell)
    openings = {}
    for page in PAGES:
        with demo if page.path == "/" else demo.route(page.name, page.path, show_in_navbar=False):
            if opening := _BUILDERS[page.path](context):
                openings[page.path] = opening
    with demo:
        demo.unload(lambda: None)  # else pages keep no heartbeat; what is done at their end, `Heartbeat` does
    return demo, openings


def _page_traffic(context: PageContext, demo: LeanBlocks, calls: EventCalls) -> ASGIApp:
    """What answers an open page's two streams and its events, in place of Gradio's routes for the same addresses."""

    def leave(session: str) -> None:
        """A page was closed or lost its connection: nobody reads what it was still being told."""
        context.arena.leave(session)
        empty_mailbox(demo, session)

    events, heartbeat = EventStream(demo, context.arena.leave), Heartbeat(demo, leave)
    posts = {JOIN: calls.join, CALL: calls.call}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in posts:
            response = await posts[path](Request(scope, receive))
            await response(scope, receive, send)
        else:
            await (events if path == PATH else heartbeat)(scope, receive, send)

    return answer


def mount_pages(app: FastAPI, context: PageContext) -> ASGIApp:
    """Serve the pages from `app`, at its root. Everything else that `app` serves must be there before.

    Returns what answers the traffic of open pages. It is for the gate: each layer between would be kept for every open
    page, and passed by every vote.
    """
    demo, openings = build_blocks(context)
    # The arena has a line of its own, which tells people their place; Gradio's must always have room behind it.
    streams = context.settings.max_battles + context.settings.max_waiting
    demo.max_threads = streams + _SPARE_EVENTS
    demo.state_session_capacity = 3000
    demo.queue(default_concurrency_limit=None, max_size=2 * streams + _SPARE_EVENTS, api_open=False)
    calls = EventCalls(demo)
    app.router.routes.append(Route(HEAR, CalledEvents(demo, lambda: calls.app), methods=["GET"]))
    app.mount(ASSETS_URL, StaticFiles(directory=ASSETS_DIR), name="arena-assets")
    app.add_middleware(PageFrame, demo=context.demo, openings=openings, sign_in=context.sign_in)
    with warnings.catch_warnings():
        # Gradio warns that it turns off what was never asked for.
        warnings.filterwarnings("ignore", message="SSR mode is not supported", category=UserWarning)
        gr.mount_gradio_app(
            app,
            demo,
            path="/",
            show_error=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size="1kb",
            ssr_mode=False,
            theme=ArenaTheme(),
        )
    tell_printed_errors(demo.tell_mistake)
    calls.app = next(mounted for mounted in map(_mounted, app.routes) if isinstance(mounted, App))
    lighten_sessions(calls.app)
    return _page_traffic(context, demo, calls)


def _mounted(route: BaseRoute) -> object:
    """The application behind a route, if it is one."""
    return getattr(route, "app", None)
