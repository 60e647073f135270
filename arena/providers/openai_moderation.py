"""OpenAI's moderation endpoint, through the official SDK."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from arena.errors import FailureKind, ProviderError
from arena.providers.background import in_daemon_thread
from arena.providers.failures import failure, kind_of_status

if TYPE_CHECKING:
    import openai

MODEL = "omni-moderation-latest"


class OpenAIModeration:
    """A `Classifier` that asks OpenAI. One per process; the SDK is imported at the first prompt."""

    def __init__(self, base_url: str, api_key: str, deadline_s: float) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._deadline_s = deadline_s
        self._client: openai.AsyncOpenAI | None = None
        self._connecting = asyncio.Lock()

    async def objections(self, text: str) -> Sequence[str]:
        """See `Classifier.objections`: the endpoint's categories in plain words, such as "violence, graphic"."""
        client = await self._connected()
        import httpx2
        import openai

        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await client.moderations.create(model=MODEL, input=text)
            result = answer.results[0]
            named = [name for name, found in result.categories.model_dump(by_alias=True).items() if found]
            flagged = bool(result.flagged)
        except TimeoutError as error:
            raise ProviderError(FailureKind.TOO_SLOW) from error
        except openai.APIStatusError as error:
            raise failure(kind_of_status(error.status_code), str(error.status_code), self._api_key) from error
        except (openai.APIConnectionError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderError(FailureKind.CONNECTION) from error
        except (openai.OpenAIError, ValueError, AttributeError, IndexError, TypeError) as error:
            raise ProviderError(FailureKind.MALFORMED) from error
        if not flagged:
            return ()
        return [name.replace("/", ", ").replace("_", " ") for name in named] or ["something that may do harm"]

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> "openai.AsyncOpenAI":
        async with self._connecting:
            if self._client is None:
                self._client = await in_daemon_thread(self._connect)
            return self._client

    def _connect(self) -> "openai.AsyncOpenAI":
        import openai

        return openai.AsyncOpenAI(
            api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=self._deadline_s
        )
