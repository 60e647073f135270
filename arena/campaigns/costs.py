"""What a campaign's requests cost, in tokens and money: before they are made at most, and after they were made."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from arena.providers.base import AnswerProgress
from arena.roster import ModelEntry, Price
from arena.tables import Answer, CampaignAnswer, CampaignPrompt, ModelRevision, Prompt

CHARACTERS_PER_TOKEN = 4
"""Of answers whose tokens the platform did not tell."""
_ENVELOPE_TOKENS = 64
"""What a platform adds around a prompt."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read and written, and US dollars by the roster's prices (0 where it has none)."""

    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.tokens - other.tokens, self.usd - other.usd)


def cost_of(price: Price | None, read: int, written: int) -> Cost:
    """The cost of so many tokens."""
    return Cost(read + written, (read * price.input + written * price.output) / 1e6 if price else 0.0)


def most_cost(model: ModelEntry, prompt: str) -> Cost:
    """The most that asking may cost: no tokenizer makes more tokens than bytes, and the answer is limited."""
    asked = len(prompt.encode()) + len((model.system_prompt or "").encode()) + _ENVELOPE_TOKENS
    return cost_of(model.price, asked, model.recommended_config.max_new_tokens)


def real_cost(model: ModelEntry, prompt: str, progress: AnswerProgress) -> Cost:
    """What a request did cost: as the platform counted, else by the characters; nothing if not a word came."""
    finish = progress.finish
    counted = (finish.input_tokens, finish.output_tokens) if finish else (None, None)
    return _cost(model.price, counted, (len(prompt), len(progress.text) + len(progress.reasoning)))


def spent(session: Session, campaign_id: str, prices: Mapping[str, Price | None]) -> Cost:
    """What the campaign's own requests have cost so far, answered or not; `prices` by model id."""
    brought_in = select(CampaignAnswer.answer_id).where(CampaignAnswer.answer_id == Answer.id, ~CampaignAnswer.paid)
    rows = session.execute(
        select(
            ModelRevision.model_id,
            Answer.input_tokens,
            Answer.output_tokens,
            func.length(Prompt.text),
            func.length(Answer.text) + func.length(Answer.reasoning),
        )
        .join(ModelRevision, ModelRevision.id == Answer.revision_id)
        .join(CampaignPrompt, CampaignPrompt.conversation_id == Answer.conversation_id)
        .join(Prompt, Prompt.conversation_id == Answer.conversation_id)
        .where(CampaignPrompt.campaign_id == campaign_id, ~brought_in.exists())
    )
    total = Cost()
    for model, read, written, asked, said in rows:
        total += _cost(prices.get(model), (read, written), (asked, said))
    return total


def _cost(price: Price | None, counted: tuple[int | None, int | None], characters: tuple[int, int]) -> Cost:
    if counted == (None, None) and not characters[1]:
        return Cost()
    read, written = (
        _tokens(length) if tokens is None else tokens for tokens, length in zip(counted, characters, strict=True)
    )
    return cost_of(price, read, written)


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


class Budget:
    """Lets a request be made only if everything made so far and all that runs cannot cost more than the limits."""

    def __init__(self, spent: Cost, usd: float | None, tokens: int | None) -> None:
        self.spent = spent
        self._reserved = Cost()
        self._running = 0
        self._usd = usd
        self._tokens = tokens
        self._settled = asyncio.Condition()

    async def reserve(self, most: Cost) -> bool:
        """Set `most` aside, waiting for what runs where that may leave enough; `False` if there is not enough."""
        async with self._settled:
            while not self._fits(most):
                if not self._running:
                    return False
                await self._settled.wait()
            self._reserved += most
            self._running += 1
            return True

    async def settle(self, most: Cost, real: Cost) -> None:
        """Replace what was set aside by what it did cost."""
        async with self._settled:
            self._reserved -= most
            self._running -= 1
            self.spent += real
            self._settled.notify_all()

    def _fits(self, most: Cost) -> bool:
        if not self._running:
            self._reserved = Cost()  # sums of fractions leave dust
        wanted = self.spent + self._reserved + most
        within_money = self._usd is None or wanted.usd <= self._usd
        return within_money and (self._tokens is None or wanted.tokens <= self._tokens)
