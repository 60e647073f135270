"""Google's access tokens, found, signed for and refreshed in threads: a stalled token endpoint stops nothing else."""

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.errors import FailureKind, ProviderError
from arena.providers.background import in_daemon_thread
from arena.providers.failures import failure

if TYPE_CHECKING:
    import google.auth.credentials

log = logging.getLogger(__name__)

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_REQUEST_S = 10.0
"""Deadline of one request to the token endpoint; google-auth's own is 120 s."""
_AHEAD = timedelta(minutes=5)
"""How long before its end a token is replaced."""
_RETRY_S = 30.0
"""Shortest wait between two refreshes in the background."""


@dataclass(frozen=True, slots=True, repr=False)
class CredentialSource:
    """Where credentials come from, first found wins; with neither, Google's application default credentials."""

    json_text: str | None = None
    """A service account's JSON itself."""
    path: str | None = None
    """What GOOGLE_APPLICATION_CREDENTIALS names."""


class GoogleCredentials:
    """A valid access token at any time, or the reason why there is none. One per process; belongs to the event loop."""

    def __init__(self, source: CredentialSource) -> None:
        self._source = source
        self._credentials: google.auth.credentials.Credentials | None = None
        self._refreshing: asyncio.Task[str] | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def quota_project(self) -> str | None:
        """The project that pays for requests, where the credentials name one."""
        return getattr(self._credentials, "quota_project_id", None)

    async def token(self) -> str:
        """An access token that is valid now, waiting for the token endpoint only where there is none.

        Raises `ProviderError`: `NOT_CONFIGURED` without usable credentials, `UNAUTHORISED` where Google refuses them,
        `CONNECTION` or `SERVER_ERROR` where its token endpoint does not answer.
        """
        held = self._credentials
        if held is not None and held.valid:
            return str(held.token)
        return await self.renew()

    async def renew(self) -> str:
        """A new access token; everybody who waits for one waits for the same request."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._renew())
            # A failure that nobody waits for any more has been told already, or will be by the next request.
            self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Whoever is cancelled, a closed tab for one, must not take the others' token away.
        return await asyncio.shield(self._refreshing)

    async def aclose(self) -> None:
        """Stop refreshing."""
        for task in (self._refreshing, self._keeping):
            if task is not None:
                task.cancel()

    async def _renew(self) -> str:
        self._credentials = await in_daemon_thread(functools.partial(refreshed, self._credentials, self._source))
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_fresh())
        return str(self._credentials.token)

    async def _keep_fresh(self) -> None:
        """Replace the token before it ends, for as long as the arena runs."""
        while True:
            expiry = self._credentials.expiry if self._credentials else None
            left = (expiry.replace(tzinfo=UTC) - datetime.now(UTC) - _AHEAD).total_seconds() if expiry else 0.0
            await asyncio.sleep(max(left, _RETRY_S))
            try:
                await self.renew()
            except ProviderError as error:
                log.warning("Google's access token could not be refreshed: %s: %s", error.kind, error.detail)


def refreshed(
    held: "google.auth.credentials.Credentials | None", source: CredentialSource
) -> "google.auth.credentials.Credentials":
    """The credentials with a new token: those held, or those that `source` tells; blocks, so it runs in a thread.

    Raises `ProviderError` as `GoogleCredentials.token`.
    """
    import google.auth.exceptions
    import requests
    from google.auth.transport.requests import Request

    try:
        credentials = held or _load(source)
        with requests.Session() as session:
            credentials.refresh(functools.partial(Request(session), timeout=_REQUEST_S))  # type: ignore[no-untyped-call]
    except google.auth.exceptions.RefreshError as error:
        kind = FailureKind.SERVER_ERROR if error.retryable else FailureKind.UNAUTHORISED
        raise failure(kind, f"the token endpoint said: {error}") from error
    except google.auth.exceptions.TransportError as error:
        raise failure(FailureKind.CONNECTION, f"the token endpoint cannot be reached: {error}") from error
    except (TypeError, ValueError, LookupError) as error:
        # google-auth trips over an answer that is not JSON, such as a sign-in page, in several ways.
        raise failure(
            FailureKind.MALFORMED, f"the token endpoint's answer is no token: {type(error).__name__}"
        ) from error
    return credentials


def _load(source: CredentialSource) -> "google.auth.credentials.Credentials":
    """Find the credentials; raises `ProviderError` that says what to do where there are none that can be used."""
    if source.json_text is not None:
        return _from_json(source.json_text, "ARENA_GOOGLE_CREDENTIALS_JSON")
    if source.path is None:
        return _application_default()
    try:
        text = Path(source.path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise failure(
            FailureKind.NOT_CONFIGURED, f"GOOGLE_APPLICATION_CREDENTIALS: {source.path} cannot be read: {why}."
        ) from error
    return _from_json(text, "GOOGLE_APPLICATION_CREDENTIALS")


def _application_default() -> "google.auth.credentials.Credentials":
    """What google-auth finds by itself: gcloud's file, or the metadata server of a machine of Google's."""
    import google.auth
    import google.auth.exceptions

    try:
        found: google.auth.credentials.Credentials = google.auth.default(scopes=_SCOPES)[0]
    except google.auth.exceptions.GoogleAuthError as error:
        raise failure(
            FailureKind.NOT_CONFIGURED,
            "No Google credentials: set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file, "
            "or run gcloud auth application-default login.",
        ) from error
    return found


def _from_json(text: str, variable: str) -> "google.auth.credentials.Credentials":
    """Credentials from a key file's text: a service account's or a user's; others only google-auth itself can find."""
    import google.auth.exceptions
    from google.oauth2 import credentials, service_account

    readers: dict[str, Callable[..., google.auth.credentials.Credentials]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
    }
    try:
        info: dict[str, Any] = json.loads(text)
        if (read := readers.get(info["type"])) is None:
            return _application_default()
        found: google.auth.credentials.Credentials = read(info, scopes=_SCOPES)
    except (ValueError, LookupError, AttributeError, TypeError, google.auth.exceptions.GoogleAuthError) as error:
        # The text may be all secret, so not a word of what the parser quotes from it.
        raise failure(
            FailureKind.NOT_CONFIGURED, f"{variable} holds no usable Google credentials: {type(error).__name__}."
        ) from None
    return found
