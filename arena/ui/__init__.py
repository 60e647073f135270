"""The Gradio face of the arena, the only importer of gradio."""

import warnings
from collections.abc import Callable, Mapping

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from arena.ui.analytics_page import build_analytics_page
from arena.ui.battle_page import build_battle_page
from arena.ui.campaign_page import build_campaign_page
from arena.ui.chat_page import build_chat_page
from arena.ui.context import PageContext
from arena.ui.data_page import build_data_page
from arena.ui.event_stream import PATH, EventStream
from arena.ui.gradio_errors import tell_errors
from arena.ui.layout import ASSETS_DIR, ASSETS_URL, PAGES, PageFrame
from arena.ui.leaderboard_page import build_leaderboard_page
from arena.ui.lean import LeanBlocks, empty_mailbox, lighten_sessions
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
_LOOK_FOR_EVENTS_S = 0.005
"""How often Gradio looks for new events; its own 0.001 s costs an idle arena 6% of a core."""


def build_blocks(context: PageContext) -> tuple[gr.Blocks, Mapping[str, Opening]]:
    """Build every page of the arena in one Gradio app; with what pages show from their first moment, by path."""
    demo = LeanBlocks(title="COAIA Arena", analytics_enabled=False, fill_width=True)
    openings = {}
    for page in PAGES:
        with demo if page.path == "/" else demo.route(page.name, page.path, show_in_navbar=False):
            if opening := _BUILDERS[page.path](context):
                openings[page.path] = opening
    with demo:
        demo.unload(_leaving(context, demo))
    return demo, openings


def _leaving(context: PageContext, demo: gr.Blocks) -> Callable[[gr.Request], None]:
    def leave(request: gr.Request) -> None:
        """A page was closed or lost its connection: nobody reads what it was still being told."""
        if request.session_hash:
            context.arena.leave(request.session_hash)
            empty_mailbox(demo, request.session_hash)

    return leave


def mount_pages(app: FastAPI, context: PageContext) -> None:
    """Serve the pages from `app`, at its root. Everything else that `app` serves must be there before."""
    demo, openings = build_blocks(context)
    # The arena has a line of its own, which tells people their place; Gradio's must always have room behind it.
    streams = context.settings.max_battles + context.settings.max_waiting
    demo.max_threads = streams + _SPARE_EVENTS
    demo.state_session_capacity = 3000
    demo.queue(default_concurrency_limit=None, max_size=2 * streams + _SPARE_EVENTS, api_open=False)
    demo._queue.sleep_when_free = _LOOK_FOR_EVENTS_S
    app.mount(ASSETS_URL, StaticFiles(directory=ASSETS_DIR), name="arena-assets")
    app.router.routes.append(Route(PATH, EventStream(demo), methods=["GET"]))
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
    tell_errors(context.refused)
    lighten_sessions(next(mounted for mounted in map(_mounted, app.routes) if isinstance(mounted, App)))


def _mounted(route: BaseRoute) -> object:
    """The application behind a route, if it is one."""
    return getattr(route, "app", None)
