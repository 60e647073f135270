"""One job's next steps: upload, start, follow, cancel. Each may be repeated; none starts a second job.

A job carries its mark at the platform. Before a job is started the platform is asked for one with that mark, and that
it is being started is stored first: an answer that was lost, or a process that ended at that moment, leaves a job that
is looked for and never started again by itself.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from arena.database import Database
from arena.errors import ConfigError, TuningError
from arena.finetune import store
from arena.finetune.platform import JobFacts, JobOrder, PlatformRefusal, PlatformSilence, TuningPlatform, Upload
from arena.preferences.manifest import sha256_of
from arena.tables import TuningJob, now

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 60.0
_LONGEST_WAIT_IN_TROUBLE_S = 600.0
_SETTLES = 24
"""First waits after which a job whose start was not answered is given up if the platform still lists none."""


class Sender:
    """Does the next step of a job, one process at a time; blocks."""

    def __init__(
        self,
        database: Database,
        platform_of: Callable[[str], TuningPlatform],
        holder: str,
        *,
        first_wait_s: float = 5.0,
    ) -> None:
        """`platform_of` gives the platform of a name; `holder` tells this process from others."""
        self._database = database
        self._platform_of = platform_of
        self._holder = holder
        self._first_wait_s = first_wait_s

    def advance(self, job_id: str) -> TuningJob:
        """Do all that can be done now, unless another process does; returns the job as it is then."""
        if not store.hold(self._database, job_id, self._holder):
            return store.read_job(self._database, job_id)
        try:
            return self._step(store.read_job(self._database, job_id))
        finally:
            store.release(self._database, job_id, self._holder)

    def postpone(self, job_id: str) -> TuningJob:
        """Look at a job later: a step of it failed in a way that nobody foresaw."""
        sentence = "Its latest step failed unexpectedly; see the log. It is tried again."
        return self._wait(store.read_job(self._database, job_id), trouble=sentence)

    def _step(self, job: TuningJob) -> TuningJob:
        try:
            platform = self._platform_of(job.platform)
            if job.platform_job is None:
                return self._send(job, platform)
            return self._follow(job, job.platform_job, platform)
        except PlatformRefusal as error:
            # Read again: the step may have started the job before it was refused something else.
            job = store.read_job(self._database, job.id)
            if error.lasting and job.platform_job is None and job.tried_at is None:
                return self._end(job, "not_sent", str(error))
            return self._wait(job, trouble=str(error))
        except (PlatformSilence, ConfigError) as error:
            return self._wait(job, trouble=str(error))

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, job: TuningJob, platform: TuningPlatform) -> TuningJob:
        if job.cancel_requested and job.tried_at is None:
            return self._end(job, "cancelled", "Cancelled before it was started.")
        try:
            job = self._uploaded(job, platform)
        except (OSError, TuningError) as error:
            if isinstance(error, PlatformRefusal | PlatformSilence):
                raise
            return self._end(job, "not_sent", str(error))
        found = platform.find(job.mark, store.known_platform_jobs(self._database, job.mark))
        if found is not None:
            return self._started(job, found, platform)
        if job.tried_at is not None:
            return self._not_found(job)
        return self._start(job, platform)

    def _uploaded(self, job: TuningJob, platform: TuningPlatform) -> TuningJob:
        """Bring the files there; raises OSError or TuningError where they are not what was planned any more."""
        if job.platform_file is None:
            store.record_examples(self._database, job)
            sent = platform.upload(_upload(job.training_file, job.training_sha256, "train"))
            job = store.note(self._database, job.id, platform_file=sent)
        if job.validation_file and job.validation_sha256 and job.platform_validation_file is None:
            sent = platform.upload(_upload(job.validation_file, job.validation_sha256, "validation"))
            job = store.note(self._database, job.id, platform_validation_file=sent)
        return job

    def _start(self, job: TuningJob, platform: TuningPlatform) -> TuningJob:
        # An upload may have outlasted this process's right to the job: whoever has it now starts it.
        if not store.hold(self._database, job.id, self._holder):
            return store.read_job(self._database, job.id)
        store.note(self._database, job.id, tried_at=now())
        try:
            started = platform.create(_order(job))
        except PlatformRefusal:
            store.note(self._database, job.id, tried_at=None)
            raise
        return self._started(job, started, platform)

    def _started(self, job: TuningJob, started: str, platform: TuningPlatform) -> TuningJob:
        log.info("tuning job %s runs at %s as %s", job.id, job.platform, started)
        job = store.note(
            self._database, job.id, platform_job=started, tried_at=None, sent_at=now(), trouble=None, looks=0
        )
        return self._follow(job, started, platform)

    def _not_found(self, job: TuningJob) -> TuningJob:
        settled = timedelta(seconds=_SETTLES * self._first_wait_s)
        if job.tried_at is not None and now() - job.tried_at > settled:
            sentence = "The platform never confirmed the job and lists none: tune again to send it anew."
            return self._end(job, "not_sent", sentence)
        return self._wait(
            job, trouble="The platform did not confirm the job; it is looked for there, not started again."
        )

    # ── following ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, job: TuningJob, name: str, platform: TuningPlatform) -> TuningJob:
        if job.cancel_requested:
            self._cancel(job, name, platform)
        facts = platform.look(name)
        store.note_events(self._database, job.id, facts.events)
        news = facts.status != job.status
        job = self._noted(job, facts)
        if facts.outcome is not None:
            return self._end(job, facts.outcome, facts.reason)
        return self._wait(job, trouble=None, news=news)

    def _cancel(self, job: TuningJob, name: str, platform: TuningPlatform) -> None:
        try:
            platform.cancel(name)
        except PlatformRefusal as error:
            # Most often it has just ended, which the next look tells.
            log.info("tuning job %s was not cancelled: %s", job.id, error)

    def _noted(self, job: TuningJob, facts: JobFacts) -> TuningJob:
        checkpoints = [{"step": c.step, "model": c.model, "metrics": dict(c.metrics)} for c in facts.checkpoints]
        return store.note(
            self._database,
            job.id,
            status=facts.status,
            result_model=facts.model,
            result_base=facts.base,
            checkpoints=checkpoints,
            trained_tokens=facts.trained_tokens,
            dropped=store.mapped_back(self._database, job.id, facts.dropped),
            dropped_lines=facts.dropped_lines,
            checked_at=now(),
        )

    # ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _wait(self, job: TuningJob, *, trouble: str | None, news: bool = False) -> TuningJob:
        """Look again later; the longer nothing changes, the later."""
        looks = 0 if news else job.looks + 1
        longest = _LONGEST_WAIT_S if trouble is None else _LONGEST_WAIT_IN_TROUBLE_S
        wait_s = min(self._first_wait_s * 1.5 ** min(looks, 20), longest)
        due = now() + timedelta(seconds=wait_s)
        return store.note(self._database, job.id, trouble=trouble, looks=looks, due_at=due)

    def _end(self, job: TuningJob, outcome: str, reason: str | None) -> TuningJob:
        log.info("tuning job %s has ended: %s", job.id, outcome)
        return store.note(self._database, job.id, outcome=outcome, reason=reason, trouble=None, ended_at=now())


def _upload(file: str, sha256: str, split: str) -> Upload:
    path = Path(file)
    if sha256_of(path) != sha256:
        raise TuningError(f"{path}: has changed since it was to be sent; export it again and tune anew.")
    return Upload(path, sha256, split)


def _order(job: TuningJob) -> JobOrder:
    return JobOrder(
        mark=job.mark,
        base_model=job.base_model,
        method="supervised" if job.method == "supervised" else "preference",
        hyperparameters=job.hyperparameters,
        name=job.name,
        training=job.platform_file or "",
        validation=job.platform_validation_file,
    )
