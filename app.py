"""Builds the arena from its settings and serves it: `python app.py`. Nothing else.

What takes long to import is imported where it is needed, so that `--help` and a wrong setting answer at once.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from arena.errors import ConfigError
from arena.late import import_without
from arena.terminal import Parser

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from arena.boards import Boards
    from arena.config import Settings
    from arena.parts import Parts
    from arena.ui.context import PageContext
    from arena.web.huggingface import Registration

Built = TypeVar("Built")

log = logging.getLogger("arena")
BACKLOG = 2048
"""Connections that may wait to be accepted."""
_WHY_DEMO = "fewer than two models of the roster have credentials; `python -m arena check` tells what is missing."


def build_app(settings: "Settings") -> "FastAPI":
    """Wire the parts together; whatever is wrong with them is raised here, before the port opens.

    Raises:
        ConfigError: the roster, the database or a secret is unusable; says what to change.

    """
    from arena.config import prepare_process, read_environment

    prepare_process()
    # Gradio takes 35 MB of pandas for tables and plots, which the pages draw themselves.
    import_without("gradio", "pandas")
    from fastapi import FastAPI

    from arena.boards import Boards
    from arena.parts import build_parts
    from arena.ui import mount_pages
    from arena.web.assets import AssetCache
    from arena.web.gate import Gate
    from arena.web.huggingface import Registration

    parts = build_parts(settings)
    app = FastAPI(title="COAIA Arena", openapi_url=None, lifespan=_lifespan)
    app.state.parts = parts
    boards = Boards(parts.database, parts.leaderboard, parts.style)
    registration = Registration.of(read_environment())
    for router in _routers(parts, boards, registration):
        app.include_router(router)
    context = _page_context(parts, boards, signs_in=registration is not None)
    page_traffic = _with_running_loop(lambda: mount_pages(app, context))
    app.add_middleware(AssetCache)
    app.add_middleware(
        Gate,
        sessions=parts.sessions,
        cookies=parts.cookies,
        streams=parts.streams,
        page_traffic=page_traffic,
        hops=parts.settings.forwarded_hops,
        refused=parts.refusals.count,
        body_s=parts.settings.body_s,
    )
    return app


def _page_context(parts: "Parts", boards: "Boards", *, signs_in: bool) -> "PageContext":
    """What every page is built from."""
    from arena.ui.context import PageContext
    from arena.web.huggingface import SIGN_IN

    return PageContext(
        arena=parts.arena,
        judging=parts.judging,
        tuning=parts.tuning,
        preferences=parts.preferences,
        fleet=parts.fleet,
        limits=parts.limits,
        leaderboard=parts.leaderboard,
        boards=boards,
        style=parts.style,
        targets=parts.targets,
        keeper=parts.keeper,
        challenges=parts.challenges,
        rubric=parts.rubric,
        settings=parts.settings,
        database=parts.database,
        demo=parts.settings.demo,
        voter=parts.sessions.voter,
        is_operator=parts.sessions.is_operators_page,
        sign_in=SIGN_IN if signs_in else "",
        refused=parts.refusals.count,
    )


def _routers(parts: "Parts", boards: "Boards", registration: "Registration | None") -> "Sequence[APIRouter]":
    """What answers beside the pages."""
    from arena.web.downloads import Downloads
    from arena.web.huggingface import HubSignIn
    from arena.web.my_data import MyData
    from arena.web.routes import Door
    from arena.web.training_files import TrainingFiles

    sessions, cookies, count = parts.sessions, parts.cookies, parts.refusals.count
    routers = [
        Door(parts.monitor, parts.database, sessions, cookies, parts.settings, count).router(),
        Downloads(boards, parts.leaderboard).router(),
        MyData(parts.arena, parts.database, sessions, cookies, parts.settings, parts.keeper.forgotten).router(),
        TrainingFiles(sessions, parts.settings).router(),
    ]
    if registration is not None:
        routers.append(HubSignIn(registration, parts.database, sessions, cookies, count).router())
    return routers


def _with_running_loop(build: Callable[[], Built]) -> Built:
    """Call `build` inside an event loop: where none runs, Gradio opens one for each of its locks and closes none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def within() -> Built:
            return build()

        return asyncio.run(within())
    else:
        return build()


