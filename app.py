"""Builds the arena from its settings and serves it: `python app.py`. Nothing else.

What takes long to import is imported where it is needed, so that `--help` and a wrong setting answer at once.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import logging.handlers
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arena.config import Settings, load_settings, prepare_process, read_environment
from arena.errors import ConfigError
from arena.terminal import Parser

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from arena.battle import Arena
    from arena.boards import Boards
    from arena.campaigns.judging import Judging
    from arena.challenges import Challenge
    from arena.database import Database
    from arena.finetune import TuningDesk
    from arena.fleet import Fleet
    from arena.keeping import Keeper
    from arena.leaderboard import Leaderboard
    from arena.limits import Limits
    from arena.moderation import Moderation
    from arena.monitoring import Monitor
    from arena.preferences.desk import PreferenceDesk
    from arena.refusals import Refusals
    from arena.roster import Roster
    from arena.rubric import Rubric
    from arena.style import StyleControl
    from arena.targets import Targets
    from arena.web.huggingface import Registration
    from arena.web.session import CookieRules, Sessions
    from arena.web.streams import PageStreams

log = logging.getLogger("arena")
LOG_BYTES, LOG_FILES = 5_000_000, 5
BACKLOG = 2048
"""Connections that may wait to be accepted."""
NOTE_EVERY_S = 120.0
"""How often it is looked whether votes have moved the ratings, to note where they stand."""
HEAR_EVERY_S = 10.0
"""How soon a session that was signed out elsewhere opens nothing here."""
_WHY_DEMO = "fewer than two models of the roster have credentials; `python -m arena check` tells what is missing."


@dataclass(frozen=True, slots=True)
class Parts:
    """What the arena is made of; `build_app` keeps it as `app.state.parts`."""

    settings: Settings
    challenges: Sequence["Challenge"]
    rubric: "Rubric"
    database: "Database"
    fleet: "Fleet"
    limits: "Limits"
    leaderboard: "Leaderboard"
    style: "StyleControl"
    arena: "Arena"
    tuning: "TuningDesk"
    preferences: "PreferenceDesk"
    judging: "Judging"
    monitor: "Monitor"
    targets: "Targets"
    keeper: "Keeper"
    streams: "PageStreams"
    sessions: "Sessions"
    cookies: "CookieRules"
    refusals: "Refusals"
    moderation: "Moderation"

    async def drain(self) -> None:
        """Take no new battles, and let running ones finish for up to `drain_s`."""
        self.monitor.start_draining()
        cut = await self.arena.drain(self.settings.drain_s)
        await self.streams.close()
        log.info("Stopping: %s", f"{cut} battles were cut off" if cut else "no battle was cut off")

    async def aclose(self) -> None:
        """Close every connection."""
        await self.tuning.aclose()
        self.preferences.close()
        await self.fleet.aclose()
        await self.moderation.aclose()
        self.style.close()
        self.database.close()


def build_app(settings: Settings) -> "FastAPI":
    """Wire the parts together; whatever is wrong with them is raised here, before the port opens.

    Raises:
        ConfigError: the roster, the database or a secret is unusable; says what to change.

    """
    prepare_process()
    from fastapi import FastAPI

    from arena.boards import Boards
    from arena.ui import mount_pages
    from arena.ui.context import PageContext
    from arena.web.assets import AssetCache
    from arena.web.gate import Gate
    from arena.web.huggingface import SIGN_IN, Registration

    parts = build_parts(settings)
    settings = parts.settings
    app = FastAPI(title="COAIA Arena", openapi_url=None, lifespan=_lifespan)
    app.state.parts = parts
    boards = Boards(parts.database, parts.leaderboard, parts.style)
    registration = Registration.of(read_environment())
    for router in _routers(parts, boards, registration):
        app.include_router(router)
    context = PageContext(
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
        settings=settings,
        database=parts.database,
        demo=settings.demo,
        voter=parts.sessions.voter,
        is_operator=parts.sessions.is_operators_page,
        sign_in=SIGN_IN if registration is not None else "",
        refused=parts.refusals.count,
    )
    _with_running_loop(lambda: mount_pages(app, context))
    app.add_middleware(AssetCache)
    app.add_middleware(
        Gate,
        sessions=parts.sessions,
        cookies=parts.cookies,
        streams=parts.streams,
        hops=settings.forwarded_hops,
        refused=parts.refusals.count,
        body_s=settings.body_s,
    )
    return app


def _routers(parts: Parts, boards: "Boards", registration: "Registration | None") -> "Sequence[APIRouter]":
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


def _with_running_loop(build: Callable[[], None]) -> None:
    """Call `build` inside an event loop: where none runs, Gradio opens one for each of its locks and closes none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:

        async def within() -> None:
            build()

        asyncio.run(within())
    else:
        build()


