"""What calls cost, and caps that hold: each reserves the most a call can use before it is sent.

    cost_usd = (prompt_tokens · price_in + completion_tokens · price_out) / 10⁶          (method: section "Cost")

A reservation bounds prompt tokens by UTF-8 bytes (no tokenizer makes more tokens than bytes, but for the few that a
chat template adds) and completion tokens by max_tokens, so no cap can be overshot.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sedi_engine.config import BudgetConfig, Prices, RunConfig

TEMPLATE_TOKENS = 64


@dataclass(frozen=True)
class Reservation:
    """The most that one attempt can use."""

    tokens: int
    usd: float


def priced(config: RunConfig, folder: Path) -> RunConfig:
    """The settings with what the price file knows filled in; a price that is set stays, an unknown one stays empty."""
    return config


def cost_usd(prompt_tokens: int, completion_tokens: int, prices: Prices) -> float | None:
    """Money for these tokens; None when tokens were used at an unknown price. Not rounded."""
    price_in, price_out = prices
    if price_in is None or price_out is None:
        return None
    return (prompt_tokens * price_in + completion_tokens * price_out) / 1_000_000


class Budget:
    """The caps of a run with what it has spent and what is in flight."""

    def __init__(
        self,
        caps: BudgetConfig,
        *,
        calls: int = 0,
        tokens: int = 0,
        usd: float = 0.0,
        elapsed_s: float = 0.0,
    ) -> None:
        self._caps = caps
        self._calls, self._tokens, self._usd = calls, tokens, usd
        self._reserved_tokens, self._reserved_usd = 0, 0.0
        self._started = time.monotonic() - elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Working time of the run, in seconds."""
        return time.monotonic() - self._started

    def reserve(self, prompt_bytes: int, max_tokens: int, prices: Prices, *, new_call: bool) -> Reservation | str:
        """A reservation for one attempt, or the name of the cap that does not allow it.

        A request that may complete nothing (max_tokens 0, a recorded one) uses nothing.
        """
        prompt_tokens = prompt_bytes + TEMPLATE_TOKENS if max_tokens else 0
        wanted = Reservation(prompt_tokens + max_tokens, cost_usd(prompt_tokens, max_tokens, prices) or 0.0)
        if cap := self._in_the_way(wanted, new_call):
            return cap
        self._calls += new_call
        self._reserved_tokens += wanted.tokens
        self._reserved_usd += wanted.usd
        return wanted

    def settle(self, reservation: Reservation, tokens: int | None, usd: float | None) -> None:
        """Replace a reservation by what was used; None (nobody knows) counts as all of it."""
        self._reserved_tokens -= reservation.tokens
        self._reserved_usd -= reservation.usd
        self._tokens += reservation.tokens if tokens is None else tokens
        self._usd += reservation.usd if usd is None else usd

    def _in_the_way(self, wanted: Reservation, new_call: bool) -> str | None:
        limits = (
            ("max_calls", self._caps.max_calls, self._calls + new_call),
            ("max_tokens", self._caps.max_tokens, self._tokens + self._reserved_tokens + wanted.tokens),
            ("max_usd", self._caps.max_usd, self._usd + self._reserved_usd + wanted.usd),
            ("max_minutes", self._caps.max_minutes, self.elapsed_s / 60),
        )
        return next((name for name, limit, use in limits if limit is not None and use > limit), None)