@contextlib.asynccontextmanager
async def _lifespan(app: "FastAPI") -> AsyncIterator[None]:
    """Ask every platform for its models once pages are served; at the end close what is open."""
    from arena.closings import hear_closed, keep_hearing
    from arena.history import keep_noting
    from arena.soundness import keep_looking

    parts: Parts = app.state.parts
    await hear_closed(parts.database, parts.sessions.hear_closed)
    # What goes wrong in a warm-up is told to the first who asks for the same.
    if not parts.settings.demo:
        parts.tuning.start_following()
    preparing = asyncio.gather(_prepare(parts), _warm_up(parts), return_exceptions=True)
    works = (
        parts.targets.keep(),
        parts.keeper.keep(),
        keep_noting(parts.database, parts.leaderboard),
        keep_hearing(parts.database, parts.sessions.hear_closed),
        keep_looking(parts.database),
    )
    keeping = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        preparing.cancel()
        for task in keeping:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await preparing
        await asyncio.wait(keeping)
        await parts.aclose()


async def _warm_up(parts: "Parts") -> None:
    """Load what the first battle and the first reader would wait for: patterns, a language detector, choix, votes."""
    from arena.clustering import rehearse
    from arena.language import tell_language

    await asyncio.to_thread(parts.arena.warm_up)
    await asyncio.to_thread(rehearse)
    await asyncio.to_thread(tell_language, "The first prompt should not wait for this.")
    await parts.database.run(parts.leaderboard.standings)


async def _prepare(parts: "Parts") -> None:
    """Ask every platform for its models; the minute of the start is then told with those that answered."""
    await parts.fleet.prepare()
    await parts.targets.record()


def serve(settings: "Settings", service: Path | None = None) -> None:
    """Serve until stopped: the port is reserved first, so that one in use is told at once.

    `service` is the folder of a service in the background, which learns the address from a file there.

    Raises:
        ConfigError: as `build_app`, or the port cannot be had.

    """
    import uvloop

    from arena.keys import load_admin_password
    from arena.running import Files
    from arena.web.server import address_of, bind, make_server

    # Nothing that is made while starting is garbage before the end: looking for it takes a fifth of the start.
    gc.disable()
    with bind(settings.host, settings.port) as listener:
        app = build_app(settings)
        gc.freeze()
        gc.enable()
        parts: Parts = app.state.parts
        listener.listen(BACKLOG)  # whoever reads the address may connect at once
        _say(f"COAIA Arena at {address_of(listener)}")
        if parts.settings.demo:
            _say("Offline demonstration: " + ("as asked." if settings.demo else _WHY_DEMO))
        if sys.stdout.isatty():
            _say(f"Operator's password, for /login: {load_admin_password(settings)}")
        if service is not None:
            Files(service).address.write_text(address_of(listener), encoding="utf-8")
        log.info("Serving at %s", address_of(listener))
        uvloop.run(make_server(app, parts.drain).serve(sockets=[listener]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the arena; exit status 2 for an unusable configuration."""
    given = _parser().parse_args(arguments)
    from arena.config import load_settings

    try:
        settings = load_settings(
            host=given.host,
            port=given.port,
            models=given.models,
            data_dir=given.data,
            database_url=given.database,
            demo=given.demo or None,
        )
        _start_log(settings, given.service)
        if given.service is None:
            _look_around(settings)
        serve(settings, given.service)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="app.py",
        description="Serve the arena in the foreground.",
        epilog="example: python app.py --port 8000 --demo",
    )
    parser.add_argument("--host", help="address to listen on (ARENA_HOST, default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (ARENA_PORT, default 7860)")
    parser.add_argument("--models", type=Path, metavar="FILE", help="the roster (ARENA_MODELS, default models.yaml)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder (ARENA_DATA_DIR, default data)")
    parser.add_argument("--database", metavar="URL", help="SQLite or PostgreSQL (ARENA_DATABASE_URL)")
    parser.add_argument("--demo", action="store_true", help="offline demonstration models only")
    parser.add_argument("--service", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    return parser


def _look_around(settings: "Settings") -> None:
    """Tell what is wrong with the machine, the environment or the roster; `start` has done so for a service."""
    from arena.config import read_environment
    from arena.machine_check import Level, inspect

    findings = inspect(settings, read_environment())
    for finding in findings:
        if finding.level is Level.WARNING:
            sys.stderr.write(f"Warning: {finding.sentence}\n")
    wrong = [finding.sentence for finding in findings if finding.level is Level.ERROR]
    if wrong:
        raise ConfigError("\n".join(wrong))


def _start_log(settings: "Settings", service: Path | None) -> None:
    """Log to standard error, or for a service in the background to files that are rotated."""
    from arena.logs import rotated, start_log
    from arena.running import Files

    handler = logging.StreamHandler() if service is None else rotated(Files(service).log)
    start_log(handler, settings.log_level, settings.log_format)


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
