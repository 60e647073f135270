"""All that an operator does about tuning, for pages and commands.

Who may call is the caller's business: pages ask for the operator's session, commands belong to whoever has the machine.
Everything blocks but `start_following`, `take_in` and `aclose`; from the event loop call it through `Database.run`.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from arena.config import Settings
from arena.database import Database
from arena.errors import TuningError
from arena.finetune import store
from arena.finetune.configuration import TuningConfig
from arena.finetune.follow import Follower
from arena.finetune.lineage import Member, read_lineage
from arena.finetune.plan import Plan, Wish, make_plan, preflight
from arena.finetune.platform import PlatformName
from arena.finetune.platforms import Platforms
from arena.finetune.register import Intake, Registration, register_model, tuned_models
from arena.finetune.sending import Sender
from arena.fleet import Fleet
from arena.leaderboard import Leaderboard
from arena.roster import ModelEntry, Roster
from arena.tables import TunedModel, TuningEvent, TuningJob, new_id, now


class TuningDesk:
    """One per process."""

    def __init__(
        self,
        database: Database,
        roster: Roster,
        settings: Settings,
        *,
        fleet: Fleet | None = None,
        first_wait_s: float = 5.0,
    ) -> None:
        """`roster` is the file's; `fleet`, of a running arena, takes registered models in; the wait is `Sender`'s."""
        self._database = database
        self._roster = roster
        self._settings = settings
        self._platforms = Platforms(settings)
        holder = f"{socket.gethostname()}:{os.getpid()}:{new_id()[:8]}"
        self._sender = Sender(database, self._platforms, holder, first_wait_s=first_wait_s)
        self._intake = Intake(database, fleet, settings) if fleet is not None else None
        self._follower = Follower(database, self._sender, self.take_in)

    # ── a running arena ─────────────────────────────────────────────────────────────────────────────────────────────

    def start_following(self) -> None:
        """Follow every job in the background from now on, and take in models that any process registers."""
        self._follower.start()

    async def take_in(self) -> Sequence[str]:
        """Take registered models into the running arena now; returns the ids of those that are new."""
        return await self._intake.take_in() if self._intake is not None else ()

    async def aclose(self) -> None:
        """Stop following; close every connection."""
        await self._follower.aclose()
        self.close()

    def close(self) -> None:
        """Close every connection of a desk that follows nothing."""
        self._platforms.close()

    # ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self) -> TuningConfig:
        """What may be tuned; raises `ConfigError` where the file cannot be used."""
        return self._platforms.config

    def plan(self, wish: Wish) -> Plan:
        """What would be sent, asked for at the platform too; nothing is sent.

        Raises:
            ConfigError: the file, the configuration or the credentials cannot be used.
            TuningError: the arena is a demonstration.

        """
        self._refuse_demo()
        plan = make_plan(self.config, self._resolved(wish))
        return preflight(plan, self._platforms(plan.platform))

    def configured(self, platform: PlatformName, base_model: str) -> Mapping[str, Any]:
        """The hyperparameters that the configuration has for a base model, or for what a registered one was made of.

        Raises:
            ConfigError: the configuration cannot be used.

        """
        registered = {model.id: model for model in self.models()}
        if base_model in registered:
            job = store.read_job(self._database, registered[base_model].job_id)
            base_model = self._origin(job, registered)
        entry = self.config.platform(platform).models.get(base_model)
        return entry.hyperparameters if entry is not None else {}

    def start(self, plan: Plan, *, at_once: bool = False) -> TuningJob:
        """Store a job, which the follower of a running arena sends; `at_once`: send it here and now.

        Raises:
            TuningError: the plan has problems, or exactly this was sent before.

        """
        self._refuse_demo()
        job = store.add_job(self._database, plan)
        if at_once:
            return self._sender.advance(job.id)
        self._follower.wake()
        return job

    def advance(self, job_id: str) -> TuningJob:
        """Do a job's next step now, unless another process is at it."""
        return self._sender.advance(job_id)

    def advance_if_due(self, job_id: str) -> TuningJob:
        """The job as it is now, after its next step if that is due and no other process is at it."""
        job = store.read_job(self._database, job_id)
        return self._sender.advance(job_id) if job.ended_at is None and job.due_at <= now() else job

    def jobs(self) -> Sequence[TuningJob]:
        """Every job, the newest first."""
        return store.list_jobs(self._database)

    def job(self, beginning: str) -> TuningJob:
        """The job whose id begins so; raises `TuningError` where none does, or several do."""
        return store.find_job(self._database, beginning)

    def events(self, job_id: str) -> Sequence[TuningEvent]:
        """What happened to a job, the oldest first."""
        return store.events_of(self._database, job_id)

    def cancel(self, job_id: str) -> TuningJob:
        """Ask for a job's end; raises `TuningError` if it has ended."""
        job = store.request_cancel(self._database, job_id)
        self._follower.wake()
        return job

    # ── models ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def register(self, job: TuningJob, wish: Registration) -> TunedModel:
        """Add a job's result to the roster; a running arena takes it in by itself, at once where it is this process.

        Raises:
            TuningError: there is no such result, or the id is taken.

        """
        registered = register_model(self._database, self.config, self._roster, job, wish)
        self._follower.wake()
        return registered

    def models(self) -> Sequence[TunedModel]:
        """Every registered model, the oldest first."""
        return tuned_models(self._database)

    def lineage(self, entries: Sequence[ModelEntry], leaderboard: Leaderboard) -> Sequence[Member]:
        """The family trees of `entries`, and the verdict on each step; costs by the number of votes."""
        return read_lineage(self._database, entries, leaderboard.comparisons())

    def _refuse_demo(self) -> None:
        if self._settings.demo:
            raise TuningError(
                "An offline demonstration trains nothing: start the arena with a roster and its credentials."
            )

    def _resolved(self, wish: Wish) -> Wish:
        """A base model may be a registered model's id: it is tuned further, at the price of what it was made of."""
        registered: Mapping[str, TunedModel] = {model.id: model for model in self.models()}
        model = registered.get(wish.base_model or "")
        if model is None:
            return wish
        job = store.read_job(self._database, model.job_id)
        if job.platform != wish.platform:
            raise TuningError(f"{model.id} is at another platform and cannot be tuned further at {wish.platform}.")
        if job.platform == "vertex" and model.step is not None:
            raise TuningError(f"{model.id} is a checkpoint: at Vertex AI only a job's final model is tuned further.")
        name: Any = job.result_base if model.step is None else model.entry["model_name"]
        return replace(wish, base_model=str(name), parent=model.id, priced_as=self._origin(job, registered))

    def _origin(self, job: TuningJob, registered: Mapping[str, TunedModel]) -> str:
        """The base model of the configuration that a job's model comes from in the end."""
        while job.parent is not None and job.parent in registered:
            job = store.read_job(self._database, registered[job.parent].job_id)
        return job.base_model
