"""Vertex AI's clients: one for each place that requests go to, all over one transport and with one access token."""

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.providers.background import in_daemon_thread
from arena.providers.google_credentials import GoogleCredentials

if TYPE_CHECKING:
    import google.genai
    import google.oauth2.credentials
    import httpx


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go; each has a client, and its connections, of its own."""

    project: str
    location: str
    base_url: str | None


class VertexClients:
    """Makes clients when they are first needed; the SDK's imports and the token wait beside the event loop."""

    def __init__(self, credentials: GoogleCredentials) -> None:
        self._credentials = credentials
        self._clients: dict[Place, google.genai.Client] = {}
        self._transport: httpx.AsyncClient | None = None
        self._held: google.oauth2.credentials.Credentials | None = None
        self._connecting = asyncio.Lock()
        self._making = threading.Lock()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._credentials.aclose()
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._transport is not None:
            await self._transport.aclose()

    async def sdk_loaded(self) -> None:
        """Load what `at` needs, where nothing has: seconds on a busy machine, and none of them Google's."""
        await in_daemon_thread(_load_sdk)

    async def renew_token(self) -> None:
        """Get a new access token: the platform refused the one in use."""
        await self._credentials.renew()

    async def at(self, place: Place) -> "google.genai.Client":
        """The client of a place, made when first needed, with an access token that is valid now."""
        token = await self._credentials.token()
        async with self._connecting:
            if place not in self._clients:
                self._clients[place] = await in_daemon_thread(lambda: self._connect(place))
        if self._held is not None:
            self._held.token = token
        return self._clients[place]

    def _connect(self, place: Place) -> "google.genai.Client":
        """A client without retries over our transport: the SDK's own retries, and keeps answers to itself."""
        import google.genai
        import google.oauth2.credentials
        import httpx

        from arena.providers.vertex_transport import VertexTransport

        # Whoever waits for a client may give up before its thread has made it, and the next one starts another thread.
        with self._making:
            if self._transport is None:
                # Without compression: small pieces gain nothing by it, and each would have to be unpacked.
                self._transport = httpx.AsyncClient(
                    transport=VertexTransport(), headers={"accept-encoding": "identity"}
                )
            if self._held is None:
                # The token that `GoogleCredentials` keeps fresh: with an expiry, the SDK would refresh it by itself.
                self._held = google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
                    token="pending",  # noqa: S106 - replaced before each request
                    quota_project_id=self._credentials.quota_project,
                )
        return google.genai.Client(
            vertexai=True,
            project=place.project,
            location=place.location,
            credentials=self._held,
            http_options=google.genai.types.HttpOptions(base_url=place.base_url, httpx_async_client=self._transport),
        )


def _load_sdk() -> None:
    """Import what clients and their tokens are made with."""
    import google.auth.transport.requests
    import google.genai
    import google.oauth2.service_account  # noqa: F401

    import arena.providers.vertex_transport  # noqa: F401
