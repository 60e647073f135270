"""What every page is built from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from arena.battle import Arena
from arena.boards import Boards
from arena.campaigns.judging import Judging
from arena.challenges import Challenge
from arena.config import Settings
from arena.database import Database
from arena.finetune import TuningDesk
from arena.fleet import Fleet
from arena.keeping import Keeper
from arena.leaderboard import Leaderboard
from arena.limits import Limits
from arena.preferences.desk import PreferenceDesk
from arena.rubric import NO_RUBRIC, Rubric
from arena.style import StyleControl
from arena.targets import Targets
from arena.voters import VoterIdentity


def _nobody_counts(reason: str, battle: str) -> None:
    del reason, battle


@dataclass(frozen=True, slots=True)
class PageContext:
    """The collaborators of the pages, and how a page learns who asks."""

    arena: Arena
    judging: Judging
    tuning: TuningDesk
    preferences: PreferenceDesk
    fleet: Fleet
    limits: Limits
    leaderboard: Leaderboard
    boards: Boards
    style: StyleControl
    targets: Targets
    keeper: Keeper
    challenges: Sequence[Challenge]
    settings: Settings
    database: Database
    demo: bool
    """Offline demonstration models answer; every page says so."""
    voter: Callable[[gr.Request], VoterIdentity]
    """Who asks, from the signed cookie of the request; nothing that the browser sends otherwise is believed."""
    is_operator: Callable[[gr.Request], bool]
    """Whether the request carries an operator's session; every operator handler asks by itself."""
    rubric: Rubric = NO_RUBRIC
    """What a voter can rate beside the vote."""
    sign_in: str = ""
    """The address where a visitor signs in; empty where nobody can."""
    refused: Callable[[str, str], None] = _nobody_counts
    """Hears why something was refused, and of which battle's id, to be counted."""
