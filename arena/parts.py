"""What the arena is made of: every part that stands behind its pages, built in order of dependency."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from arena.battle import Arena, recover_interrupted
from arena.campaigns.arrivals import Arrivals
from arena.campaigns.judging import Judging
from arena.challenges import Challenge, load_challenges
from arena.config import Settings, read_environment
from arena.database import Database, open_database
from arena.finetune import TuningDesk, with_tuned
from arena.fleet import Fleet
from arena.hub import Hub
from arena.keeping import Keeper
from arena.keys import load_admin_password, load_secret
from arena.leaderboard import Leaderboard
from arena.limits import Limits
from arena.machine_check import require_local_database
from arena.moderation import Moderation
from arena.monitoring import Monitor
from arena.preferences.desk import PreferenceDesk
from arena.providers.base import Gathering
from arena.providers.demo import demo_roster
from arena.providers.factory import build_moderation, build_providers, credentials_configured
from arena.refusals import Refusals
from arena.revisions import list_revision
from arena.reviving import revive
from arena.roster import Roster, load_roster
from arena.rubric import Rubric, load_rubric
from arena.style import StyleControl
from arena.targets import Targets
from arena.web.session import CookieRules, Sessions
from arena.web.streams import PageStreams

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the arena is made of; `app.build_app` keeps it as `app.state.parts`."""

    settings: Settings
    challenges: Sequence[Challenge]
    rubric: Rubric
    database: Database
    fleet: Fleet
    limits: Limits
    leaderboard: Leaderboard
    style: StyleControl
    arena: Arena
    tuning: TuningDesk
    preferences: PreferenceDesk
    judging: Judging
    monitor: Monitor
    targets: Targets
    keeper: Keeper
    streams: PageStreams
    sessions: Sessions
    cookies: CookieRules
    refusals: Refusals
    moderation: Moderation

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


def build_parts(settings: Settings) -> Parts:
    """Build what stands behind the pages, in order of dependency.

    Raises:
        ConfigError: the roster, the database or a secret is unusable; says what to change.

    """
    settings, roster = _decide_demo(settings)
    require_local_database(settings, read_environment())
    sessions, cookies = _build_sessions(settings)
    challenges, rubric = _read_questions(settings)
    database, keeper = _open_database(settings)
    fleet, gathering = _build_fleet(settings, roster, database)
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
        gathering=gathering,
    )
    streams, refusals = PageStreams(), Refusals()
    targets, monitor = _watch(arena, fleet, limits, database, keeper, streams, refusals)
    arena.on_answered(monitor.answered)
    fleet.on_ready(lambda model: database.later(partial(list_revision, database, model, fleet.deployment(model.id))))
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


def _open_database(settings: Settings) -> tuple[Database, Keeper]:
    """Open the votes, brought back first where the disk was emptied, and whatever keeps them safe."""
    given = read_environment()
    hub = Hub(settings.backup_repo, given.get("HF_TOKEN"), given.get("HF_ENDPOINT")) if settings.backup_repo else None
    if revived := revive(settings, hub):
        log.info("Brought back from %s, and %d votes given since", revived.backup or "the log", revived.votes)
    database = open_database(settings.resolved_database_url)
    if interrupted := recover_interrupted(database):
        log.info("%d battles that a stopped process left running are abandoned", interrupted)
    return database, Keeper(settings, database, hub)


def _watch(
    arena: Arena,
    fleet: Fleet,
    limits: Limits,
    database: Database,
    keeper: Keeper,
    streams: PageStreams,
    refusals: Refusals,
) -> tuple[Targets, Monitor]:
    """Whatever tells how the arena does."""
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


def _build_judging(settings: Settings, database: Database, leaderboard: Leaderboard, rubric: Rubric) -> Judging:
    """Campaigns count their new voters by themselves: a campaign never keeps anybody from a battle."""
    arrivals = Arrivals(settings.battles_per_minute)
    return Judging(database=database, leaderboard=leaderboard, arrivals=arrivals, demo=settings.demo, rubric=rubric)


def _read_questions(settings: Settings) -> tuple[Sequence[Challenge], Rubric]:
    """What the data folder asks of models, and of voters."""
    return load_challenges(settings.data_dir), load_rubric(settings.data_dir)


def _build_fleet(settings: Settings, roster: Roster, database: Database) -> tuple[Fleet, Gathering]:
    """The roster file's models, and those that came of tuning jobs."""
    whole = roster if settings.demo else with_tuned(database, roster, read_environment())
    gathering = Gathering()
    return Fleet(whole, build_providers(settings, whole, gathering), settings), gathering


def _build_sessions(settings: Settings) -> tuple[Sessions, CookieRules]:
    sessions = Sessions(load_secret(settings), load_admin_password(settings), settings)
    return sessions, CookieRules(framed="SPACE_ID" in read_environment())


def _decide_demo(settings: Settings) -> tuple[Settings, Roster]:
    """Demonstration models where they were asked for, or where fewer than two models could ever be asked."""
    if settings.demo:
        return settings, demo_roster()
    roster = load_roster(settings.models, read_environment())
    if sum(credentials_configured(entry, settings) for entry in roster) < 2:
        return settings.model_copy(update={"demo": True}), demo_roster()
    return settings, roster
