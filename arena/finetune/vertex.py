"""Tuning on Vertex AI: files through Cloud Storage, jobs through google-genai, one access token for both."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arena.errors import ProviderError
from arena.finetune.platform import (
    REQUEST_S,
    JobFacts,
    JobOrder,
    PlatformRefusal,
    PlatformSilence,
    Preflight,
    Upload,
)
from arena.finetune.vertex_facts import facts_of
from arena.providers.failures import redacted
from arena.providers.google_credentials import CredentialSource, refreshed

if TYPE_CHECKING:
    import google.auth.credentials
    import google.cloud.storage
    import google.genai
    import google.oauth2.credentials
    import httpx

_MARK = "arena_mark"
_NUMBERS = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN"}
_JOBS = 1000
"""So many jobs of the project are looked through for a mark."""


@dataclass(frozen=True, slots=True)
class VertexPlace:
    """Where files and jobs go."""

    project: str
    location: str
    bucket: str
    """With or without a folder behind it."""
    api_base: str | None
    storage_base: str | None


class VertexTuning:
    """A `TuningPlatform` for one project and location."""

    def __init__(self, place: VertexPlace, source: CredentialSource) -> None:
        self._place = place
        self._source = source
        self._credentials: google.auth.credentials.Credentials | None = None
        self._held: google.oauth2.credentials.Credentials | None = None
        self._transport: httpx.Client | None = None
        self._client: google.genai.Client | None = None
        self._storage: google.cloud.storage.Client | None = None
        self._lock = threading.Lock()

    def preflight(self, base_model: str) -> Preflight:
        """See `TuningPlatform.preflight`: asks for the published model, and for the latest job."""
        from google.genai import types

        name = base_model if "/" in base_model else f"publishers/google/models/{base_model}"
        try:
            with self._telling() as client:
                client.models.get(model=name)
        except PlatformRefusal as error:
            return Preflight((f"The base model {base_model} cannot be had: {error}",))
        try:
            with self._telling() as client:
                client.tunings.list(config=types.ListTuningJobsConfig(page_size=1))
        except PlatformRefusal as error:
            return Preflight((f"Vertex AI takes no tuning jobs from this account: {error}",))
        return Preflight()

    def upload(self, file: Upload) -> str:
        """See `TuningPlatform.upload`; returns a `gs://` address."""
        from google.api_core import exceptions

        bucket, _, folder = self._place.bucket.removeprefix("gs://").strip("/").partition("/")
        name = f"{folder}/{file.name}" if folder else file.name
        with self._telling():
            blob = self._storage_client().bucket(bucket).blob(name)
            # Generation 0 means: only if there is no object of this name yet. The name tells the content, so one that
            # is there already is this file.
            with suppress(exceptions.PreconditionFailed):
                blob.upload_from_filename(
                    str(file.path),
                    content_type="application/jsonl",
                    if_generation_match=0,
                    timeout=REQUEST_S,
                    retry=None,
                )
        return f"gs://{bucket}/{name}"

    def find(self, mark: str, known: frozenset[str]) -> str | None:
        """See `TuningPlatform.find`."""
        from google.genai import types

        with self._telling() as client:
            jobs = client.tunings.list(config=types.ListTuningJobsConfig(page_size=100))
            for number, job in enumerate(jobs):
                if (job.labels or {}).get(_MARK) == mark and job.name and job.name not in known:
                    return job.name
                if number >= _JOBS:
                    break
        return None

    def create(self, order: JobOrder) -> str:
        """See `TuningPlatform.create`."""
        from google.genai import types

        # The class, not a dict: of a dict's fields the SDK silently loses some. `method` is always said: left out, the
        # hyperparameters of a preference job would go out beside a supervised one's.
        preference = order.method == "preference"
        chosen: dict[str, Any] = dict(order.hyperparameters)
        if "adapter_size" in chosen:
            chosen["adapter_size"] = types.AdapterSize(f"ADAPTER_SIZE_{_NUMBERS[chosen['adapter_size']]}")
        config = types.CreateTuningJobConfig(
            method=types.TuningMethod.PREFERENCE_TUNING if preference else types.TuningMethod.SUPERVISED_FINE_TUNING,
            tuned_model_display_name=order.name,
            labels={_MARK: order.mark},
            validation_dataset=types.TuningValidationDataset(gcs_uri=order.validation) if order.validation else None,
            **chosen,
        )
        with self._telling() as client:
            job = client.tunings.tune(
                base_model=order.base_model,
                training_dataset=types.TuningDataset(gcs_uri=order.training),
                config=config,
            )
        if not job.name:
            raise PlatformSilence("Vertex AI answered without a job's name.")
        return str(job.name)

    def look(self, job: str) -> JobFacts:
        """See `TuningPlatform.look`. Vertex AI keeps no list of events: changes of state stand for them."""
        with self._telling() as client:
            told = client.tunings.get(name=job)
        return facts_of(told)

    def cancel(self, job: str) -> None:
        """See `TuningPlatform.cancel`."""
        with self._telling() as client:
            client.tunings.cancel(name=job)

    def close(self) -> None:
        """See `TuningPlatform.close`."""
        if self._client is not None:
            self._client.close()
        if self._transport is not None:
            self._transport.close()
        if self._storage is not None:
            self._storage.close()

    # ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _telling(self) -> "Iterator[google.genai.Client]":
        """The client with a valid token; turns the SDKs' errors into the arena's, and their warnings into nothing."""
        import httpx
        import requests
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.genai import errors

        try:
            client = self._connected()
            with warnings.catch_warnings():
                # The SDK warns that tuning is experimental, and of each word that it does not know.
                warnings.simplefilter("ignore")
                yield client
        except ProviderError as error:
            raise PlatformRefusal(f"Google gave no access: {error.detail}", lasting=False) from error
        except errors.APIError as error:
            raise _refusal(error.code, error.message or "") from error
        except exceptions.GoogleAPICallError as error:
            raise _refusal(error.code, error.message or str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, requests.RequestException, GoogleAuthError, ValueError) as error:
            said = redacted(f"{type(error).__name__}: {error}")
            raise PlatformSilence(f"Google gave no usable answer ({said}).") from error

    def _connected(self) -> "google.genai.Client":
        import google.genai

        with self._lock:
            held = self._with_token()
            if self._client is None:
                self._client = google.genai.Client(
                    vertexai=True,
                    project=self._place.project,
                    location=self._place.location,
                    credentials=held,
                    http_options=google.genai.types.HttpOptions(
                        base_url=self._place.api_base, httpx_client=self._transport
                    ),
                )
            return self._client

    def _with_token(self) -> "google.oauth2.credentials.Credentials":
        """Credentials that hold a valid token and no more; others would refresh themselves, at Google's deadlines."""
        import google.oauth2.credentials
        import httpx

        if self._credentials is None or not self._credentials.valid:
            self._credentials = refreshed(self._credentials, self._source)
        if self._held is None or self._transport is None:
            self._transport = httpx.Client(timeout=REQUEST_S)
            self._held = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
                token=None, quota_project_id=getattr(self._credentials, "quota_project_id", None)
            )
        self._held.token = self._credentials.token
        return self._held

    def _storage_client(self) -> "google.cloud.storage.Client":
        from google.cloud import storage

        if self._storage is None:
            base = self._place.storage_base
            self._storage = storage.Client(
                project=self._place.project,
                credentials=self._held,
                client_options={"api_endpoint": base} if base else None,
            )
        return self._storage


def _refusal(status: object, message: str) -> PlatformRefusal | PlatformSilence:
    said = redacted(message)
    code = int(status) if isinstance(status, int) else 500
    if code >= 500 or code in (408, 409):
        return PlatformSilence(f"Google failed on its side ({code}: {said}).")
    if code == 401:
        return PlatformRefusal(
            f"Google refused the credentials: check GOOGLE_APPLICATION_CREDENTIALS. It said: {said}", lasting=True
        )
    if code == 403:
        roles = "Vertex AI User, and for the bucket Storage Object User"
        sentence = f"Google does not allow it: give the account the roles {roles}. It said: {said}"
        return PlatformRefusal(sentence, lasting=True)
    if code == 429:
        return PlatformRefusal(f"Vertex AI takes no more for now (quota): {said}", lasting=False)
    return PlatformRefusal(f"Vertex AI refused: {said}", lasting=True)