def build_parts(settings: Settings) -> Parts:
    """Build what stands behind the pages, in order of dependency.

    Raises:
        ConfigError: as `build_app`.

    """
    from arena.battle import Arena
    from arena.finetune import TuningDesk
    from arena.leaderboard import Leaderboard
    from arena.limits import Limits
    from arena.machine_check import require_local_database
    from arena.preferences.desk import PreferenceDesk
    from arena.providers.factory import build_moderation
    from arena.refusals import Refusals
    from arena.style import StyleControl
    from arena.web.streams import PageStreams

    settings, roster = _decide_demo(settings)
    require_local_database(settings, read_environment())
    sessions, cookies = _build_sessions(settings)
    challenges, rubric = _read_questions(settings)
    database, keeper = _open_database(settings)
    fleet = _build_fleet(settings, roster, database)
    leaderboard, moderation, limits = Leaderboard(database), build_moderation(settings), Limits(database, settings)
    arena = Arena(
        database=database,
        fleet=fleet,
        leaderboard=leaderboard,
        limits=limits,
        settings=settings,
        challenges=challenges,
        rubric=rubric,
        moderation=moderation,
    )
    streams, refusals = PageStreams(), Refusals()
    targets, monitor = _watch(arena, fleet, limits, database, keeper, streams, refusals)
    arena.on_answered(monitor.answered)
    if keeper.logs_votes:
        arena.on_stored(keeper.stored)
    return Parts(
        settings=settings,
        challenges=challenges,
        rubric=rubric,
        database=database,
        fleet=fleet,
        limits=limits,
        leaderboard=leaderboard,
        style=StyleControl(database),
        arena=arena,
        tuning=TuningDesk(database, roster, settings, fleet=fleet, first_wait_s=settings.tuning_look_s),
        preferences=PreferenceDesk(database, settings),
        judging=_build_judging(settings, database, leaderboard, rubric),
        monitor=monitor,
        targets=targets,
        keeper=keeper,
        streams=streams,
        sessions=sessions,
        cookies=cookies,
        refusals=refusals,
        moderation=moderation,
    )


def _open_database(settings: Settings) -> tuple["Database", "Keeper"]:
    """Open the votes, brought back first where the disk was emptied, and whatever keeps them safe."""
    from arena.battle import recover_interrupted
    from arena.database import open_database
    from arena.hub import Hub
    from arena.keeping import Keeper, revive

    given = read_environment()
    hub = Hub(settings.backup_repo, given.get("HF_TOKEN"), given.get("HF_ENDPOINT")) if settings.backup_repo else None
    if revived := revive(settings, hub):
        log.info("Brought back from %s, and %d votes given since", revived.backup or "the log", revived.votes)
    database = open_database(settings.resolved_database_url)
    if interrupted := recover_interrupted(database):
        log.info("%d battles that a stopped process left running are abandoned", interrupted)
    return database, Keeper(settings, database, hub)


def _watch(
    arena: "Arena",
    fleet: "Fleet",
    limits: "Limits",
    database: "Database",
    keeper: "Keeper",
    streams: "PageStreams",
    refusals: "Refusals",
) -> tuple["Targets", "Monitor"]:
    from arena.monitoring import Monitor
    from arena.targets import Targets

    targets = Targets(database=database, fleet=fleet, arena=arena)
    monitor = Monitor(
        arena=arena,
        fleet=fleet,
        database=database,
        targets=targets,
        limits=limits,
        open_streams=streams.__len__,
        refused=refusals.by_reason,
        backup_failure=lambda: keeper.failure,
    )
    return targets, monitor


def _build_judging(settings: Settings, database: "Database", leaderboard: "Leaderboard", rubric: "Rubric") -> "Judging":
    """Campaigns count their new voters by themselves: a campaign never keeps anybody from a battle."""
    from arena.campaigns.arrivals import Arrivals
    from arena.campaigns.judging import Judging

    arrivals = Arrivals(settings.battles_per_minute)
    return Judging(database=database, leaderboard=leaderboard, arrivals=arrivals, demo=settings.demo, rubric=rubric)


def _read_questions(settings: Settings) -> tuple[Sequence["Challenge"], "Rubric"]:
    """What the data folder asks of models, and of voters."""
    from arena.challenges import load_challenges
    from arena.rubric import load_rubric

    return load_challenges(settings.data_dir), load_rubric(settings.data_dir)


