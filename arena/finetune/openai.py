"""Tuning at OpenAI, and at servers that take the same files by the same requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from arena.finetune.platform import (
    REQUEST_S,
    Checkpoint,
    JobFacts,
    JobOrder,
    Outcome,
    PlatformEvent,
    PlatformRefusal,
    PlatformSilence,
    Preflight,
    Upload,
)
from arena.providers.failures import redacted
from arena.roster import OPENAI_BASE_URL

if TYPE_CHECKING:
    import openai
    from openai.types.fine_tuning import FineTuningJob

_MARK = "arena_mark"
_OUTCOMES: dict[str, Outcome] = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}
_UPLOAD_S = 3600.0
_EVENTS = 300
"""So many of the newest events are read at each look."""
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


class OpenAITuning:
    """A `TuningPlatform` over the official client, which never repeats a request by itself here."""

    def __init__(self, api_key: str, api_base: str | None) -> None:
        import openai

        # Both are always passed: left out, they would come from the environment, and OpenAI's key go to a third party.
        self._key = api_key
        self._client = openai.OpenAI(
            api_key=api_key, base_url=api_base or OPENAI_BASE_URL, max_retries=0, timeout=REQUEST_S
        )

    def preflight(self, base_model: str) -> Preflight:
        """See `TuningPlatform.preflight`: asks for the model's description and for the latest job."""
        try:
            with self._telling():
                described = self._client.models.retrieve(base_model)
        except PlatformRefusal as error:
            return Preflight((f"The base model {base_model} cannot be had: {error}",))
        try:
            with self._telling():
                self._client.fine_tuning.jobs.list(limit=1)
        except PlatformRefusal as error:
            return Preflight((f"OpenAI takes no tuning jobs with this key: {error}",), _day(described.shutdown_date))
        return Preflight((), _day(described.shutdown_date))

    def upload(self, file: Upload) -> str:
        """See `TuningPlatform.upload`."""
        size = file.path.stat().st_size
        with self._telling():
            for stored in self._client.files.list(purpose="fine-tune", limit=1000):
                if (stored.filename, stored.bytes) == (file.name, size) and stored.status != "error":
                    return stored.id
            with file.path.open("rb") as content:
                made = self._client.files.create(
                    file=(file.name, content, "application/jsonl"), purpose="fine-tune", timeout=_UPLOAD_S
                )
        return made.id

    def find(self, mark: str, known: frozenset[str]) -> str | None:
        """See `TuningPlatform.find`."""
        with self._telling():
            # A server that does not know the filter answers with all jobs, so each is looked at.
            for job in self._client.fine_tuning.jobs.list(limit=100, metadata={_MARK: mark}):
                if (job.metadata or {}).get(_MARK) == mark and job.id not in known:
                    return job.id
        return None

    def create(self, order: JobOrder) -> str:
        """See `TuningPlatform.create`."""
        kind = "dpo" if order.method == "preference" else "supervised"
        request: dict[str, Any] = {
            "model": order.base_model,
            "training_file": order.training,
            "method": {"type": kind, kind: {"hyperparameters": dict(order.hyperparameters)}},
            "suffix": order.name,
            "metadata": {_MARK: order.mark},
        }
        if order.validation is not None:
            request["validation_file"] = order.validation
        with self._telling():
            job: FineTuningJob = self._client.fine_tuning.jobs.create(**request)
        return job.id

    def look(self, job: str) -> JobFacts:
        """See `TuningPlatform.look`."""
        with self._telling():
            told = self._client.fine_tuning.jobs.retrieve(job)
            events = list(islice(self._client.fine_tuning.jobs.list_events(job, limit=100), _EVENTS))
            outcome = _OUTCOMES.get(told.status)
            saved = list(self._client.fine_tuning.jobs.checkpoints.list(job, limit=100)) if outcome else []
        checkpoints = [
            Checkpoint(one.step_number, one.fine_tuned_model_checkpoint, one.metrics.model_dump(exclude_none=True))
            for one in sorted(saved, key=lambda one: one.step_number)
        ]
        return JobFacts(
            id=told.id,
            status=told.status,
            outcome=outcome,
            reason=told.error.message if told.error and told.error.message else None,
            model=told.fine_tuned_model,
            base=told.fine_tuned_model,
            checkpoints=checkpoints,
            trained_tokens=told.trained_tokens,
            events=[
                PlatformEvent(one.id, datetime.fromtimestamp(one.created_at, UTC), one.level, one.message)
                for one in reversed(events)
            ],
        )

    def cancel(self, job: str) -> None:
        """See `TuningPlatform.cancel`."""
        with self._telling():
            self._client.fine_tuning.jobs.cancel(job)

    def close(self) -> None:
        """See `TuningPlatform.close`."""
        self._client.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn the SDK's errors into the arena's."""
        import httpx2
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise self._refusal(error) from error
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            cause = error.__cause__ or error
            said = redacted(f"{type(cause).__name__}: {cause}", self._key)
            raise PlatformSilence(f"OpenAI gave no usable answer ({said}).") from error

    def _refusal(self, error: "openai.APIStatusError") -> PlatformRefusal | PlatformSilence:
        said = redacted(_message(error), self._key)
        if error.status_code >= 500 or error.status_code in (408, 409):
            return PlatformSilence(f"OpenAI failed on its side ({error.status_code}: {said}).")
        if error.status_code == 401:
            return PlatformRefusal(f"OpenAI refused the API key: check OPENAI_API_KEY. It said: {said}", lasting=True)
        if error.status_code == 429 and error.code in _NO_MONEY:
            return PlatformRefusal(f"OpenAI's quota is used up; add credit or raise the limit: {said}", lasting=True)
        if error.status_code == 429:
            return PlatformRefusal(f"OpenAI takes no more for now (quota or rate limit): {said}", lasting=False)
        return PlatformRefusal(f"OpenAI refused: {said}", lasting=True)


def _message(error: "openai.APIStatusError") -> str:
    """The platform's own sentence, without the SDK's frame around it."""
    body = error.body
    return str(body["message"]) if isinstance(body, dict) and body.get("message") else error.message


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None