def _build_fleet(settings: Settings, roster: "Roster", database: "Database") -> "Fleet":
    """The roster file's models, and those that came of tuning jobs."""
    from arena.finetune import with_tuned
    from arena.fleet import Fleet
    from arena.providers.factory import build_providers

    whole = roster if settings.demo else with_tuned(database, roster, read_environment())
    return Fleet(whole, build_providers(settings, whole), settings)


def _build_sessions(settings: Settings) -> tuple["Sessions", "CookieRules"]:
    from arena.keys import load_admin_password, load_secret
    from arena.web.session import CookieRules, Sessions

    sessions = Sessions(load_secret(settings), load_admin_password(settings), settings)
    return sessions, CookieRules(framed="SPACE_ID" in read_environment())


def _decide_demo(settings: Settings) -> tuple[Settings, "Roster"]:
    """Demonstration models where they were asked for, or where fewer than two models could ever be asked."""
    from arena.providers.demo import demo_roster
    from arena.providers.factory import credentials_configured
    from arena.roster import load_roster

    if settings.demo:
        return settings, demo_roster()
    roster = load_roster(settings.models, read_environment())
    if sum(credentials_configured(entry, settings) for entry in roster) < 2:
        return settings.model_copy(update={"demo": True}), demo_roster()
    return settings, roster


@contextlib.asynccontextmanager
async def _lifespan(app: "FastAPI") -> AsyncIterator[None]:
    """Ask every platform for its models once pages are served; at the end close what is open."""
    from arena.soundness import keep_looking

    parts: Parts = app.state.parts
    await _hear_closed(parts)
    # What goes wrong in a warm-up is told to the first who asks for the same.
    if not parts.settings.demo:
        parts.tuning.start_following()
    preparing = asyncio.gather(_prepare(parts), _warm_up(parts), return_exceptions=True)
    works = (
        parts.targets.keep(),
        parts.keeper.keep(),
        _note_history(parts),
        _keep_hearing(parts),
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


async def _warm_up(parts: Parts) -> None:
    """Load what the first battle and the first reader would wait for: a language detector, choix, the votes."""
    from arena.language import tell_language

    await asyncio.to_thread(tell_language, "The first prompt should not wait for this.")
    await parts.database.run(parts.leaderboard.standings)


async def _prepare(parts: Parts) -> None:
    """Ask every platform for its models; the minute of the start is then told with those that answered."""
    await parts.fleet.prepare()
    await parts.targets.record()


async def _hear_closed(parts: Parts) -> None:
    """Learn of sessions that were signed out, before this start or at another process of the arena."""
    from arena.closings import read_closed
    from arena.outages import DatabaseUnavailable

    with contextlib.suppress(DatabaseUnavailable):
        parts.sessions.hear_closed(await parts.database.run(read_closed, parts.database))


async def _keep_hearing(parts: Parts) -> None:
    """Go on learning of them."""
    while True:
        await asyncio.sleep(HEAR_EVERY_S)
        await _hear_closed(parts)


async def _note_history(parts: Parts) -> None:
    """Note now and then how the ratings stand; nothing is noted while no votes come."""
    from sqlalchemy.exc import SQLAlchemyError

    from arena.history import note_standings

    while True:
        try:
            await parts.database.run(note_standings, parts.database, parts.leaderboard)
        except SQLAlchemyError:  # the next note tells as much
            log.warning("How the ratings stand could not be noted", exc_info=True)
        await asyncio.sleep(NOTE_EVERY_S)


def serve(settings: Settings, service: Path | None = None) -> None:
    """Serve until stopped: the port is reserved first, so that one in use is told at once.

    `service` is the folder of a service in the background, which learns the address from a file there.

    Raises:
        ConfigError: as `build_app`, or the port cannot be had.

    """
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
        asyncio.run(make_server(app, parts.drain).serve(sockets=[listener]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the arena; exit status 2 for an unusable configuration."""
    given = _parser().parse_args(arguments)
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


def _look_around(settings: Settings) -> None:
    """Tell what is wrong with the machine, the environment or the roster; `start` has done so for a service."""
    from arena.machine_check import Level, inspect

    findings = inspect(settings, read_environment())
    for finding in findings:
        if finding.level is Level.WARNING:
            sys.stderr.write(f"Warning: {finding.sentence}\n")
    wrong = [finding.sentence for finding in findings if finding.level is Level.ERROR]
    if wrong:
        raise ConfigError("\n".join(wrong))


def _start_log(settings: Settings, service: Path | None) -> None:
    """Log to standard error, or for a service in the background to files that are rotated."""
    from arena.logs import start_log
    from arena.running import Files

    handler: logging.Handler = logging.StreamHandler()
    if service is not None:
        file = Files(service).log
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    start_log(handler, settings.log_level, settings.log_format)


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
